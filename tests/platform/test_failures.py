"""A full disk or a folder that may not be written is told, and the last run stays readable."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.marker import MARKER
from cas_spark.pipelines.commands import _opened
from cas_spark.platform.failures import explaining_storage_failures
from tests.toy import settings_of_toy


def told(error: Exception) -> CasError:
    with pytest.raises(CasError) as caught, explaining_storage_failures("/lake"):
        raise error
    return caught.value


def test_what_a_task_or_the_driver_says_of_the_storage_is_told_with_the_table() -> None:
    java = (
        "An error occurred while calling o1.save.\n"
        ": org.apache.spark.SparkException: [TASK_WRITE_FAILED] while writing file:/lake/cells.\n"
        "Caused by: java.io.IOException: No space left on device"
    )
    error = told(RuntimeError(java))
    assert error.what == "cells of the lake /lake"
    assert error.found == "Caused by: java.io.IOException: No space left on device"
    assert "Make room" in error.do
    assert "last complete run" in error.do
    denied = told(PermissionError(13, "Permission denied", "/lake/snapshots/a.parquet"))
    assert denied.what == "snapshots of the lake /lake"
    assert "/lake/snapshots/a.parquet" in denied.found
    assert "Give the right to write it" in denied.do


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(KeyError, match="column"), explaining_storage_failures("/lake"):
        raise KeyError("column")


def write(spark: SparkSession, lake: Path, numbers: range) -> None:
    """A run that leaves these many outcomes behind."""
    settings = settings_of_toy(lake=str(lake))
    at = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [("burglary", number, at.date(), at, None, 1) for number in numbers]
    with _opened(Lake(spark, settings.lake), "test", settings, None) as run:
        run.replace(tables.OUTCOMES, spark.createDataFrame(rows, tables.OUTCOMES.schema))
        run.publish()


@pytest.mark.spark
def test_a_lake_that_cannot_be_made_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(CasError, match="a folder that may be written") as error:
        write(spark, tmp_path / "a file" / "lake", range(1))
    assert str(tmp_path / "a file") in error.value.found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)],  # noqa: S607
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("here nobody may mount a disk")
    yield disk
    # The traceback of the error that a test expects may still hold a file open.
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607


@pytest.mark.spark
def test_on_a_full_disk_a_run_says_so_and_the_last_one_is_read_still(
    spark: SparkSession, small_disk: Path
) -> None:
    root = small_disk / "lake"
    write(spark, root, range(3))
    first = {path.name for path in root.glob("outcomes/*.parquet")}
    filler = small_disk / "filler"
    room_for_a_claim = 16 * 1024  # but for no table
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - room_for_a_claim))
    with pytest.raises(CasError, match="No space left on device") as error:
        write(spark, root, range(10_000))
    assert error.value.what == f"outcomes of the lake {root}"
    assert Lake(spark, str(root)).read(tables.OUTCOMES).count() == 3
    filler.unlink()
    write(spark, root, range(10_000))
    assert Lake(spark, str(root)).read(tables.OUTCOMES).count() == 10_000
    # Nothing is left of the run that failed.
    second = {uri.rsplit("/", 1)[-1] for uri in DeltaTable(f"{root}/outcomes").file_uris()}
    assert {path.name for path in root.glob("outcomes/*.parquet")} == first | second
    assert [path.name for path in root.iterdir() if path.is_file()] == [MARKER]
