"""Tables are written as declared, digests see content only, and readers see complete runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_table
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import open_run
from cas_spark.lake.orphans import remove_unnamed_files
from cas_spark.lake.run import Run

pytestmark = pytest.mark.spark
AT = datetime(2024, 1, 1, tzinfo=UTC)
DECLARED = [
    *tables.STATIC_TABLES,
    tables.cell_context(["stations"], [("area_people", "inhabitants")]),
    tables.snapshots([("burglary_count_4w", "number of burglaries")]),
]


def run_on(spark: SparkSession, folder: Path) -> Run:
    return open_run(Lake(spark, str(folder)), "test", None, "{}", "0")


def outcomes(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), tables.OUTCOMES.schema)


def outcome(cell: int, number: int = 1) -> tuple[Any, ...]:
    return ("burglary", cell, AT.date(), AT, None, number)


@pytest.mark.parametrize("table", DECLARED, ids=lambda table: table.name)
def test_every_declaration_tells_its_grain_keys_and_columns(table: Any) -> None:
    assert table.grain
    assert table.keys
    assert all(column.meaning for column in table.columns)
    assert not any(c.is_nullable for c in table.columns if c.name in table.keys)


def test_a_digest_sees_content_and_not_order_partitions_or_run(spark: SparkSession) -> None:
    rows = [outcome(cell) for cell in range(50)]
    digest = digest_of_table(outcomes(spark, *rows), tables.OUTCOMES)
    shuffled = outcomes(spark, *reversed(rows)).repartition(7)
    assert digest_of_table(shuffled, tables.OUTCOMES) == digest
    changed = outcomes(spark, *rows[:-1], outcome(49, number=2))
    assert digest_of_table(changed, tables.OUTCOMES) != digest
    fewer = outcomes(spark, *rows[:-1])
    assert digest_of_table(fewer, tables.OUTCOMES) != digest


def test_what_no_version_names_is_removed_wherever_the_lake_lies(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = run_on(spark, tmp_path / "_work")
    run.replace(tables.OUTCOMES, outcomes(spark, outcome(1)))
    folder = tmp_path / "_work" / tables.OUTCOMES.name
    (folder / "_kept").mkdir()
    (folder / "_kept" / "1.parquet").touch()
    stray = folder / f"part-00000-{uuid4()}-c000.snappy.parquet"
    half = folder / "_delta_log" / f".{7:020}.json.{uuid4()}.tmp"
    of_persons = [folder / "photo.jpg", folder / "own.parquet", folder / "old" / stray.name]
    for path in (stray, half, *of_persons):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert remove_unnamed_files(run.lake, tables.OUTCOMES.name) >= 2
    assert not stray.exists()
    assert not half.exists()
    assert all(path.exists() for path in (*of_persons, folder / "_kept" / "1.parquet"))
    assert run.read(tables.OUTCOMES).count() == 1


def test_two_rows_of_one_key_are_never_published(spark: SparkSession, tmp_path: Path) -> None:
    run = run_on(spark, tmp_path)
    run.replace(tables.OUTCOMES, outcomes(spark, outcome(1), outcome(1, number=2)))
    with pytest.raises(CasError, match="two or more rows with the key"):
        run.publish()
    assert Lake(spark, str(tmp_path)).last_manifest is None


def test_columns_other_than_declared_are_all_named(spark: SparkSession, tmp_path: Path) -> None:
    wrong = outcomes(spark, outcome(1)).select(
        "*", F.lit(1).alias("more"), F.col("incidents").cast("long").alias("n")
    )
    wrong = wrong.drop("incidents").withColumnRenamed("n", "incidents").drop("week_on")
    with pytest.raises(CasError) as error:
        run_on(spark, tmp_path).replace(tables.OUTCOMES, wrong)
    for problem in (
        "week_on date is missing",
        "more is not declared",
        "incidents is bigint, declared int",
    ):
        assert problem in error.value.found


@pytest.mark.parametrize("bad", [outcome(1, number=-1), ("burglary", None, AT.date(), AT, None, 1)])
def test_rows_that_break_a_check_or_lack_a_value_are_refused(
    spark: SparkSession, tmp_path: Path, bad: tuple[Any, ...]
) -> None:
    loose = tables.OUTCOMES.schema
    for field in loose.fields:
        field.nullable = True
    with pytest.raises(CasError, match="rows for table outcomes"):
        run_on(spark, tmp_path).replace(tables.OUTCOMES, spark.createDataFrame([bad], loose))


def test_readers_see_the_last_complete_run_and_a_new_run_undoes_a_broken_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    run = run_on(spark, tmp_path)
    run.replace(tables.OUTCOMES, outcomes(spark, outcome(1)))
    published = run.publish()
    broken = run_on(spark, tmp_path)
    broken.replace(tables.OUTCOMES, outcomes(spark, outcome(2), outcome(3)))
    broken.replace(tables.SNAPSHOT_SLICES, spark.createDataFrame([], tables.SNAPSHOT_SLICES.schema))
    lake = Lake(spark, str(tmp_path))
    assert [row["cell_id"] for row in lake.read(tables.OUTCOMES).collect()] == [1]
    assert not lake.holds(tables.SNAPSHOT_SLICES)
    again = run_on(spark, tmp_path)
    assert again.number == 2
    assert [row["cell_id"] for row in again.read(tables.OUTCOMES).collect()] == [1]
    assert not again.holds(tables.SNAPSHOT_SLICES)
    assert again.publish().digests == published.digests


def test_a_lake_of_a_newer_schema_is_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(tables, "SCHEMA_VERSION", tables.SCHEMA_VERSION + 1)
        run_on(spark, tmp_path).publish()
    with pytest.raises(CasError, match="Use the newer cas-spark that wrote it"):
        run_on(spark, tmp_path)


def test_a_table_that_no_run_wrote_says_what_to_run(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(CasError, match="Run `cas-spark weekly`"):
        Lake(spark, str(tmp_path)).read(tables.OUTCOMES)
