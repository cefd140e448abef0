"""What became known after the training moment changes no byte of the forecast."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from cas_spark.lake.lake import Lake
from cas_spark.settings import load_settings
from tests.toy import POLL, incident, run_quietly, write_extract, write_toy

pytestmark = pytest.mark.spark
STEPS = ("ingest", "grid", "snapshots", "train", "forecast")
AFFECTED = ("cells", "snapshots", "models", "forecasts")


def write_toy_with_late_reports(folder: Path) -> Path:
    """The toy, and many burglaries that happened in its past and became known after the poll.

    They lie everywhere: in windows, in target weeks of training polls, before the grid's version,
    in removed cells. Their extract reaches as far as the others.
    """
    path = write_toy(folder)
    at_poll = datetime.combine(POLL, datetime.min.time())
    rows = [
        incident(
            f"late-{i}",
            "B1" if i % 3 else "R1",
            at_poll - timedelta(days=3 * i + 1),
            (i % 15, i % 7),
            known=at_poll + timedelta(days=i % 30),
        )
        for i in range(400)
    ]
    write_extract(folder / "incidents_3.csv", rows)
    return path


def forecast_digests(
    spark: SparkSession, path: Path, steps: tuple[str, ...] = STEPS
) -> dict[str, str]:
    settings = load_settings(path)
    for step in steps:
        run_quietly(spark, step, settings, POLL)
    manifest = Lake(spark, settings.lake).last_manifest
    assert manifest is not None
    return {name: manifest.digests[name] for name in AFFECTED}


def test_late_knowledge_changes_no_byte_of_the_forecast_and_without_the_rule_it_would(
    spark: SparkSession, tmp_path: Path, demo_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_toy_with_late_reports(tmp_path)
    manifest = Lake(spark, load_settings(demo_lake).lake).last_manifest
    assert manifest is not None
    untouched = {name: manifest.digests[name] for name in AFFECTED}
    assert forecast_digests(spark, path) == untouched

    # The rule taken away where labels are chosen: the same facts now do change the models.
    def everything_was_known(versions: DataFrame, _: datetime) -> DataFrame:
        return versions

    monkeypatch.setattr("cas_spark.pipelines.steps.train.known_at", everything_was_known)
    leaky = forecast_digests(spark, path, ("train", "forecast"))
    assert leaky["snapshots"] == untouched["snapshots"]
    assert leaky["models"] != untouched["models"]
    assert leaky["forecasts"] != untouched["forecasts"]
