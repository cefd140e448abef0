"""A full disk or a folder that may not be written is told, and the last run stays readable."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.failures import telling_of_storage
from cas_spark.lake.lake import Lake
from cas_spark.settings import load_settings
from tests.toy import run_quietly, write_settings, write_toy


def told(error: Exception) -> CasError:
    with pytest.raises(CasError) as caught, telling_of_storage("/lake"):
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
    with pytest.raises(KeyError, match="column"), telling_of_storage("/lake"):
        raise KeyError("column")


@pytest.mark.spark
@pytest.mark.timeout(600)
def test_a_lake_that_cannot_be_made_is_told(spark: SparkSession, tmp_path: Path) -> None:
    write_toy(tmp_path)
    (tmp_path / "a file").touch()
    path = write_settings(tmp_path, lake=str(tmp_path / "a file" / "lake"))
    with pytest.raises(CasError, match="a folder that may be written") as error:
        run_quietly(spark, "ingest", load_settings(path), None)
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
    subprocess.run(["umount", str(disk)], check=True)  # noqa: S607


@pytest.mark.spark
@pytest.mark.timeout(600)
def test_on_a_full_disk_a_run_says_so_and_the_last_one_is_read_still(
    spark: SparkSession, small_disk: Path, tmp_path: Path
) -> None:
    write_toy(tmp_path / "toy")
    settings = load_settings(write_settings(tmp_path / "toy", lake=str(small_disk / "lake")))
    run_quietly(spark, "ingest", settings, None)
    incidents = Lake(spark, settings.lake).read(tables.INCIDENTS).count()
    filler = small_disk / "filler"
    room_for_a_claim = 16 * 1024  # but for no table
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - room_for_a_claim))
    with pytest.raises(CasError, match="No space left on device") as error:
        run_quietly(spark, "grid", settings, None)
    assert "the lake" in error.value.what
    lake = Lake(spark, settings.lake)
    assert lake.read(tables.INCIDENTS).count() == incidents
    assert not lake.holds(tables.CELLS)
    filler.unlink()
    run_quietly(spark, "grid", settings, None)
    assert Lake(spark, settings.lake).holds(tables.CELLS)
    assert sorted(path.name for path in small_disk.glob("lake/*.*")) == []
