"""`verify` recomputes what was published, names what is damaged, and writes nothing."""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cas_spark import cli
from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import open_run
from cas_spark.settings import load_settings
from tests.toy import POLL, run_quietly, write_settings

pytestmark = pytest.mark.spark

Verify = Callable[[Path], tuple[int, str]]


@pytest.fixture
def verify(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Verify:
    """Exit code and output of `cas-spark verify`, in the session of the tests."""
    monkeypatch.setattr("cas_spark.cli.lake.session", lambda *_: nullcontext(spark))

    def run(settings: Path) -> tuple[int, str]:
        code = cli.run_cli(["verify", "--settings", str(settings)])
        return code, capsys.readouterr().out

    return run


def content_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(output: str) -> dict[str, list[str]]:
    """Table -> the other columns of its row."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def test_a_lake_as_it_was_published_is_equal_and_nothing_is_written(
    spark: SparkSession, demo_lake: Path, verify: Verify
) -> None:
    last = Lake(spark, load_settings(demo_lake).lake).last_manifest
    assert last is not None
    before = content_of(demo_lake.parent)
    code, output = verify(demo_lake)
    assert code == 0
    assert results(output) == {
        name: [str(last.versions_out[name]), digest[:16], digest[:16], "equal"]
        for name, digest in last.digests.items()
    }
    assert "Every table holds what its run recorded." in output
    assert content_of(demo_lake.parent) == before


def flip(file: Path) -> None:
    """Flip a bit in the largest column, as a disk may; Hadoop keeps no checksum."""
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    group = pq.ParquetFile(file).metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    column = max(columns, key=lambda one: one.total_compressed_size)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    file.write_bytes(content)


@pytest.mark.slow
def test_what_is_damaged_or_differs_is_named_and_a_deleted_snapshot_file_is_computed_again(
    spark: SparkSession, demo_lake: Path, tmp_path: Path, verify: Verify
) -> None:
    shutil.copytree(demo_lake.parent, tmp_path / "toy")
    path = write_settings(tmp_path / "toy")
    settings = load_settings(path)
    root = Path(settings.lake)
    run = open_run(Lake(spark, settings.lake), "test", POLL, "{}", "0")
    run.digests["outcomes"] = "0" * 64  # as if its rows had been other ones
    recorded = run.publish()
    snapshots = min(root.glob("snapshots/*.parquet"))
    flip(snapshots)
    forecasts = min(root.glob("forecasts/**/*.parquet"))
    flip(forecasts)

    code, output = verify(path)
    assert code == 1
    found = {name: row[-1] for name, row in results(output).items()}
    assert found == dict.fromkeys(recorded.digests, "equal") | {
        "snapshots": "unreadable",
        "forecasts": "unreadable",
        "outcomes": "differs",
    }
    assert f"file {snapshots}: a damaged or missing file: bytes with the sha256" in output
    assert f"file {forecasts}: a damaged or missing file" in output

    with pytest.raises(CasError, match="working on: ") as error:
        run_quietly(spark, "forecast", settings, POLL)
    assert error.value.what == f"table snapshots of the lake {root}, file {snapshots}"
    assert "run `cas-spark snapshots`" in error.value.do

    snapshots.unlink()
    job = run_quietly(spark, "snapshots", settings, POLL)
    assert job.run.digests["snapshots"] == recorded.digests["snapshots"]
    assert snapshots.is_file()
