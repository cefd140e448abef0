"""A lake may lie in a folder of any name that settings let pass."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from cas_spark.lake import tables
from cas_spark.lake.arrow_access import commit_files, write_file
from cas_spark.lake.erasing import end_with_a_commit_without_rows, forget_past
from cas_spark.lake.lake import Lake
from cas_spark.lake.lease import hold
from cas_spark.lake.opening import open_run
from cas_spark.lake.run import Run
from cas_spark.platform import storage

ANY = "a space #1 co:lon 'of' \"all\" [b] {c,d} *?e日本é; &$x=@v1 (f) <g> ^|~+!"
POLL = date(2024, 1, 1)
SNAPSHOTS = tables.snapshots([("x", "a number")])
VALUES: dict[str, Any] = {
    "string": "a",
    "bigint": 1,
    "int": 1,
    "date": POLL,
    "timestamp": datetime(2024, 1, 1),  # noqa: DTZ001 - as Spark takes it
    "boolean": True,
    "double": 0.5,
    "float": 0.5,
}

pytestmark = pytest.mark.spark


def outcome(spark: SparkSession) -> DataFrame:
    schema = tables.OUTCOMES.schema
    return spark.createDataFrame([[VALUES[f.dataType.simpleString()] for f in schema]], schema)


def write_snapshots(run: Run) -> str:
    rows = pa.table(
        {
            "poll_on": pa.array([POLL]),
            "cell_id": pa.array([1], pa.int64()),
            "x": pa.array([1.0], pa.float32()),
        }
    )
    run.prepare_files(SNAPSHOTS)
    file, _ = write_file(run.lake.root, SNAPSHOTS.name, "té a/m", [rows], ["x"])
    commit_files(run.lake.root, SNAPSHOTS, [file], {}, ("test", 1))
    run.note_change(SNAPSHOTS)
    return file.name


def test_every_way_to_the_lake_finds_the_same_folder(spark: SparkSession, tmp_path: Path) -> None:
    root = str(tmp_path / ANY / "lake")
    table, rows = tables.OUTCOMES, outcome(spark)
    with hold(spark, root, "test") as lease:
        run = open_run(Lake(spark, root), "test", POLL, "{}", "s", lease)
        run.replace(table, rows)
        run.merge(table, rows)
        run.overwrite(table, rows)
        name = write_snapshots(run)
        end_with_a_commit_without_rows(run, table)
        manifest = run.publish()
    with hold(spark, root, "test") as lease:  # it breaks off
        open_run(Lake(spark, root), "test", POLL, "{}", "s", lease).replace(table, rows.limit(0))
    with hold(spark, root, "test") as lease:
        again = open_run(Lake(spark, root), "test", POLL, "{}", "s", lease)
        assert again.read(table).collect() == rows.collect()
        version = again.versions[table.name]
        end_with_a_commit_without_rows(again, table)
        again.publish()
    lake = Lake(spark, root)
    assert lake.manifest_of(manifest.number) is not None
    forget_past(lake, table, version + 1)
    assert lake.read(table).collect() == rows.collect()
    assert [row["x"] for row in lake.read(SNAPSHOTS).collect()] == [1.0]
    held = lake.path(SNAPSHOTS.name)
    assert storage.contents(spark, held).where(f"path LIKE '%{name}'").count() == 1
    storage.write_text(spark, f"{root}/maps/x.txt", "é")
    assert storage.read_text(spark, f"{root}/maps/x.txt") == "é"
    storage.try_to_write(spark, f"{root}/maps")
    assert [path.rsplit("/", 1)[-1] for path in storage.files(spark, f"{root}/maps")] == ["x.txt"]
    storage.check_arrow_reaches(root)
    # Nothing lies anywhere else.
    assert [path.name for path in tmp_path.iterdir()] == [ANY]
    assert [path.name for path in (tmp_path / ANY).iterdir()] == ["lake"]
