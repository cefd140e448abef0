"""A folder becomes a lake only if it is empty; what else lies in a lake is nobody's to remove."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.declaring import declared
from cas_spark.lake.lake import Lake
from cas_spark.lake.marker import MARKER, check_place, read_marker
from cas_spark.lake.opening import held, open_run, read_published
from cas_spark.lake.run import Run
from cas_spark.pipelines.reports.inventory import inventory_of
from cas_spark.pipelines.reports.status import status_of

pytestmark = pytest.mark.spark
AT = datetime(2024, 1, 1, tzinfo=UTC)


class BrokenError(Exception):
    """A run breaks."""


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"mine: {name}".encode())


def outcomes(spark: SparkSession, *cells: int) -> DataFrame:
    rows = [("burglary", cell, AT.date(), AT, None, 1) for cell in cells]
    return spark.createDataFrame(rows, tables.OUTCOMES.schema)


def opened(spark: SparkSession, root: Path) -> Run:
    return open_run(Lake(spark, str(root)), "test", None, "{}", "0")


def enter(spark: SparkSession, root: Path, *cells: int, breaks: bool = False) -> None:
    """A command on a lake, which writes outcomes if there are cells."""
    with held(spark, str(root), "test"):
        run = opened(spark, root)
        if cells:
            run.replace(tables.OUTCOMES, outcomes(spark, *cells))
        if breaks:
            raise BrokenError
        run.publish()


def cells_of(spark: SparkSession, root: Path) -> list[int]:
    rows = Lake(spark, str(root)).read(tables.OUTCOMES).collect()
    return sorted(row["cell_id"] for row in rows)


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of a complete run; only to be copied."""
    root = tmp_path_factory.mktemp("published") / "lake"
    enter(spark, root, 1)
    return root


@pytest.fixture
def lake(spark: SparkSession, published: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, of which Delta knows nothing yet."""
    for name, data in content_of(published).items():
        (tmp_path / "lake" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lake" / name).write_bytes(data)
    yield tmp_path / "lake"
    jvm: Any = spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def without(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    "names",
    [
        ("photo.jpg",),
        (".git/config",),
        ("extracts/incidents_2024.csv", "toy.yaml"),
        ("outcomes/notes.txt",),
        ("runs/_delta_log/notes.txt", "outcomes/photo.jpg"),
        ("runs/_delta_log/00000000000000000000.json",),
        (MARKER,),
        (f"{MARKER}/notes.txt",),
        ("lease-0.json",),
    ],
    ids=lambda names: names[0],
)
def test_a_folder_of_somebody_else_is_refused_and_untouched(
    spark: SparkSession, tmp_path: Path, names: tuple[str, ...]
) -> None:
    put(tmp_path, *names)
    before = content_of(tmp_path)
    with (
        pytest.raises(CasError, match="empty or new folder") as error,
        held(spark, str(tmp_path), "weekly"),
    ):
        pass
    assert names[0].split("/", maxsplit=1)[0] in error.value.found
    assert content_of(tmp_path) == before


def test_a_file_is_no_place_for_a_lake(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, "lake")
    with pytest.raises(CasError, match="found a file"):
        check_place(spark, str(tmp_path / "lake"))
    assert list(content_of(tmp_path)) == ["lake"]


@pytest.mark.parametrize("exists", [False, True])
def test_an_empty_folder_becomes_a_lake_with_one_id_for_all_that_come_at_once(
    spark: SparkSession,
    tmp_path: Path,
    exists: bool,  # noqa: FBT001
) -> None:
    root = tmp_path / "new" / "lake"
    if exists:
        root.mkdir(parents=True)

    def come(_: int) -> object:
        check_place(spark, str(root))
        return read_marker(spark, str(root))

    with ThreadPoolExecutor(6) as pool:
        markers = set(pool.map(come, range(6)))
    [marker] = markers
    assert marker is not None
    told = json.loads((root / MARKER).read_text())
    assert told["schema_version"] == tables.SCHEMA_VERSION
    assert list(content_of(root)) == [MARKER]
    check_place(spark, str(root))
    assert markers == {read_marker(spark, str(root))}


def test_what_a_killed_attempt_to_make_a_lake_left_stops_nobody(
    spark: SparkSession, tmp_path: Path
) -> None:
    draft = f".{MARKER}-{'0' * 32}.unfinished"
    put(tmp_path / "one", draft)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / MARKER).touch()  # storage that shows a file before it has content
    for root in (tmp_path / "one", tmp_path / "two"):
        with held(spark, str(root), "test"):
            assert read_marker(spark, str(root)) is not None
        assert list(content_of(root)) == [MARKER]


def test_a_lake_of_a_newer_version_is_refused_before_anything_is_written(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(tables, "SCHEMA_VERSION", tables.SCHEMA_VERSION + 1)
        check_place(spark, str(tmp_path))
    with pytest.raises(CasError, match="newer cas-spark"), held(spark, str(tmp_path), "test"):
        pass
    assert list(content_of(tmp_path)) == [MARKER]


def test_a_first_run_that_broke_is_undone_and_what_a_person_put_there_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(BrokenError):
        enter(spark, tmp_path, 1, 2, breaks=True)
    assert declared(spark, str(tmp_path)) == ["outcomes"]
    assert Lake(spark, str(tmp_path)).last_manifest is None
    mine = {"holiday/photo.jpg", "forecasts/notes.txt", "runs.txt", "broken-windows.json"}
    put(tmp_path, *mine)
    enter(spark, tmp_path, 3)
    assert cells_of(spark, tmp_path) == [3]
    assert (tmp_path / "outcomes" / "_delta_log" / f"{0:020}.json").exists()
    assert mine <= set(content_of(tmp_path))
    assert declared(spark, str(tmp_path)) == []
    names = {path.name for path in tmp_path.iterdir()}
    own = {"outcomes", "runs", MARKER}
    assert names == {*own, "holiday", "forecasts", "runs.txt", "broken-windows.json"}


def test_a_file_in_what_a_broken_run_left_stays_and_is_named(
    spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(BrokenError):
        enter(spark, tmp_path, 1, breaks=True)
    put(tmp_path, "outcomes/photo.jpg")
    for _ in range(2):
        with pytest.raises(CasError, match=r"outcomes: found photo\.jpg.*Move it out"):
            enter(spark, tmp_path, 1)
        assert [name for name in content_of(tmp_path) if "outcomes" in name] == [
            "outcomes/photo.jpg"
        ]
    (tmp_path / "outcomes" / "photo.jpg").unlink()
    enter(spark, tmp_path, 1)
    assert cells_of(spark, tmp_path) == [1]


def test_a_declaration_that_was_cut_off_removes_nothing(spark: SparkSession, lake: Path) -> None:
    put(lake, "forecasts/notes.txt")
    (lake / "_writing").mkdir()
    (lake / "_writing" / "forecasts.json").write_text('{"fol')
    enter(spark, lake, 2)
    assert "forecasts/notes.txt" in content_of(lake)
    assert not (lake / "_writing").exists()


def test_a_declaration_of_what_was_published_removes_nothing(
    spark: SparkSession, lake: Path
) -> None:
    (lake / "_writing").mkdir()  # killed between its manifest and the end of its declarations
    for name in ("outcomes", "runs"):
        (lake / "_writing" / f"{name}.json").write_text(json.dumps({"folder": name}))
    enter(spark, lake)
    assert cells_of(spark, lake) == [1]


def test_a_lake_of_an_earlier_version_is_adopted_with_what_it_left_behind(
    spark: SparkSession, lake: Path
) -> None:
    (lake / MARKER).unlink()
    broken = opened(spark, lake)
    broken.replace(tables.SNAPSHOT_SLICES, spark.createDataFrame([], tables.SNAPSHOT_SLICES.schema))
    without(lake / "_writing")  # such a version declared nothing
    foreign = spark.createDataFrame([(1,)], "cell_id long")
    foreign.write.format("delta").save(str(lake / "forecasts"))
    foreign.write.format("delta").save(str(lake / "experiment"))
    put(lake, "extracts/incidents.csv", "models/notes.txt")
    before = content_of(lake)
    enter(spark, lake)
    after = content_of(lake)
    assert read_marker(spark, str(lake)) is not None
    assert cells_of(spark, lake) == [1]
    assert not (lake / "snapshot_slices").exists()
    for folder in ("forecasts", "experiment", "extracts", "models"):
        mine = {name: data for name, data in before.items() if name.startswith(f"{folder}/")}
        assert mine
        assert mine.items() <= after.items()
    with held(spark, str(lake), "test"), pytest.raises(CasError, match="models: found notes.txt"):
        opened(spark, lake).replace(tables.MODELS, spark.createDataFrame([], tables.MODELS.schema))


def lose_log(lake: Path) -> None:
    without(lake / "runs" / "_delta_log")


def lose_runs(lake: Path) -> None:
    without(lake / "runs")


def break_log(lake: Path) -> None:
    for path in (lake / "runs" / "_delta_log").glob("*1.json"):
        path.write_text("{")
    for path in (lake / "runs" / "_delta_log").glob(".*"):
        path.unlink()


def lose_rows(lake: Path) -> None:
    for path in (lake / "runs" / "_delta_log").glob("*1.*"):
        path.unlink()
    for path in (lake / "runs" / "_delta_log").glob(".*"):
        path.unlink()


def lose_file(lake: Path) -> None:
    for path in (lake / "runs").glob("*.parquet"):
        path.unlink()


@pytest.mark.parametrize(
    ("lose", "marker"),
    [
        *((lose, True) for lose in (lose_log, lose_runs, break_log, lose_rows, lose_file)),
        *((lose, False) for lose in (lose_log, lose_rows)),
    ],
)
def test_a_lake_whose_runs_cannot_be_read_is_refused_and_never_taken_for_new(
    spark: SparkSession,
    lake: Path,
    lose: Any,
    marker: bool,  # noqa: FBT001
) -> None:
    lose(lake)
    if not marker:
        (lake / MARKER).unlink()
    before = content_of(lake)
    with pytest.raises(CasError, match="runs"):
        enter(spark, lake, 7)
    assert {name: data for name, data in content_of(lake).items() if "broken-" not in name} == {
        **before,
        **({MARKER: (lake / MARKER).read_bytes()} if (lake / MARKER).exists() else {}),
    }
    with pytest.raises(CasError, match="table runs of the lake .*Restore"):
        _ = Lake(spark, str(lake)).last_manifest


def test_a_published_table_that_is_gone_is_named_and_not_made_anew(
    spark: SparkSession, lake: Path
) -> None:
    without(lake / "outcomes")
    with pytest.raises(CasError, match="table outcomes of the lake .*Restore the folder"):
        enter(spark, lake, 7)
    assert not (lake / "outcomes").exists()


def test_who_only_reads_makes_no_lake(spark: SparkSession, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    lake = Lake(spark, str(root))
    assert status_of(lake).lines == ["Nothing runs on this lake, and nothing broke off."]
    for read in (inventory_of, lambda lake: read_published(lake, AT.date())):
        with pytest.raises(CasError, match="no complete run"):
            read(lake)
    assert not root.exists()
    put(root, "photo.jpg")
    status_of(lake)
    assert list(content_of(root)) == ["photo.jpg"]
