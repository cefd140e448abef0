"""A lake has one key for its life; no snapshot, model or forecast depends on which."""

from datetime import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.lake.manifest import Manifest
from cas_spark.pipelines.keys import key_of
from cas_spark.settings import load_settings
from cas_spark.sources.keyed_ids import check_of_key
from tests.pipelines.test_retain import rows_of_toy, with_orders, write_orders
from tests.toy import (
    KEY,
    POLL,
    incident,
    run_quietly,
    write_extract,
    write_settings,
    write_teams,
    write_toy,
)

pytestmark = pytest.mark.spark

ANOTHER = KEY[::-1]
WITH_IDS = {"incidents", "revisions", "revision_costs", "rejected_rows"}


def last_of(spark: SparkSession, lake: str) -> Manifest:
    manifest = Lake(spark, lake).last_manifest
    assert manifest is not None
    return manifest


def test_a_new_lake_gets_a_key_and_keeps_it(spark: SparkSession, tmp_path: Path) -> None:
    write_teams(tmp_path / "teams.gpkg")
    write_extract(tmp_path / "incidents_1.csv", rows_of_toy())
    settings, file = load_settings(write_settings(tmp_path)), tmp_path / "lake.key"
    file.unlink()
    run_quietly(spark, "ingest", settings, None)
    key = file.read_bytes().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert last_of(spark, settings.lake).facts["pseudonym_check"] == check_of_key(key)
    assert key_of(Lake(spark, settings.lake), settings) == key
    for file_in_lake in (tmp_path / "lake").rglob("*"):
        assert not file_in_lake.is_file() or key not in file_in_lake.read_bytes()

    file.unlink()  # never another one in its place
    with pytest.raises(CasError, match="no such file; expected the key with which the ids"):
        run_quietly(spark, "ingest", settings, None)
    assert not file.exists()
    write_settings(tmp_path)
    with pytest.raises(CasError, match="another than that with which the lake's ids were made"):
        run_quietly(spark, "ingest", settings, None)


@pytest.mark.slow
def test_only_the_tables_of_ids_depend_on_the_key(spark: SparkSession, tmp_path: Path) -> None:
    digests = []
    for folder, key in ((tmp_path / "one", KEY), (tmp_path / "other", ANOTHER)):
        orders = with_orders(folder)["revisions"]["orders"]
        path = write_toy(folder, revisions={"orders": orders})
        named = [
            incident(f"new-{i}", "B1", datetime(2022, 3, 1 + i, 12), (i, 2))  # noqa: DTZ001
            for i in range(2)
        ]
        write_extract(folder / "incidents_3.csv", [*named, *named])
        write_orders(folder, 1)
        (folder / "lake.key").write_text(key)
        run_quietly(spark, "weekly", load_settings(path), POLL)
        digests.append(last_of(spark, load_settings(path).lake).digests)
    one, other = digests
    assert {name for name in one if one[name] != other[name]} == WITH_IDS
