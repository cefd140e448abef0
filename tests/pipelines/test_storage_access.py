"""A lake on storage that Hadoop reaches and Arrow does not: Spark moves the same bytes.

Hadoop's view of another file system stands in for such storage; Arrow knows nothing of it.
"""

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.commands import run_retain
from cas_spark.pipelines.reports.inventory import inventory_of
from cas_spark.platform.storage import arrow_file_system
from cas_spark.settings import load_settings
from tests.toy import POLL, run_quietly, write_settings, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]
NEXT = POLL + timedelta(weeks=1)


@pytest.fixture(scope="module")
def far(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of such a lake, on which a week has run."""
    folder = tmp_path_factory.mktemp("far")
    (folder / "store").mkdir()
    link = "fs.viewfs.mounttable.far.link./store"
    spark._jsc.hadoopConfiguration().set(link, (folder / "store").as_uri())
    path = write_toy(
        folder,
        lake="viewfs://far/store/lake",
        pseudonym_key={"file": str(folder / "lake.key")},
        resources={"storage_access": "spark"},
        tracking={"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": str(folder / "artifacts")},
    )
    run_quietly(spark, "weekly", load_settings(path), POLL)
    return path


def digests(spark: SparkSession, settings: Path) -> dict[str, str]:
    inventory = inventory_of(Lake(spark, load_settings(settings).lake))
    return {table["name"]: table["digest"] for table in inventory["tables"]}


def test_arrow_cannot_reach_it(far: Path) -> None:
    with pytest.raises((OSError, pa.ArrowException)):
        arrow_file_system(load_settings(far).lake)


def test_the_bytes_that_spark_wrote_are_recorded(spark: SparkSession, far: Path) -> None:
    slices = Lake(spark, load_settings(far).lake).read(tables.SNAPSHOT_SLICES).collect()
    recorded = {row["file"]: row["file_sha256"] for row in slices}
    folder = far.parent / "store/lake/snapshots"
    assert recorded == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in recorded
    }


def test_a_week_has_the_same_digests_and_maps(
    spark: SparkSession, far: Path, demo_lake: Path
) -> None:
    assert digests(spark, far) == digests(spark, demo_lake)
    maps = {path.name: path.read_bytes() for path in demo_lake.parent.glob(f"lake/maps/{POLL}/*")}
    found = far.parent.glob(f"store/lake/maps/{POLL}/[!.]*")
    assert {path.name: path.read_bytes() for path in found} == maps
    assert maps


def test_retain_refuses_what_it_could_not_search_before_it_removes_anything(
    spark: SparkSession, far: Path
) -> None:
    before, settings = digests(spark, far), load_settings(far)
    retention = settings.retention.model_copy(update={"incidents": 1, "exports": 1})
    strict = settings.model_copy(update={"retention": retention})
    with pytest.raises(CasError, match="storage that Arrow cannot reach.*nothing was removed"):
        run_retain(spark, strict, POLL + timedelta(days=3_000))
    assert digests(spark, far) == before
    assert list(far.parent.glob(f"store/lake/maps/{POLL}/*"))


def test_the_next_week_adds_to_it_as_tasks_would_themselves(
    spark: SparkSession, far: Path, demo_lake: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "near"
    shutil.copytree(demo_lake.parent, folder)
    near = write_settings(folder)
    for path in (near, far):
        run_quietly(spark, "snapshots", load_settings(path), NEXT)
    assert digests(spark, far) == digests(spark, near)
    # An indicator left out makes every slice anew: what was there goes.
    left_out = {"indicators": {"leave_out": ["any_*"]}}
    fewer = write_settings(folder, **left_out)
    fewer_far = far.with_name("fewer.yaml")
    fewer_far.write_text(far.read_text() + "indicators: {leave_out: ['any_*']}\n")
    for path in (fewer, fewer_far):
        run_quietly(spark, "snapshots", load_settings(path), NEXT)
    assert digests(spark, fewer_far) == digests(spark, fewer)
