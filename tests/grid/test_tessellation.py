"""Cells get the exact area of each team: compared with plain shapely, and rule by rule."""

from collections.abc import Mapping

import numpy as np
import pytest
import shapely
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from shapely.geometry.base import BaseGeometry

from cas_spark.grid.cells import cell_ids, cell_polygons, columns_and_rows
from cas_spark.grid.tessellation import tessellate

CELL_M2 = 15_625.0


def teams_of(spark: SparkSession, polygons: Mapping[str, BaseGeometry]) -> DataFrame:
    rows = [
        (team, f"name of {team}", team[0], bytearray(polygon.wkb))
        for team, polygon in polygons.items()
    ]
    return spark.createDataFrame(
        rows, "team_id string, team_name string, region string, wkb binary"
    ).select(
        "team_id",
        "team_name",
        "region",
        F.call_function("ST_GeomFromWKB", F.col("wkb")).alias("geometry"),
    )


def by_id(cells: DataFrame) -> list[Row]:
    return cells.orderBy("cell_id").collect()


def random_country(seed: int, x: float, y: float, side_m: float) -> dict[str, BaseGeometry]:
    """A ragged island with a lake, divided among four teams."""
    draw = np.random.default_rng(seed)
    angles = np.sort(draw.uniform(0, 2 * np.pi, 60))
    radii = draw.uniform(0.3, 0.5, 60) * side_m
    centre = np.array([x, y])
    coast = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lake = shapely.Point(centre + draw.uniform(-0.1, 0.1, 2) * side_m).buffer(0.1 * side_m)
    land = shapely.make_valid(shapely.Polygon(coast)).difference(lake)
    sites = shapely.MultiPoint(centre + draw.uniform(-0.4, 0.4, (4, 2)) * side_m)
    regions = shapely.voronoi_polygons(sites, extend_to=land).geoms
    return {f"{seed}-{i}": region.intersection(land) for i, region in enumerate(regions)}


def oracle(polygons: Mapping[str, BaseGeometry]) -> dict[int, dict[str, float]]:
    """Every cell's shares by team, one polygon after the other against one cell after the other."""
    shares: dict[int, dict[str, float]] = {}
    for team, polygon in polygons.items():
        left, bottom, right, top = (int(edge // 125) for edge in polygon.bounds)
        columns, rows = np.meshgrid(np.arange(left, right + 1), np.arange(bottom, top + 1))
        ids = cell_ids(columns.ravel(), rows.ravel())
        areas = shapely.area(shapely.intersection(cell_polygons(ids), polygon))
        for cell_id, area in zip(ids.tolist(), areas.tolist(), strict=True):
            if area > 0:
                shares.setdefault(cell_id, {})[team] = area / CELL_M2
    return shares


@pytest.mark.spark
def test_areas_equal_those_of_shapely(spark: SparkSession) -> None:
    polygons = {
        **random_country(1, 155_000, 463_000, 9_000),
        **random_country(2, -40_000, -70_000, 5_000),  # across edges of the largest squares
        **random_country(3, 0, 0, 700),
    }
    expected = oracle(polygons)
    found = {row.cell_id: row for row in tessellate(teams_of(spark, polygons)).collect()}
    assert set(found) <= set(expected)
    for cell_id, shares in expected.items():
        row = found.get(cell_id)
        ours = {pair.team_id: pair.share for pair in row.team_shares} if row else {}
        assert ours.keys() <= shares.keys()
        assert {t: ours.get(t, 0) for t in shares} == pytest.approx(shares, abs=2**-25 + 1e-12)
        if row is None:
            continue
        assert (row.column, row.row) == columns_and_rows(cell_id)
        assert [pair.team_id for pair in row.team_shares] == sorted(ours)
        land = min(1.0, sum(shares.values()))
        assert row.land_share == pytest.approx(land, abs=2**-24)
        assert row.team_id == min(ours, key=lambda team: (-ours[team], team))
        assert row.team_name == f"name of {row.team_id}"
        assert row.region == row.team_id[0]
    assert sum(row.land_share for row in found.values()) * CELL_M2 == pytest.approx(
        sum(polygon.area for polygon in polygons.values()), rel=1e-7
    )
    # The shape of the example: many full cells, many on the coast, some of several teams.
    assert sum(row.land_share == 1 for row in found.values()) > 2_000
    assert sum(row.land_share < 1 for row in found.values()) > 200
    assert sum(len(row.team_shares) > 1 for row in found.values()) > 100


@pytest.mark.spark
def test_a_cell_split_evenly_goes_to_the_first_id(spark: SparkSession) -> None:
    west, east = shapely.box(-125, 0, -62.5, 125), shapely.box(-62.5, 0, 0, 125)
    (cell,) = tessellate(teams_of(spark, {"b": west, "a": east})).collect()
    assert (cell.cell_id, cell.column, cell.row) == (cell_ids(-1, 0), -1, 0)
    assert (cell.team_id, cell.team_name, cell.region) == ("a", "name of a", "a")
    assert cell.land_share == 1
    assert [tuple(pair) for pair in cell.team_shares] == [("a", 0.5), ("b", 0.5)]


@pytest.mark.spark
def test_the_largest_share_wins_a_divided_cell(spark: SparkSession) -> None:
    polygons = {"a": shapely.box(0, 0, 50, 125), "b": shapely.box(50, 0, 125, 100)}
    (cell,) = tessellate(teams_of(spark, polygons)).collect()
    assert cell.team_id == "b"
    assert cell.land_share == pytest.approx(0.4 + 0.48, abs=2**-24)
    assert cell.land_share == sum(pair.share for pair in cell.team_shares)


@pytest.mark.spark
def test_holes_and_slivers_are_no_land(spark: SparkSession) -> None:
    ring = shapely.box(0, 0, 375, 375).difference(shapely.box(125, 125, 250, 250))
    sliver = shapely.box(1_250, 0, 1_250.000001, 125)
    cells = by_id(tessellate(teams_of(spark, {"ring": ring, "sliver": sliver})))
    places = {(cell.column, cell.row) for cell in cells}
    assert places == {(c, r) for c in range(3) for r in range(3)} - {(1, 1)}
    assert {cell.land_share for cell in cells} == {1.0}


@pytest.mark.spark
def test_rows_of_the_same_team_add_up(spark: SparkSession) -> None:
    west, east = shapely.box(0, 0, 25, 125), shapely.box(100, 0, 125, 125)
    twice = teams_of(spark, {"a": west}).unionAll(teams_of(spark, {"a": east}))
    (cell,) = tessellate(twice).collect()
    assert [pair.team_id for pair in cell.team_shares] == ["a"]
    assert cell.land_share == pytest.approx(0.4, abs=2**-24)


@pytest.mark.spark
def test_partitions_change_nothing(spark: SparkSession) -> None:
    polygons = random_country(7, -3_000, 12_000, 3_000)
    found = []
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        for partitions in (1, 7):
            spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
            teams = teams_of(spark, polygons).repartition(partitions)
            found.append(by_id(tessellate(teams)))
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(before))
    assert len(found[0]) > 200
    assert found[0] == found[1]


@pytest.mark.spark
def test_a_full_cell_is_full_however_many_teams_divide_it(spark: SparkSession) -> None:
    thirds = {str(i): shapely.box(i * 125 / 3, 0, (i + 1) * 125 / 3, 125) for i in range(3)}
    (cell,) = tessellate(teams_of(spark, thirds)).collect()
    assert cell.team_id == "0"
    assert cell.land_share == 1
    assert sum(pair.share for pair in cell.team_shares) < 1
