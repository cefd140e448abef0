"""A week of the toy country, from extracts to measures, and what must hold of it."""

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from cas_spark.evaluation.baselines import BASELINES
from cas_spark.evaluation.measures import MODEL
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import read_published
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.train import note_checked, snapshot_files
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings, load_settings
from tests.toy import POLL, run_quietly, write_settings, write_toy

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def lake(spark: SparkSession, demo_lake: Path) -> Lake:
    return Lake(spark, load_settings(demo_lake).lake)


@pytest.fixture(scope="module")
def settings(demo_lake: Path) -> Settings:
    return load_settings(demo_lake)


def digests(spark: SparkSession, path: Path) -> dict[str, str]:
    manifest = Lake(spark, load_settings(path).lake).last_manifest
    assert manifest is not None
    return dict(manifest.digests)


def test_rows_read_are_accepted_revisions_or_rejected(lake: Lake) -> None:
    [sums] = lake.read(tables.DATASETS).groupBy().sum().collect()
    assert sums["sum(rows_read)"] == 2460
    assert sums["sum(rows_accepted)"] == lake.read(tables.INCIDENTS).count() > 1700
    assert sums["sum(rows_revisions)"] == lake.read(tables.REVISIONS).count()
    assert sums["sum(rows_rejected)"] == lake.read(tables.REJECTED_ROWS).count() > 0


def test_every_expected_model_has_one_row(lake: Lake) -> None:
    models = lake.read(tables.MODELS).collect()
    assert len(models) == 2 * 2 * 3
    statuses = {(m["team_id"], m["priority"]): m["status"] for m in models}
    assert statuses["A", "burglary"] == "fitted"
    assert statuses["B", "robbery"] in ("pooled", "failed")
    assert all(m["reason"] for m in models if m["status"] != "fitted")


def test_snapshots_hold_every_kept_cell_at_every_poll(lake: Lake) -> None:
    cells = lake.read(tables.CELLS).where("is_kept").groupBy("team_id").count().collect()
    slices = lake.read(tables.SNAPSHOT_SLICES).collect()
    kept = {row["team_id"]: row["count"] for row in cells}
    assert all(row["rows"] == kept[row["team_id"]] for row in slices)
    polls = {row["poll_on"] for row in slices}
    assert len(slices) == len(kept) * len(polls)
    files = Path(lake.root, "snapshots").glob("*.parquet")
    of_bytes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert {row["file"]: row["file_sha256"] for row in slices} == of_bytes
    assert max(polls) == POLL
    last = lake.last_manifest
    assert last is not None
    rows = lake.read_version("snapshots", last.versions_out["snapshots"])
    assert rows.count() == sum(row["rows"] for row in slices)
    assert rows.select("team_id", "poll_on", "cell_id").distinct().count() == rows.count()


def test_a_run_checks_the_bytes_of_a_snapshot_file_once(lake: Lake, settings: Settings) -> None:
    job = Job(read_published(lake, POLL), settings, POLL, silently)
    files = snapshot_files(job, POLL, POLL)
    assert (
        set(files.sha256) == {name for names in files.of_team.values() for name in names} != set()
    )
    note_checked(job, files)
    assert snapshot_files(job, POLL, POLL).sha256 == {}


def test_contributions_sum_to_the_logit_and_chosen_cells_are_the_likeliest(
    lake: Lake, settings: Settings
) -> None:
    land = {
        r["team_id"]: r["count"]
        for r in lake.read(tables.CELLS).groupBy("team_id").count().collect()
    }
    names: dict[tuple[str, ...], list[str]] = {
        (m["team_id"], m["priority"], m["horizon"]): [p["indicator"] for p in m["coefficients"]]
        for m in lake.read(tables.MODELS).collect()
    }
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in lake.read(tables.FORECASTS).collect():
        groups.setdefault((row["team_id"], row["priority"], row["horizon"]), []).append(row)
    assert len(groups) == 12
    for key, rows in groups.items():
        team, _, horizon = key
        in_order = sorted(rows, key=lambda row: (-row["logit"], row["cell_id"]))
        assert [row["rank"] for row in in_order] == list(range(1, len(rows) + 1))
        number = max(1, int(settings.forecast.share * land[team] + 0.5))
        assert [row["is_chosen"] for row in in_order] == [i < number for i in range(len(rows))]
        target = POLL + timedelta(weeks=settings.horizons[horizon])
        assert {row["target_week_on"] for row in rows} == {target}
        for row in in_order[:number]:
            total = 0.0
            for contribution in row["contributions"]:
                total += contribution
            assert total == row["logit"]
            raised = {pair["group"]: pair["above_mean"] for pair in row["raised_by"]}
            assert 1 <= len(row["reasons"]) <= 3
            for reason in row["reasons"]:
                place = names[key].index(reason["indicator"]) + 1  # behind the intercept
                assert row["contributions"][place] == reason["contribution"]
            assert max(raised.values()) > 0


def test_every_settled_horizon_is_scored_beside_the_baselines(lake: Lake) -> None:
    rows = lake.read(tables.EVALUATIONS).where("measure LIKE 'caught_share_at_%'")
    kinds = rows.groupBy("horizon", "method").agg(F.countDistinct("measure").alias("n")).collect()
    assert {(r["horizon"], r["method"], r["n"]) for r in kinds} == {
        (horizon, method, 3)
        for horizon in ("current", "early_1w", "early_6w")
        for method in (MODEL, *BASELINES)
    }


def test_a_broken_run_is_never_seen_and_the_same_command_mends_it_and_changes_nothing_again(
    spark: SparkSession, tmp_path: Path, demo_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_toy(tmp_path)
    run_quietly(spark, "ingest", load_settings(path), None)
    before = digests(spark, path)
    with monkeypatch.context() as patched:
        patched.setattr("cas_spark.pipelines.steps.train.train_models", _fail)
        with pytest.raises(OSError, match="the disk is full"):
            run_quietly(spark, "weekly", load_settings(path), POLL)
    assert digests(spark, path) == before
    assert not Lake(spark, load_settings(path).lake).holds(tables.SNAPSHOT_SLICES)
    run_quietly(spark, "weekly", load_settings(path), POLL)
    mended = digests(spark, path)
    assert mended == digests(spark, demo_lake)  # another folder, another time
    run_quietly(spark, "weekly", load_settings(path), POLL)
    assert digests(spark, path) == mended


def test_a_week_later_only_the_new_poll_is_computed_and_equals_a_full_computation(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write_toy(tmp_path / "incremental")
    for step in ("ingest", "grid"):
        run_quietly(spark, step, load_settings(path), None)
    shutil.copytree(path.parent, tmp_path / "full")
    later = POLL + timedelta(weeks=1)
    for poll in (POLL, later):
        run_quietly(spark, "snapshots", load_settings(path), poll)
    lake = Lake(spark, load_settings(path).lake)
    files = {
        r["poll_on"]: r["file"]
        for r in lake.read(tables.SNAPSHOT_SLICES).where("team_id = 'A'").collect()
    }
    assert files[later] != files[POLL]
    incremental = _snapshots(lake)
    other = load_settings(write_settings(tmp_path / "full"))
    run_quietly(spark, "snapshots", other, later)
    full = _snapshots(Lake(spark, other.lake))
    assert full == {key: incremental[key] for key in full}


def _snapshots(lake: Lake) -> dict[tuple[str, object], str]:
    rows = lake.read(tables.SNAPSHOT_SLICES).collect()
    return {(row["team_id"], row["poll_on"]): row["sha256"] for row in rows}


def _fail(*_: object) -> int:
    raise OSError("the disk is full")
