"""Layers arrive on the grid's plane, and what is wrong with a file is said with what it holds."""

import sqlite3
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from pyproj import CRS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from shapely.geometry.base import BaseGeometry

from cas_spark.errors import CasError
from cas_spark.grid.layers import _names_in_file, read_areas, read_layer, read_teams
from cas_spark.grid.vector_files import open_layer
from cas_spark.settings.geography import Layer, TeamLayer

RD, UTM = "EPSG:28992", "EPSG:26915"
SQUARE, NEXT = shapely.box(0, 0, 125, 125), shapely.box(125, 0, 250, 125)
BOW_TIE = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])


def write(folder: Path, geometries: list[Any], crs: Any = RD, **columns: list[Any]) -> str:
    file = folder / "places.gpkg"
    geopandas.GeoDataFrame(columns, geometry=geometries, crs=crs).to_file(file, layer="places")
    return str(file)


def geometries_of(frame: DataFrame) -> list[BaseGeometry]:
    rows = frame.select(F.call_function("ST_AsBinary", F.col("geometry")).alias("wkb")).collect()
    return [shapely.from_wkb(bytes(row.wkb)) for row in rows]


def teams(path: str, **columns: str) -> TeamLayer:
    return TeamLayer.model_validate({"path": path, "layer": "places", "id": "code", **columns})


@pytest.mark.spark
def test_a_layer_of_the_grids_crs_stays_as_it_is(spark: SparkSession, tmp_path: Path) -> None:
    place = shapely.Point(155_000.123456789, 463_000.987654321)
    path = write(tmp_path, [place], name=["Amersfoort"], more=[1])
    layer = read_layer(spark, Layer(path=path, layer="places"), RD, ["name"])
    assert layer.columns == ["name", "geometry"]
    assert geometries_of(layer) == [place]


@pytest.mark.spark
def test_a_missing_number_stays_missing(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [SQUARE, NEXT, SQUARE], code=[7, None, 9], value=[None, 1.5, 0.0])
    layer = read_layer(spark, Layer(path=path, layer="places"), RD, ["value", "fid", "code"])
    assert [tuple(row)[:3] for row in layer.orderBy("fid").collect()] == [
        (None, 1, 7),
        (1.5, 2, None),
        (0.0, 3, 9),
    ]
    with pytest.raises(CasError, match="1 rows without an id in code"):
        read_teams(spark, teams(path), RD)


@pytest.mark.spark
@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:4326",
        "EPSG:26916",
        "ESRI:102696",
        CRS.from_proj4("+proj=tmerc +lat_0=35 +lon_0=-90 +k=0.9999 +x_0=250000 +units=us-ft"),
    ],
    ids=["degrees", "metres", "feet", "custom"],
)
def test_a_layer_of_another_crs_is_moved(spark: SparkSession, tmp_path: Path, crs: Any) -> None:
    x, y = 740_000.0, 4_280_000.0
    there = pyproj.Transformer.from_crs(UTM, crs, always_xy=True).transform(x, y)
    path = write(tmp_path, [shapely.Point(there)], crs=crs)
    (found,) = geometries_of(read_layer(spark, Layer(path=path, layer="places"), UTM))
    assert isinstance(found, shapely.Point)
    assert [found.x, found.y] == pytest.approx([x, y], abs=0.01)
    assert round(found.x, 3) == found.x


@pytest.mark.spark
def test_what_a_file_lacks_is_told_with_what_it_has(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [SQUARE], code=["a"], name=["b"])
    text = tmp_path / "text.gpkg"
    text.write_text("not a GeoPackage")
    for layer, message in {
        Layer(path=str(tmp_path / "none.gpkg"), layer="x"): "file .*none.gpkg: found nothing there",
        Layer(path="file:///none.gpkg", layer="x"): "file .*none.gpkg: found nothing there",
        Layer(
            path=str(text), layer="x"
        ): "cannot be opened; expected a GeoPackage, GeoJSON, Shapefile or FlatGeobuf",
        Layer(path=path, layer="x"): "no such layer; expected one of its layers: places",
    }.items():
        with pytest.raises(CasError, match=message):
            read_layer(spark, layer, RD)
    with pytest.raises(CasError, match="no column id; expected one of its columns: .*code, name"):
        read_teams(spark, teams(path, id="id"), RD)


def test_a_column_is_found_by_what_a_person_sees(tmp_path: Path) -> None:
    path = write(tmp_path, [SQUARE], **{"\ufeffcode ": ["a"], "plaats\u00a0e\u0301": ["b"]})
    opened = open_layer(path, None)
    assert _names_in_file(opened, ["plaats\u00a0\u00e9", "code"]) == [
        "plaats\u00a0e\u0301",
        "\ufeffcode ",
    ]


def test_columns_that_look_alike_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [SQUARE], **{"code": ["a"], "code\u200b": ["b"]})
    with pytest.raises(CasError, match="several columns that look like code"):
        _names_in_file(open_layer(path, None), ["code"])


def test_a_layer_is_found_by_what_a_person_sees(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"code": ["a"]}, geometry=[SQUARE], crs=RD)
    frame.to_file(tmp_path / "places.gpkg", layer="wijken\u00a0")
    frame.to_file(tmp_path / "places.gpkg", layer="buurten")
    assert open_layer(str(tmp_path / "places.gpkg"), "wijken").features == 1


@pytest.mark.spark
def test_a_layer_without_rows_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [])
    with pytest.raises(CasError, match="no rows"):
        read_layer(spark, Layer(path=path, layer="places"), RD)


@pytest.mark.spark
def test_rows_without_a_geometry_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [None, SQUARE, None])
    with pytest.raises(CasError, match="2 of 3 rows without a geometry"):
        read_layer(spark, Layer(path=path, layer="places"), RD)


@pytest.mark.spark
@pytest.mark.parametrize("code", [-1, 0])
def test_a_layer_without_a_crs_is_refused(spark: SparkSession, tmp_path: Path, code: int) -> None:
    path = write(tmp_path, [SQUARE])
    with sqlite3.connect(path) as file:
        file.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (code,))
        file.execute("UPDATE gpkg_contents SET srs_id = ?", (code,))
    file.close()
    with pytest.raises(CasError, match="no CRS.*`cas-spark layers .* is EPSG:26915"):
        read_layer(spark, Layer(path=path, layer="places"), UTM)


@pytest.mark.spark
def test_rows_of_a_team_are_dissolved(spark: SparkSession, tmp_path: Path) -> None:
    overlapping = shapely.box(100, 0, 250, 125)
    path = write(
        tmp_path,
        [SQUARE, overlapping, shapely.box(500, 0, 600, 100)],
        code=[1.0, 1.0, 2.5],
        name=["one", None, " "],
    )
    found = read_teams(spark, teams(path, name="name"), RD).orderBy("team_id")
    assert found.drop("geometry").collect() == [("1", "one", None), ("2.5", None, None)]
    assert dict(found.dtypes)["team_id"] == "string"
    assert [polygon.area for polygon in geometries_of(found)] == [250 * 125, 100 * 100]


@pytest.mark.spark
def test_an_invalid_polygon_is_made_valid(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [BOW_TIE], code=["a"])
    (found,) = geometries_of(read_teams(spark, teams(path), RD))
    assert found.is_valid
    assert found.area == 5_000


@pytest.mark.spark
def test_unusable_rows_of_teams_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [SQUARE, NEXT, NEXT, shapely.Point(1, 1), shapely.Polygon()],
        code=[None, " ", "c", "d", "e"],
    )
    with pytest.raises(CasError, match="2 rows without an id in code; 2 rows without a polygon"):
        read_teams(spark, teams(path), RD)


@pytest.mark.spark
def test_a_team_with_two_regions_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [SQUARE, NEXT], code=["a", "a"], name=["x", "x"], region=["n", "s"])
    with pytest.raises(CasError, match="found team a with regions n, s; expected"):
        read_teams(spark, teams(path, name="name", region="region"), RD)


@pytest.mark.spark
@pytest.mark.parametrize("is_split", [True, False], ids=["split at 180", "one polygon"])
def test_a_polygon_across_the_antimeridian_is_whole(
    spark: SparkSession,
    tmp_path: Path,
    is_split: bool,  # noqa: FBT001  # a case
) -> None:
    there = shapely.box(2_050_000, 5_100_000, 2_450_000, 5_150_000)
    outline = shapely.segmentize(there, 10_000)
    back = pyproj.Transformer.from_crs("EPSG:2193", "EPSG:4326", always_xy=True)
    around = shapely.transform(
        outline, lambda xy: np.column_stack(back.transform(*xy.T)) % (360, 400) - (0, 400)
    )
    assert around.bounds[0] < 180 < around.bounds[2]
    west, east = (around & shapely.box(*half) for half in ((0, -90, 180, 0), (180, -90, 360, 0)))
    east = shapely.transform(east, lambda xy: xy - (360, 0))
    given = shapely.union_all([west, east]) if is_split else around
    path = write(tmp_path, [given], crs="EPSG:4326", code=["a"])
    (found,) = geometries_of(read_teams(spark, teams(path), "EPSG:2193"))
    assert found.area == pytest.approx(there.area, rel=1e-5)
    assert found.symmetric_difference(there).area < 1e-4 * there.area


@pytest.mark.spark
def test_overlapping_teams_are_refused_or_the_smallest_gets_the_ground(
    spark: SparkSession, tmp_path: Path
) -> None:
    campus = shapely.box(1_000, 1_000, 1_500, 1_500)
    path = write(tmp_path, [shapely.box(0, 0, 5_000, 5_000), campus], code=["city", "campus"])
    message = "campus and city share 0.25 km2 around x = 1250.0, y = 1250.0; .*overlaps: smallest"
    with pytest.raises(CasError, match=message):
        read_teams(spark, teams(path), RD)
    found = read_teams(spark, teams(path, overlaps="smallest"), RD).orderBy("team_id")
    assert [row.team_id for row in found.collect()] == ["campus", "city"]
    assert [polygon.area for polygon in geometries_of(found)] == [25e4, 25e6 - 25e4]
    within = write(tmp_path, [campus, campus], code=["a", "b"])
    with pytest.raises(CasError, match="no ground of its own left for b"):
        read_teams(spark, teams(within, overlaps="smallest"), RD)


@pytest.mark.spark
def test_overlapping_areas_are_refused_or_the_smallest_gets_the_ground(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path, [shapely.box(0, 0, 500, 500), shapely.box(0, 0, 100, 100)], code=[1, 2])
    layer, what = Layer(path=path), "grid.area_statistics.people.2020-01-01"
    with pytest.raises(CasError, match=r"share 10,000 m2 .* grid.area_statistics.people.overlaps"):
        read_areas(spark, layer, "code", {"n": "code"}, RD, what=what)
    found = read_areas(spark, layer, "code", {"n": "code"}, RD, overlaps="smallest")
    assert [row.figures.n for row in found.orderBy("area_id").collect()] == ["1", "2"]
    assert [p.area for p in geometries_of(found.orderBy("area_id"))] == [240_000, 10_000]
