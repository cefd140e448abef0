"""A backtest of the toy country: what it scores, and from what its models learn."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.errors import PythonException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.evaluation.baselines import BASELINES
from cas_spark.evaluation.measures import MODEL
from cas_spark.evaluation.model_scores import Term, model_scores
from cas_spark.forecasting.forecast import Scorer
from cas_spark.knowledge.calendar import instant_of
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.backtest import Span, backtest
from cas_spark.pipelines.commands import run_backtest
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.reports.backtest import backtest_report
from cas_spark.pipelines.steps.train import context_of_kept_cells, snapshot_files, training_data
from cas_spark.platform.progress import silently
from cas_spark.settings import load_settings
from tests.toy import write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]
SPAN = Span(date(2024, 1, 8), date(2024, 3, 18), retrain_every=6)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy(tmp_path_factory.mktemp("backtest"), evaluation={"tuning_weeks": 4})


@pytest.fixture(scope="module")
def job(spark: SparkSession, path: Path) -> Job:
    return run_backtest(spark, load_settings(path), SPAN, silently)


def test_every_settled_week_is_scored_for_every_method_and_the_rest_is_counted(
    spark: SparkSession, job: Job
) -> None:
    rows = Lake(spark, job.settings.lake).read(tables.BACKTESTS)
    kinds = rows.where("team_id = '*'").groupBy("horizon", "method")
    polls = {
        (row["horizon"], row["method"]): row["polls"]
        for row in kinds.agg(F.countDistinct("poll_on").alias("polls")).collect()
    }
    # Extracts end on 2024-04-15: six weeks after the last polls have not settled by then.
    expected = {"current": 11, "early_1w": 11, "early_6w": 7}
    assert polls == {
        (horizon, method): number
        for horizon, number in expected.items()
        for method in (MODEL, *BASELINES)
    }
    assert job.run.facts["poll_horizons_not_yet_scored"] == 4


def test_models_of_a_past_poll_learn_from_no_outcome_that_became_known_later(job: Job) -> None:
    early = job.at(SPAN.first)
    moment = instant_of(SPAN.first, job.settings.zone).replace(tzinfo=None)
    versions = job.run.read(tables.OUTCOMES).collect()
    expected = set()
    for row in versions:
        superseded = row["superseded_at"]
        is_known = row["known_at"] < moment and (superseded is None or superseded >= moment)
        for horizon, weeks in job.settings.horizons.items():
            poll = row["week_on"] - timedelta(weeks=weeks)
            if is_known and row["incidents"] > 0 and poll in early.schedule.training:
                expected.add((row["priority"], row["cell_id"], poll, horizon))
    kept = {row["cell_id"] for row in job.cells().where("is_kept").collect()}
    found = {
        (row["priority"], row["cell_id"], row["poll_on"], horizon)
        for row in training_data(early).labels.collect()
        for horizon in row["horizons"]
    }
    assert found == {key for key in expected if key[1] in kept}
    later = [row for row in versions if row["known_at"] >= moment]
    assert later  # there is something that must not be learned from


def test_polls_without_snapshots_are_never_left_out_silently(job: Job) -> None:
    files = snapshot_files(job, SPAN.first, SPAN.last)
    context = context_of_kept_cells(job, SPAN.first, SPAN.last)
    rows = model_scores(context, files, job.catalogue, [])
    assert rows.count() == 0
    of_team = {"A": [Scorer("burglary", "current", 0.0, ())], "B": []}
    short = Term(MODEL, SPAN.first, SPAN.last + timedelta(weeks=1), of_team)
    with pytest.raises(
        PythonException, match="found no rows at 2024-03-25; expected every kept cell at every poll"
    ):
        model_scores(context, files, job.catalogue, [short]).collect()


def test_its_report_has_a_table_per_horizon_and_a_picture(job: Job) -> None:
    report = backtest_report(job, SPAN)
    assert [table.title.split(":")[0] for table in report.tables[:-1]] == list(
        job.settings.horizons
    )
    for table in report.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert table.rows
    assert any("Generated data" in line for line in report.lines)
    picture = Path(job.settings.lake, "plots", f"backtest_{SPAN.first}_{SPAN.last}", "caught.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_span_of_which_nothing_has_settled_is_refused_before_any_work(job: Job) -> None:
    late = Span(date(2024, 4, 15), date(2024, 4, 15), retrain_every=4)
    stages = dict(job.run.stages)
    with pytest.raises(CasError, match="target weeks that have settled"):
        backtest(job, late)
    assert job.run.stages == stages


def test_the_trainings_are_so_many_weeks_apart() -> None:
    assert SPAN.trainings == [SPAN.first, SPAN.first + timedelta(weeks=6)]
