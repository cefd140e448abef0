"""Any past week again: from what its run had taken in, whatever came after."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import open_run
from cas_spark.pipelines.commands import run_rebuild, run_retain
from cas_spark.pipelines.rebuild import Rebuilt, _outputs_of
from cas_spark.platform import storage
from cas_spark.platform.progress import silently
from cas_spark.settings import load_settings
from tests.pipelines.test_purge import decision, with_decisions, write_decisions
from tests.toy import POLL, run_quietly, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]
AT_POLL = datetime.combine(POLL, datetime.min.time())
FIRST, SECOND = 1, 2
PARTS = (
    *("datasets", "rejected_rows", "incidents", "revisions", "outcomes"),
    *("cells", "cell_context", "snapshots", "models", "forecasts"),
)


@pytest.fixture(scope="module")
def path(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week, then revisions of what it stood on, and the same week and the next with them."""
    folder = tmp_path_factory.mktemp("rebuild")
    path = write_toy(folder, **with_decisions(folder))
    early = [decision(f"B1-{number}", "unfounded", AT_POLL) for number in range(400, 420)]
    write_decisions(folder / "decisions_1.csv", early)
    run_quietly(spark, "weekly", load_settings(path), POLL)
    known = AT_POLL - timedelta(days=9)
    late = [decision(f"B1-{number}", "unlawful", known) for number in range(0, 300, 7)]
    late += [decision(f"B1-{number}", "unfounded", known) for number in range(1, 300, 9)]
    write_decisions(folder / "decisions_2.csv", late)
    run_quietly(spark, "weekly", load_settings(path), POLL)
    _lose_all_older_versions(spark, load_settings(path).lake)
    return path


def _lose_all_older_versions(spark: SparkSession, root: str) -> None:
    for name in storage.folders(spark, root):
        if name not in ("maps", "mlflow"):
            table = DeltaTable(f"{root}/{name}")
            table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def again(spark: SparkSession, path: Path, number: int, to: Path | None = None) -> Rebuilt:
    settings = load_settings(path)
    rebuilt, _ = run_rebuild(spark, settings, number, str(to) if to else None, silently)
    return rebuilt


def test_a_week_is_rebuilt_byte_for_byte_whatever_was_learned_since(
    spark: SparkSession, path: Path, tmp_path: Path
) -> None:
    rebuilt = again(spark, path, FIRST, tmp_path)
    assert rebuilt.found == dict(rebuilt.recorded)
    assert set(rebuilt.found) == set(PARTS)
    assert rebuilt.refit is not None
    assert (rebuilt.refit.is_same_machine, rebuilt.refit.is_equal) == (True, True)
    settings = load_settings(path)
    now = Lake(spark, settings.lake).last_manifest
    assert now is not None
    assert now.digests["forecasts"] != rebuilt.recorded["forecasts"]
    assert spark.read.parquet(f"{tmp_path}/forecast").count() > 0
    assert list((tmp_path / "maps" / str(POLL)).iterdir())
    for outputs in _outputs_of(spark, str(tmp_path), rebuilt.manifest):
        outputs.check()  # so the same command may replace them
    assert not storage.exists(spark, f"{settings.lake}/rebuild")


def test_a_run_is_rebuilt_with_the_revisions_that_it_had_processed(
    spark: SparkSession, path: Path
) -> None:
    rebuilt = again(spark, path, SECOND)
    assert rebuilt.is_equal
    assert rebuilt.refit is not None
    assert rebuilt.refit.is_equal


@pytest.mark.parametrize("name", ["forecast/notes.txt", f"maps/{POLL}/own.gpkg"])
def test_a_folder_with_a_person_s_files_is_refused_before_any_work(
    spark: SparkSession, path: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(CasError, match="Move these files away, or name another folder"):
        again(spark, path, FIRST, tmp_path)
    assert [p.read_text() for p in tmp_path.rglob("*") if p.is_file()] == ["mine"]


def test_a_person_s_folder_in_the_lake_stops_a_rebuild_and_stays(
    spark: SparkSession, path: Path
) -> None:
    mine = Path(load_settings(path).lake, "rebuild", "notes.txt")
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(CasError, match=r"rebuild: found notes\.txt.*Move it out"):
        again(spark, path, FIRST)
    assert mine.read_text() == "mine"
    mine.unlink()
    mine.parent.rmdir()


def test_only_a_whole_week_can_be_rebuilt(spark: SparkSession, path: Path) -> None:
    with pytest.raises(CasError, match="run 99 .*no complete run of that number"):
        again(spark, path, 99)


def test_with_another_blas_kernel_the_week_is_the_same_and_the_refit_says_what_it_came_to(
    spark: SparkSession, path: Path
) -> None:
    manifest = Lake(spark, load_settings(path).lake).manifest_of(FIRST)
    assert manifest is not None
    other = "Sandybridge" if "Haswell" in manifest.fingerprint else "Haswell"
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from cas_spark.cli import main; main()"),
            *("rebuild", "--settings", str(path), "--run", str(FIRST)),
        ],
        env=os.environ | {"OPENBLAS_CORETYPE": other, "PYTHONPATH": ""},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "DIFFERS" not in done.stdout
    assert done.stdout.count("equal") >= len(PARTS)
    assert "fingerprint is another in blas" in done.stdout or "refit: equal" in done.stdout


def test_models_are_kept_for_every_run_of_the_poll(spark: SparkSession, path: Path) -> None:
    lake = Lake(spark, load_settings(path).lake)
    assert lake.read(tables.EARLIER_MODELS).select("run_number").distinct().collect()[0][0] == FIRST


def test_what_was_erased_since_is_told_and_the_week_is_shown_without_it(
    spark: SparkSession, path: Path
) -> None:
    folder = path.parent
    numbers = [f"B1-{number}" for number in range(500, 512)]
    write_decisions(folder / "decisions_3.csv", [decision(n, "erased", AT_POLL) for n in numbers])
    settings = load_settings(path)
    run_quietly(spark, "ingest", settings, None)
    run_retain(spark, settings, POLL)
    rebuilt, report = run_rebuild(spark, settings, FIRST, None, silently)
    assert not rebuilt.is_equal
    gone = [row for row in rebuilt.removed if row["class"] == "incidents"]
    assert {row["extract"] for row in gone} == {"incidents_1.csv", "incidents_2.csv.gz"}
    assert {row["reason"] for row in gone} == {"ordered"}
    assert sum(row["facts"] for row in gone) == len(numbers)
    equal = {part for part in PARTS if rebuilt.found[part] == rebuilt.recorded[part]}
    assert {"datasets", "cell_context", "models"} <= equal
    assert equal.isdisjoint({"incidents", "outcomes"})
    [table] = [table for table in report.tables if table.title.startswith("Removed since")]
    assert table.rows[0][:4] == ["incidents", "ordered", "register", "incidents_1.csv"]


def test_a_fact_that_is_no_longer_what_it_was_shows(spark: SparkSession, path: Path) -> None:
    lake = Lake(spark, load_settings(path).lake)
    run = open_run(lake, "test", POLL, "{}", "0")
    incidents = run.read(tables.INCIDENTS)
    [chosen] = incidents.where("cell_id % 3 = 0").orderBy("incident_id").limit(1).collect()
    is_chosen = F.col("incident_id") == chosen["incident_id"]
    moved = incidents.where(is_chosen).withColumn("cell_id", F.col("cell_id") + 1)
    run.merge(tables.INCIDENTS, moved)
    run.publish()
    rebuilt = again(spark, path, FIRST)
    differing = {part for part in PARTS if rebuilt.found[part] != rebuilt.recorded[part]}
    assert not rebuilt.is_equal
    assert {"incidents", "outcomes", "snapshots", "forecasts"} <= differing
    assert differing.isdisjoint({"datasets", "rejected_rows", "models"})
