"""The land of some cells is what cutting the whole country gives."""

import numpy as np
import pytest
import shapely
from pyspark.sql import SparkSession

from cas_spark.grid.cells import cell_ids
from cas_spark.grid.land_at import land_among
from cas_spark.grid.tessellation import tessellate
from tests.grid.test_tessellation import random_country, teams_of


@pytest.mark.spark
def test_the_land_among_cells_is_that_of_the_tessellation(spark: SparkSession) -> None:
    sliver = shapely.box(159_000, 463_000, 159_000.000001, 463_125)
    polygons = {**random_country(5, 155_000, 463_000, 3_000), "sliver": sliver}
    cells = {row.cell_id for row in tessellate(teams_of(spark, polygons)).collect()}
    columns, rows = np.meshgrid(np.arange(1_220, 1_280), np.arange(3_680, 3_730))
    ids = cell_ids(columns.ravel(), rows.ravel())
    np.random.default_rng(1).shuffle(ids)
    found = set(ids[land_among(ids, list(polygons.values()))].tolist())
    assert len(cells) > 200
    assert cells <= set(ids.tolist())
    assert found == cells


def test_edges_slivers_and_holes_are_no_land() -> None:
    ring = shapely.box(0, 0, 375, 375).difference(shapely.box(125, 125, 250, 250))
    sliver = shapely.box(1_250, 0, 1_250.000001, 125)
    columns, rows = np.meshgrid(np.arange(-2, 12), np.arange(-2, 5))
    ids = cell_ids(columns.ravel(), rows.ravel())
    expected = [int(cell_ids(c, r)) for c in range(3) for r in range(3) if (c, r) != (1, 1)]
    assert sorted(ids[land_among(ids, [ring, sliver])].tolist()) == sorted(expected)
    assert land_among(ids, []).sum() == 0
    assert len(land_among([], [ring])) == 0
