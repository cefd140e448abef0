"""A backtest whose first poll has too little history for some windows names what it leaves out."""

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.indicators.catalogue import catalogue_of_lake
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.backtest import Span
from cas_spark.pipelines.commands import run_backtest
from cas_spark.pipelines.reports.backtest import backtest_report
from cas_spark.platform.progress import silently
from cas_spark.settings import load_settings
from tests.toy import content_of_toy, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]
SPAN = Span(date(2024, 1, 8), date(2024, 2, 12), retrain_every=5)


def test_the_manifest_names_what_the_earliest_poll_has_no_history_for(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Later trainings have history enough, and learn from the same indicators all the same."""
    register = content_of_toy(tmp_path)["incidents"]["register"]
    path = write_toy(
        tmp_path,
        evaluation={"tuning_weeks": 4},
        polls={"count": 13, "allow_short_history": True},
        incidents={"register": register | {"complete_from": "2020-08-03"}},
    )
    settings = load_settings(path)
    job = run_backtest(spark, settings, SPAN, silently)
    too_long = [i.name for i in catalogue_of_lake(settings).indicators if i.weeks_needed == 156]
    assert job.at(SPAN.trainings[-1]).schedule.weeks_of_history >= 156
    manifest = Lake(spark, settings.lake).last_manifest
    assert manifest is not None
    assert manifest.facts["left_out_indicators"] == too_long != []
    assert manifest.facts["left_out_baselines"] == []
    lines = backtest_report(job, SPAN).lines
    assert any(line.startswith("indicators left out") and too_long[0] in line for line in lines)
    assert not any("year before" in line for line in lines)
