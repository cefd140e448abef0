"""A damaged file is an error that names table, file and command, and never other values."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.arrow_access import LAYOUT, WrittenFile, write_file
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.platform.failures import UnreadableFileError, explaining_storage_failures

POLLS = [date(2024, 1, 1) + timedelta(weeks=week) for week in range(4)]
COLUMNS = ["count", "density"]
CELLS = 400
FLIPS = 60


def blocks(seed: int = 1) -> Iterator[pa.Table]:
    random = np.random.default_rng(seed)
    for polls in (POLLS[:3], POLLS[3:]):
        size = CELLS * len(polls)
        yield pa.table(
            {
                "poll_on": pa.array(np.repeat(np.array(polls, "datetime64[D]"), CELLS)),
                "cell_id": np.tile(np.arange(CELLS), len(polls)),
                "count": random.poisson(0.5, size).astype(np.float32),
                "density": random.random(size, dtype=np.float32),
            }
        )


def written(root: Path, team: str = "A", seed: int = 1) -> tuple[WrittenFile, Path]:
    file, _ = write_file(str(root), "snapshots", team, blocks(seed), COLUMNS)
    return file, root / "snapshots" / file.name


def files_of(root: Path, *written: WrittenFile, is_recorded: bool = True) -> SnapshotFiles:
    return SnapshotFiles(
        str(root),
        "snapshots",
        {"A": tuple(file.name for file in written)},
        sha256={file.name: file.sha256 for file in written} if is_recorded else {},
    )


def read(files: SnapshotFiles) -> pa.Table:
    return pa.concat_tables(list(files.blocks("A", COLUMNS, POLLS[0], POLLS[-1])))


def flipped(content: bytes, seed: int) -> Iterator[bytes]:
    """The content with one bit flipped, at a fixed number of places."""
    random = np.random.default_rng(seed)
    for place in random.choice(len(content), FLIPS, replace=False):
        copy = bytearray(content)
        copy[place] ^= 1 << int(random.integers(8))
        yield bytes(copy)


def test_every_flipped_bit_of_a_recorded_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file, path = written(tmp_path)
    assert read(files_of(tmp_path, file)).equals(pa.concat_tables(list(blocks())))
    for content in flipped(path.read_bytes(), seed=5):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match="recorded") as error:
            read(files_of(tmp_path, file))
        assert f"{path} of table snapshots" in str(error.value)


def test_no_flipped_bit_of_a_page_is_read_as_another_value_where_no_checksum_is_recorded(
    tmp_path: Path,
) -> None:
    file, path = written(tmp_path)
    whole = pa.concat_tables(list(blocks()))
    errors = 0
    for content in flipped(path.read_bytes(), seed=6):
        path.write_bytes(content)
        try:
            assert read(files_of(tmp_path, file, is_recorded=False)).equals(whole)
        except UnreadableFileError:
            errors += 1
    assert errors > FLIPS // 2


@pytest.mark.parametrize("how", ["of another team", "of other rows", "cut off", "empty", "gone"])
def test_a_file_that_another_took_the_place_of_is_refused(tmp_path: Path, how: str) -> None:
    file, path = written(tmp_path)
    other, other_path = written(tmp_path, *(("B",) if "team" in how else ("A", 2)))
    assert file.name.startswith(f"layout{LAYOUT}-")
    assert other.name != file.name
    if how.startswith("of"):
        path.write_bytes(other_path.read_bytes() + (b" " if "team" in how else b""))
    elif how == "gone":
        path.unlink()
    else:
        os.truncate(path, 1000 if how == "cut off" else 0)
    with pytest.raises(UnreadableFileError, match=file.name):
        read(files_of(tmp_path, file))


def test_a_file_is_checked_once_however_often_a_task_reads_it(tmp_path: Path) -> None:
    file, path = written(tmp_path)
    files = files_of(tmp_path, file)
    whole = read(files)
    changed = pq.read_table(path).replace_schema_metadata({"other": "bytes"})
    pq.write_table(changed, path, write_page_checksum=True)
    assert read(files).equals(whole)
    with pytest.raises(UnreadableFileError):
        read(files_of(tmp_path, file))


def test_content_that_spark_sent_is_checked_too(tmp_path: Path) -> None:
    file, path = written(tmp_path)
    content = path.read_bytes()
    files = replace(
        files_of(tmp_path, file), access="spark", sent={file.name: pa.py_buffer(content)}
    )
    assert read(files).num_rows == CELLS * len(POLLS)
    broken = {file.name: pa.py_buffer(content[:-1])}
    with pytest.raises(UnreadableFileError, match=file.name):
        read(replace(files_of(tmp_path, file), access="spark", sent=broken))


def test_a_task_s_error_names_table_file_and_command() -> None:
    python = (
        "An exception was thrown from the Python worker.\nTraceback (most recent call last):\n"
        '  File "worker.py", line 1, in main\n'
        "cas_spark.platform.failures.UnreadableFileError: "
        "/a lake/snapshots/layout2-1.parquet of table snapshots: "
        "bytes with the sha256 1, recorded 2\nworking on: A"
    )
    with pytest.raises(CasError) as error, explaining_storage_failures("/a lake"):
        raise RuntimeError(python)
    told = error.value
    assert told.what == (
        "table snapshots of the lake /a lake, file /a lake/snapshots/layout2-1.parquet"
    )
    assert told.found.endswith("bytes with the sha256 1, recorded 2")
    assert "delete this file, and run `cas-spark snapshots`" in told.do


def test_an_extract_that_cannot_be_read_is_none_of_the_lake_s_tables() -> None:
    text = "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:/in/a.parquet."
    with (
        pytest.raises(RuntimeError, match="FAILED_READ_FILE"),
        explaining_storage_failures("/lake"),
    ):
        raise RuntimeError(text)


@pytest.fixture(scope="module")
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file of a table of the lake `a lake`, as Spark writes it."""
    folder = tmp_path_factory.mktemp("written") / "a lake" / "incidents"
    rows = spark.range(3000).selectExpr("id", "rand(1) AS share", "string(id % 7) AS kind")
    rows.coalesce(1).write.format("delta").save(str(folder))
    [file] = folder.glob("*.parquet")
    return file


@pytest.mark.spark
def test_no_flipped_bit_of_a_table_of_spark_is_read_as_another_value(table: Path) -> None:
    content, whole = table.read_bytes(), pq.read_table(table)
    errors = 0
    for damaged in flipped(content, seed=7):
        source = pa.BufferReader(damaged)
        try:
            found = pq.ParquetFile(source, page_checksum_verification=True).read()
        except (pa.ArrowException, OSError):
            errors += 1
        else:
            assert found.equals(whole)
    assert errors > FLIPS // 2


@pytest.mark.spark
@pytest.mark.parametrize("has_hadoop_checksum", [True, False], ids=["hadoop", "parquet"])
def test_spark_verifies_what_it_reads_and_the_error_names_table_file_and_command(
    spark: SparkSession, table: Path, tmp_path: Path, *, has_hadoop_checksum: bool
) -> None:
    lake = tmp_path / "a lake"
    lake.mkdir()
    shutil.copytree(table.parent, lake / "incidents")
    [file] = lake.glob("incidents/*.parquet")
    if not has_hadoop_checksum:  # as on an object store
        file.with_name(f".{file.name}.crc").unlink()
    column = pq.ParquetFile(file).metadata.row_group(0).column(1)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    file.write_bytes(content)
    with pytest.raises(CasError) as error, explaining_storage_failures(str(lake)):
        spark.read.format("delta").load(str(lake / "incidents")).agg({"share": "sum"}).collect()
    assert error.value.what == f"table incidents of the lake {lake}, file {file}"
    assert "hecksum" in error.value.found
    assert "from a backup" in error.value.do
    assert "cas-spark verify" in error.value.do
