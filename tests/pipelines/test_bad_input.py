"""What a step refuses: the error names it and says what to do, and the lake stays as it was."""

import gzip
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.visibility import counts_at, known_at
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.manifest import Manifest
from cas_spark.settings import load_settings
from tests.toy import (
    POLL,
    content_of_toy,
    run_quietly,
    write_areas,
    write_settings,
    write_toy,
)

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of the toy country with facts and cells; a step that fails leaves it so."""
    folder = tmp_path_factory.mktemp("ingested")
    settings = load_settings(write_toy(folder))
    run_quietly(spark, "ingest", settings, None)
    run_quietly(spark, "grid", settings, None)
    return folder


def last_manifest(spark: SparkSession, folder: Path) -> Manifest:
    manifest = Lake(spark, str(folder / "lake")).last_manifest
    assert manifest is not None
    return manifest


def grid_with(folder: Path, **changes: Any) -> dict[str, Any]:
    grid: dict[str, Any] = content_of_toy(folder)["grid"]
    return {"grid": grid | changes}


def incidents_with(**changes: Any) -> dict[str, Any]:
    register = content_of_toy(Path())["incidents"]["register"]
    return {"incidents": {"register": register | changes}}


@pytest.mark.parametrize(
    ("step", "poll", "changes", "texts"),
    [
        (
            "snapshots",
            POLL + timedelta(weeks=60),
            {},
            ["poll 2025-03-03", "last row became known on 2024-04-1", "an earlier --poll"],
        ),
        (
            "snapshots",
            POLL,
            {"polls": {"count": 300}},
            [
                "300 polls to learn from",
                "first complete week of extracts from 2020-01-06",
                "lower polls.count",
            ],
        ),
        (
            "snapshots",
            POLL,
            incidents_with(complete_from="2021-01-04"),
            ["history before the first poll", "burglary_count_156w", "allow_short_history"],
        ),
        (
            "snapshots",
            POLL,
            incidents_with(complete=[["2020-01-01", "2023-12-31"], ["2024-02-05", None]]),
            ["poll 2024-01-08", "2020-01-01 to 2023-12-31, and from 2024-02-05 on", "`complete`"],
        ),
        (
            "snapshots",
            POLL,
            incidents_with(complete=[["2020-01-01", "2023-09-30"], ["2023-10-05", None]]),
            ["13 polls to learn from", "first complete week of extracts from 2023-10-09"],
        ),
        (
            "snapshots",
            date(2023, 3, 6),
            {"polls": {"count": 13, "allow_short_history": True}},
            ["grid version v1", "valid_from 2023-01-02", "polls from 2022-"],
        ),
        ("forecast", POLL, {}, ["the forecast of 2024-01-08", "Run `cas-spark train`"]),
        (
            "grid",
            None,
            grid_with(Path(), removal=[]),
            ["grid version v1", "settings or files other than", "a new grid.version"],
        ),
        (
            "snapshots",
            POLL,
            grid_with(Path(), version="v2"),
            ["grid version v2", "no cells in the lake", "cas-spark grid"],
        ),
    ],
)
def test_a_step_that_cannot_be_done_says_why_and_publishes_nothing(
    spark: SparkSession,
    folder: Path,
    step: str,
    poll: date | None,
    changes: dict[str, Any],
    texts: list[str],
) -> None:
    before = last_manifest(spark, folder)
    if "grid" in changes:
        teams = content_of_toy(folder)["grid"]["teams"]
        changes = changes | {"grid": changes["grid"] | {"teams": teams}}
    settings = load_settings(write_settings(folder, **changes))
    with pytest.raises(CasError) as refused:
        run_quietly(spark, step, settings, poll)
    for text in texts:
        assert text in str(refused.value)
    assert last_manifest(spark, folder) == before


def test_short_history_that_is_allowed_leaves_indicators_out_and_says_so(
    spark: SparkSession, folder: Path
) -> None:
    changes = {"polls": {"count": 104, "allow_short_history": True}}
    changes |= grid_with(folder, version="v2", valid_from="2021-01-04")
    settings = load_settings(write_settings(folder, **changes))
    run_quietly(spark, "grid", settings, None)
    run_quietly(spark, "snapshots", settings, POLL)
    manifest = last_manifest(spark, folder)
    left_out = manifest.facts["left_out_indicators"]
    assert "burglary_count_156w" in left_out
    columns = Lake(spark, str(folder / "lake")).read_version(
        "snapshots", manifest.versions_out["snapshots"]
    )
    assert not set(left_out) & set(columns.columns)
    assert "burglary_count_52w" in columns.columns


def test_a_gap_is_no_quiet_time(spark: SparkSession, folder: Path) -> None:
    """Nothing from before a gap counts, and no window reaches over it."""
    gap = incidents_with(complete=[["2020-01-01", "2021-05-31"], ["2021-07-01", None]])
    changes = gap | {"polls": {"count": 13, "allow_short_history": True}}
    settings = load_settings(write_settings(folder, **changes))
    run_quietly(spark, "snapshots", settings, POLL)
    manifest = last_manifest(spark, folder)
    left_out = manifest.facts["left_out_indicators"]
    assert {"burglary_count_156w", "robbery_count_156w"} <= set(left_out)
    assert "burglary_count_104w" not in left_out
    lake = Lake(spark, settings.lake)
    snapshots = lake.read_version("snapshots", manifest.versions_out["snapshots"])
    [counted] = (
        snapshots.where(F.col("poll_on") == F.lit(POLL))
        .agg(F.sum("burglary_count_all").alias("all"))
        .collect()
    )
    kept = lake.read(tables.CELLS).where("is_kept AND grid_version = 'v1'").select("cell_id")
    seen = known_at(lake.read(tables.INCIDENTS), instant_of(POLL, settings.zone))
    of_kept = seen.where("priority = 'burglary'").join(kept, "cell_id", "left_semi")
    after_gap = counts_at() >= F.lit(instant_of(date(2021, 7, 5), settings.zone))
    assert counted["all"] == of_kept.where(after_gap).count() < of_kept.count()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("incidents_3.csv.gz", gzip.compress(b"number,kind\n" * 99)[:40]),
        ("incidents_3.csv", b"number,kind\n1,B1\n"),
        ("incidents_3.csv", b""),
    ],
    ids=["cut off", "columns missing", "empty"],
)
def test_one_bad_extract_keeps_the_others_out_too(
    spark: SparkSession, tmp_path: Path, name: str, content: bytes
) -> None:
    settings = load_settings(write_toy(tmp_path))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CasError) as refused:
        run_quietly(spark, "ingest", settings, None)
    assert name in str(refused.value)
    lake = Lake(spark, settings.lake)
    assert lake.last_manifest is None
    assert not (tmp_path / "lake" / tables.INCIDENTS.name).exists()


def test_points_in_another_crs_than_declared_are_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_toy(tmp_path)
    incidents = content_of_toy(tmp_path)["incidents"]
    incidents["register"]["location"]["crs"] = "EPSG:32631"
    settings = load_settings(write_settings(tmp_path, incidents=incidents))
    with pytest.raises(CasError, match="incidents_1.csv") as refused:
        run_quietly(spark, "ingest", settings, None)
    assert "EPSG:32631" in str(refused.value)
    assert Lake(spark, settings.lake).last_manifest is None


def test_an_extract_without_a_row_that_can_be_used_keeps_the_others_out_too(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = load_settings(write_toy(tmp_path))
    header = (tmp_path / "incidents_1.csv").read_text().splitlines()[0]
    (tmp_path / "incidents_2.csv.gz").write_bytes(
        gzip.compress(f"{header}\nonly,three,fields\n".encode(), mtime=0)
    )
    with pytest.raises(CasError, match=r"incidents_2.csv.gz.*malformed is row 1 .*delimiter"):
        run_quietly(spark, "ingest", settings, None)
    assert Lake(spark, settings.lake).last_manifest is None


@pytest.mark.parametrize("of_areas", [False, True], ids=["teams", "areas"])
def test_overlapping_polygons_are_told_before_any_extract_is_read(
    spark: SparkSession,
    tmp_path: Path,
    of_areas: bool,  # noqa: FBT001  # a case
) -> None:
    write_toy(tmp_path)
    for extract in tmp_path.glob("incidents_*"):
        extract.write_bytes(b"")  # which would be refused as empty
    square, over_it = shapely.box(0, 0, 1_000, 1_000), shapely.box(500, 0, 1_500, 1_000)
    areas = {
        "name": "people",
        "area": "id",
        "figures": [
            {"name": "n", "column": "name", "kind": "average", "unit": "1", "meaning": "a number"}
        ],
        "editions": [{"path": str(tmp_path / "areas.gpkg"), "published_on": "2022-01-01"}],
    }
    write_areas(
        tmp_path / ("areas.gpkg" if of_areas else "teams.gpkg"),
        {"Alfa": square, "Bravo": over_it},
    )
    changes = grid_with(tmp_path, area_statistics=[areas]) if of_areas else {}
    settings = load_settings(write_settings(tmp_path, **changes))
    with pytest.raises(CasError, match=r"A and B share 0\.50 km2 around x = 750\.0, y = 500\.0"):
        run_quietly(spark, "ingest", settings, None)
    assert Lake(spark, settings.lake).last_manifest is None
