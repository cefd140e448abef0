"""A challenger of the toy country: measured fairly, kept apart, and logged once."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import mlflow.pyfunc
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.evaluation.baselines import ALL_HISTORY
from cas_spark.evaluation.measures import CHALLENGER, MODEL
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.manifest import Manifest
from cas_spark.pipelines.commands import WEEKLY, run_experiment
from cas_spark.pipelines.experiment import Challenge
from cas_spark.platform.progress import silently
from cas_spark.reporting import Report
from cas_spark.settings import load_settings
from cas_spark.tracking.store import Store, open_store
from tests.toy import POLL, write_settings

pytestmark = [pytest.mark.spark, pytest.mark.slow]
WEEKS = 3
SAME, OTHER = Challenge("same", WEEKS), Challenge("other", WEEKS)
# As in the settings of the toy, but for what is said.
OTHER_TRAINING = {"minimum_positives": 20, "tolerance": 1e-3, "engine": "mllib", "reg_param": 0.01}
OTHER_INDICATORS = {"leave_out": ["*_density_*", "any_*"]}


@pytest.fixture(scope="module")
def folder(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the lake on which a week has run."""
    copy = tmp_path_factory.mktemp("experiment") / "toy"
    shutil.copytree(demo_lake.parent, copy)
    return copy


@pytest.fixture(scope="module")
def before(spark: SparkSession, folder: Path) -> Manifest:
    last = Lake(spark, str(folder / "lake")).last_manifest
    assert last is not None
    return last


@pytest.fixture(scope="module")
def reports(spark: SparkSession, folder: Path, before: Manifest) -> dict[str, Report]:
    """What was printed of a challenger by the champion's own settings, and of another one."""
    same = load_settings(write_settings(folder))
    other = load_settings(
        write_settings(
            folder, indicators=OTHER_INDICATORS, training=OTHER_TRAINING, polls={"count": 10}
        )
    )
    return {
        challenge.name: run_experiment(spark, settings, challenge, silently)
        for challenge, settings in ((SAME, same), (OTHER, other))
    }


@pytest.fixture(scope="module")
def lake(spark: SparkSession, folder: Path, reports: dict[str, Report]) -> Lake:
    return Lake(spark, str(folder / "lake"))


@pytest.fixture(scope="module")
def store(folder: Path, reports: dict[str, Report]) -> Store:
    return open_store(load_settings(write_settings(folder)))


def test_both_forecast_the_newest_settled_polls_and_all_land_cells_are_counted(
    lake: Lake, before: Manifest
) -> None:
    rows = lake.read(tables.BACKTESTS).where(F.col("backtest") == OTHER.backtest(POLL))
    polls: dict[tuple[str, str], set[date]] = {}
    for row in rows.select("horizon", "method", "poll_on").distinct().collect():
        polls.setdefault((row["horizon"], row["method"]), set()).add(row["poll_on"])
    # Extracts end on 2024-04-15, so that even the week six weeks after the last poll has settled.
    newest = {POLL - timedelta(weeks=i) for i in range(WEEKS)}
    assert polls == {
        (horizon, method): newest
        for horizon in ("current", "early_1w", "early_6w")
        for method in (MODEL, CHALLENGER, ALL_HISTORY)
    }
    [land] = (
        rows.where("team_id = '*' AND measure = 'caught_share_at_3_percent'")
        .select(F.max("cells").alias("cells"))
        .collect()
    )
    assert land["cells"] == max(1, round(0.03 * lake.read(tables.CELLS).count()))


def test_a_challenger_by_the_champions_own_settings_catches_exactly_as_much(
    lake: Lake, store: Store, reports: dict[str, Report]
) -> None:
    rows = lake.read(tables.BACKTESTS).where(F.col("backtest") == SAME.backtest(POLL))
    keys = ["poll_on", "team_id", "priority", "horizon", "measure"]
    of_model, of_challenger = (
        {tuple(row[key] for key in keys): row["value"] for row in found}
        for found in (
            rows.where(F.col("method") == MODEL).collect(),
            rows.where(F.col("method") == CHALLENGER).collect(),
        )
    )
    assert of_model == of_challenger
    assert any(key[-1] == "log_loss" for key in of_model)
    [run] = store.challenges_of("same", POLL)
    ratios = {v for key, v in run.data.metrics.items() if key.endswith((".ratio", ".low", ".high"))}
    assert ratios == {1.0}
    told = "\n".join(reports["same"].lines)
    assert "in 6 the interval includes 1: no difference is shown" in told
    assert "Generated data" in told


def test_the_champions_tables_stay_as_they_were(lake: Lake, before: Manifest) -> None:
    after = lake.last_manifest
    assert after is not None
    kept = {name: digest for name, digest in after.digests.items() if name in before.digests}
    cache = {"snapshots", "snapshot_slices"}  # holds the earlier polls as well
    assert {n: d for n, d in kept.items() if n not in cache} == {
        n: d for n, d in before.digests.items() if n not in cache
    }
    slices = [
        {
            (row["team_id"], row["poll_on"]): row["sha256"]
            for row in lake.read_version(
                "snapshot_slices", manifest.versions_out["snapshot_slices"]
            )
            .where(F.col("poll_on").between("2023-08-01", str(POLL)))
            .collect()
        }
        for manifest in (before, after)
    ]
    assert {key: slices[1][key] for key in slices[0]} == slices[0]


def test_every_model_of_the_challenger_has_a_row_and_looks_only_at_its_own_indicators(
    lake: Lake,
) -> None:
    models = lake.read(tables.CHALLENGERS).where("experiment = 'other'").collect()
    assert len(models) == 2 * 2 * 3
    champions = {row["last_poll_on"] for row in lake.read(tables.MODELS).collect()}
    assert {row["last_poll_on"] for row in models} == champions
    assert {row["last_poll_on"] - row["first_poll_on"] for row in models} == {timedelta(weeks=9)}
    fitted = [row for row in models if row["status"] == "fitted"]
    assert {row["engine"] for row in fitted} == {"mllib"}
    names = {name for row in models for name, _ in row["coefficients"]}
    assert names
    assert not [name for name in names if "density" in name or name.startswith("any")]


def test_mlflow_has_it_in_an_experiment_of_its_own_and_never_as_a_week(store: Store) -> None:
    [run] = store.challenges_of("other", POLL)
    assert store.client.get_experiment(run.info.experiment_id).name == "toy experiment other"
    assert run.data.tags["champion_run"] == "1"
    assert run.data.params["engine"] == "grouped mllib"
    assert len(store.children_of(run)) == 4
    name = "across_teams/burglary/caught_share_at_3_percent.current"
    figures = {figure: run.data.metrics[f"{name}.{figure}"] for figure in ("low", "ratio", "high")}
    assert figures["low"] <= figures["ratio"] <= figures["high"]
    champion, challenger = (run.data.metrics[f"{name}.{of}"] for of in ("champion", "challenger"))
    assert challenger / champion == pytest.approx(figures["ratio"])
    assert run.data.tags["verdict/across_teams/burglary.current"]

    [week] = store.weeks_of(POLL)
    assert week.data.tags["level"] == "week"
    latest = store.client.get_model_version_by_alias("toy", "latest")
    assert latest.run_id == week.info.run_id
    [logged] = store.client.search_logged_models([run.info.experiment_id])
    model = mlflow.pyfunc.load_model(logged.artifact_location)
    example = model.input_example
    assert model.predict(example)["probability"].between(0, 1).all()


def test_the_same_command_again_changes_nothing(
    spark: SparkSession, folder: Path, lake: Lake, store: Store
) -> None:
    runs = store.challenges_of("same", POLL)
    settings = load_settings(write_settings(folder))
    before = lake.last_manifest
    report = run_experiment(spark, settings, SAME, silently)
    after = Lake(spark, lake.root).last_manifest
    assert before is not None
    assert after is not None
    assert after.number == before.number + 1
    assert after.digests == before.digests
    assert [run.info.run_id for run in store.challenges_of("same", POLL)] == [
        run.info.run_id for run in runs
    ]
    assert report.tables


def test_more_weeks_than_there_is_history_for_are_refused(
    spark: SparkSession, folder: Path, lake: Lake
) -> None:
    settings = load_settings(write_settings(folder))
    with pytest.raises(CasError, match="or compare on fewer --weeks"):
        run_experiment(spark, settings, Challenge("long", 100), silently)
    unchanged = lake.last_manifest_of(WEEKLY)
    assert unchanged is not None
    assert unchanged.number == 1
