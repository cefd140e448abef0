"""Distances run from a cell's centre to the nearest geometry; near is at most 500 m."""

from datetime import date
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.grid.cells import cell_ids, centres
from cas_spark.grid.surroundings import nearest_and_near, surroundings_of
from cas_spark.settings.geography import Surrounding

RD = "EPSG:28992"


def surrounding(path: Path, layer: str) -> Surrounding:
    return Surrounding(path=str(path), layer=layer, name=layer, published_on=date(2015, 1, 1))


@pytest.mark.spark
def test_points_and_lines_are_measured_from_the_centre(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "places.gpkg"
    # From the centre (62.5, 62.5): 500 m, just more, 30 m; the railway 200 m above it.
    stations = [shapely.Point(562.5, 62.5), shapely.Point(562.6, 62.5), shapely.Point(80.5, 86.5)]
    rails = [shapely.LineString([(-9_000, 262.5), (9_000, 262.5)])]
    geopandas.GeoDataFrame(geometry=stations, crs=RD).to_file(file, layer="station")
    geopandas.GeoDataFrame(geometry=rails, crs=RD).to_file(file, layer="rail")
    cells = spark.createDataFrame(
        [(int(cell_ids(0, 0)), 1.0), (int(cell_ids(0, -80)), 1.0)], "cell_id long, more double"
    )
    places = [surrounding(file, "station"), surrounding(file, "rail")]
    found = surroundings_of(cells, places, RD)
    assert found.dtypes == [
        ("cell_id", "bigint"),
        ("station_distance_m", "float"),
        ("station_within_500m", "float"),
        ("rail_distance_m", "float"),
        ("rail_within_500m", "float"),
    ]
    far, near = found.orderBy("cell_id").collect()
    assert near == (cell_ids(0, 0), 30.0, 2.0, 200.0, 1.0)
    assert far[2:] == (0.0, 10_200.0, 0.0)
    assert far.station_distance_m == round(np.hypot(500, 10_000) * 64) / 64


@pytest.mark.spark
def test_measures_equal_a_plain_search(spark: SparkSession) -> None:
    draw = np.random.default_rng(500)
    points = shapely.points(draw.uniform(-3_000, 3_000, (40, 2)))
    ids = cell_ids(draw.integers(-30, 30, 300), draw.integers(-30, 30, 300))
    expected = np.linalg.norm(centres(ids)[:, None] - shapely.get_coordinates(points)[None], axis=2)
    cells = spark.createDataFrame([(i,) for i in ids.tolist()], "cell_id long").repartition(3)
    found = nearest_and_near(cells, {"place": [bytes(wkb) for wkb in shapely.to_wkb(points)]})
    rows = {row.cell_id: row for row in found.collect()}
    for cell_id, distances in zip(ids.tolist(), expected, strict=True):
        row = rows[cell_id]
        assert row.place_distance_m == pytest.approx(distances.min(), abs=1 / 128)
        assert row.place_distance_m * 64 % 1 == 0
        assert row.place_within_500m == (distances <= 500).sum()


@pytest.mark.spark
def test_without_surroundings_only_the_cells_remain(spark: SparkSession) -> None:
    cells = spark.createDataFrame([(int(cell_ids(0, 0)),)], "cell_id long")
    assert surroundings_of(cells, [], RD).collect() == cells.collect()


@pytest.mark.spark
def test_an_empty_geometry_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "places.gpkg"
    places = geopandas.GeoDataFrame(geometry=[shapely.Point(1, 1), shapely.Point()], crs=RD)
    places.to_file(file, layer="station")
    cells = spark.createDataFrame([(int(cell_ids(0, 0)),)], "cell_id long")
    with pytest.raises(CasError, match="1 of 2 rows with"):
        surroundings_of(cells, [surrounding(file, "station")], RD)
