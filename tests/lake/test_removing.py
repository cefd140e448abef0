"""Only what a writer of tables named is ever removed; what a person put somewhere stays."""

from pathlib import Path
from uuid import UUID

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from cas_spark.lake.opening import is_of_lake
from cas_spark.lake.removing import is_half_of_log, is_of_spark, is_of_table, listed, remove_files
from cas_spark.platform import storage

UUID_OF_FILE = str(UUID(int=7))

OF_TABLES = [
    f"part-00000-{UUID_OF_FILE}.c000.snappy.parquet",
    f"part-00017-{UUID_OF_FILE}-c000.zstd.parquet",
    f".part-00000-{UUID_OF_FILE}.c000.snappy.parquet.crc",
    f"poll_on=2024-01-08/part-00000-{UUID_OF_FILE}.c000.snappy.parquet",
    f"{'0a' * 20}.parquet",
    f"layout1-{'0a' * 20}.parquet",
    f".{'0a' * 16}.unfinished",
    "_delta_log/00000000000000000000.json",
    "_delta_log/.00000000000000000000.json.crc",
    "_delta_log/00000000000000000010.checkpoint.parquet",
    "_delta_log/00000000000000000010.crc",
    "_delta_log/_last_checkpoint",
    "_delta_log/00000000000000000000.00000000000000000009.compacted.json",
    *(
        HALVES := [
            f"_delta_log/.00000000000000000003.json.{UUID_OF_FILE}.tmp",
            f"_delta_log/_commit_{UUID_OF_FILE}.json.tmp",
            f"_delta_log/_commit_{UUID_OF_FILE}.json.tmp#1",
        ]
    ),
]

OF_PERSONS = [
    "photo.jpg",
    "stray.parquet",
    "part-time-workers.parquet",
    "incidents 2024.parquet",
    f"backup/part-00000-{UUID_OF_FILE}.c000.snappy.parquet",
    f"_kept/part-00000-{UUID_OF_FILE}.c000.snappy.parquet",
    "_delta_log/notes.json",
    "_delta_log/old/00000000000000000000.json",
    ".git/config",
    "report.unfinished",
    ".notes.unfinished",
    f"{'0a' * 20}-copy.parquet",
    "draft.tmp",
]


@pytest.mark.parametrize("name", OF_TABLES)
def test_what_writers_of_tables_name_is_known(name: str) -> None:
    assert is_of_table(name)
    assert is_of_lake(name)
    assert is_of_lake(f"outcomes/{name}")


@pytest.mark.parametrize("name", OF_TABLES)
def test_what_a_log_had_not_given_its_name_yet_is_known(name: str) -> None:
    assert is_half_of_log(name) is (name in HALVES)


@pytest.mark.parametrize("name", OF_PERSONS)
def test_any_other_name_is_a_person_s(name: str) -> None:
    assert not is_of_table(name)
    assert not is_of_lake(name)
    assert not is_of_lake(f"outcomes/{name}")


def test_a_folder_that_no_table_has_is_a_person_s() -> None:
    assert not is_of_lake(f"holiday/part-00000-{UUID_OF_FILE}.c000.snappy.parquet")
    assert is_of_lake("_writing/outcomes.json")
    assert not is_of_lake("notes/outcomes.json")


def test_spark_s_own_files_are_known_at_their_places() -> None:
    assert is_of_spark("_SUCCESS")
    assert is_of_spark("part-00000")
    assert is_of_spark(f"_temporary/0/task_1/part-00000-{UUID_OF_FILE}-c000.snappy.parquet")
    assert not is_of_spark("notes.txt")
    assert not is_of_spark("older/part-00000")


def test_an_error_names_some_and_counts_the_rest() -> None:
    assert listed(["b", "a"]) == "a, b"
    assert listed(map(str, range(9))) == "0, 1, 2, 3, 4 and 4 more"


@pytest.mark.spark
def test_a_folder_goes_only_with_its_last_file(spark: SparkSession, tmp_path: Path) -> None:
    table = tmp_path / "outcomes"
    for name in [*OF_TABLES, "_delta_log/.hidden/notes.txt", "poll_on=2024-01-08/photo.jpg"]:
        (table / name).parent.mkdir(parents=True, exist_ok=True)
        (table / name).write_bytes(b"x")
    (table / "empty" / "below").mkdir(parents=True)
    stay = remove_files(spark, str(table), is_of_table)
    assert stay == ["_delta_log/.hidden/notes.txt", "poll_on=2024-01-08/photo.jpg"]
    assert sorted(str(p.relative_to(table)) for p in table.rglob("*") if p.is_file()) == stay
    assert not (table / "empty").exists()
    for name in stay:
        (table / name).unlink()
    assert remove_files(spark, str(table), is_of_table) == []
    assert not table.exists()


@pytest.mark.spark
def test_nothing_removes_a_folder_with_what_is_in_it(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").touch()
    with pytest.raises(Py4JJavaError, match="not empty"):
        storage.delete(spark, str(tmp_path / "holiday"))
    assert (tmp_path / "holiday" / "photo.jpg").exists()


@pytest.mark.spark
def test_of_many_that_put_a_file_one_wins_and_it_is_whole(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "lake.json"
    texts = [f"{number}" * 1000 for number in range(8)]
    wins = [storage.put_if_absent(spark, str(path), text) for text in texts]
    assert wins == [True] + [False] * 7
    assert path.read_text() == texts[0]
    assert [p.name for p in path.parent.iterdir()] == ["lake.json"]
