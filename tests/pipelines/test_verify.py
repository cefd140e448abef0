"""`verify` recomputes what was published, names what is damaged, and writes nothing."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import open_run
from cas_spark.pipelines.verify import DIFFERS, EQUAL, UNREADABLE, Verified, verify, verify_report
from cas_spark.settings import Settings, load_settings
from tests.toy import POLL, run_quietly, write_settings

pytestmark = pytest.mark.spark


def verified(spark: SparkSession, settings: Settings) -> Verified:
    return verify(Lake(spark, settings.lake), settings.resources.storage_access)


def content_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(found: Verified) -> dict[str, str]:
    return {verdict.table: verdict.result for verdict in found.verdicts}


def test_a_lake_as_it_was_published_is_equal_and_nothing_is_written(
    spark: SparkSession, demo_lake: Path
) -> None:
    before = content_of(demo_lake.parent)
    found = verified(spark, load_settings(demo_lake))
    assert found.is_equal
    last = Lake(spark, load_settings(demo_lake).lake).last_manifest
    assert last is not None
    assert {v.table: v.recomputed for v in found.verdicts} == dict(last.digests)
    report = verify_report(found)
    assert [row[-1] for row in report.tables[0].rows] == [EQUAL] * len(last.digests)
    assert report.lines == ["Every table holds what its run recorded."]
    assert content_of(demo_lake.parent) == before


def flip(file: Path) -> None:
    """Flip a bit of the first page of the last column, as a disk may; Hadoop keeps no checksum."""
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    group = pq.ParquetFile(file).metadata.row_group(0)
    column = group.column(group.num_columns - 1)
    content = bytearray(file.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 4
    file.write_bytes(content)


def test_what_is_damaged_or_swapped_is_named_and_a_deleted_snapshot_file_is_computed_again(
    spark: SparkSession, demo_lake: Path, tmp_path: Path
) -> None:
    shutil.copytree(demo_lake.parent, tmp_path / "toy")
    settings = load_settings(write_settings(tmp_path / "toy"))
    root = Path(settings.lake)
    run = open_run(Lake(spark, settings.lake), "test", POLL, "{}", "0")
    run.digests["outcomes"] = "0" * 64  # as if its rows had been other ones
    recorded = run.publish()

    snapshots = min(root.glob("snapshots/*.parquet"))
    flip(snapshots)
    forecasts = min(root.glob("forecasts/**/*.parquet"))
    flip(forecasts)

    found = verified(spark, settings)
    assert not found.is_equal
    wrong = {name: result for name, result in results(found).items() if result != EQUAL}
    assert wrong == {"snapshots": UNREADABLE, "forecasts": UNREADABLE, "outcomes": DIFFERS}
    text = "\n".join(verify_report(found).lines)
    assert f"file {snapshots}: a damaged or missing file: bytes with the sha256" in text
    assert f"file {forecasts}: a damaged or missing file" in text

    with pytest.raises(CasError, match="working on: ") as error:
        run_quietly(spark, "forecast", settings, POLL)
    assert error.value.what == f"table snapshots of the lake {root}, file {snapshots}"
    assert "run `cas-spark snapshots`" in error.value.do

    snapshots.unlink()
    job = run_quietly(spark, "snapshots", settings, POLL)
    assert job.run.digests["snapshots"] == recorded.digests["snapshots"]
    assert snapshots.is_file()
