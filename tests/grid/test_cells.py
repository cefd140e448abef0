"""Cells are arithmetic: ids go back and forth, edges belong right and above, Spark equals numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.grid import cells

steps = st.integers(-cells.OFFSET, cells.OFFSET - 1)
pairs = st.lists(st.tuples(steps, steps), min_size=1, max_size=20)
metres = st.floats(-cells.BOUND_M, cells.BOUND_M, exclude_max=True, allow_subnormal=False)


@given(pairs)
def test_ids_give_back_their_columns_and_rows(places: list[tuple[int, int]]) -> None:
    columns, rows = np.array(places).T
    found_columns, found_rows = cells.columns_and_rows(cells.cell_ids(columns, rows))
    assert (found_columns == columns).all()
    assert (found_rows == rows).all()


@given(pairs)
def test_different_cells_have_different_ids(places: list[tuple[int, int]]) -> None:
    ids = cells.cell_ids(*np.array(places).T)
    assert len(set(ids.tolist())) == len(set(places))
    assert (ids >= 0).all()


@given(metres, metres)
def test_a_point_lies_in_its_cell(x: float, y: float) -> None:
    columns, rows = cells.columns_and_rows(cells.cell_ids_at([x], [y]))
    assert columns[0] * 125 <= x or math.isclose(columns[0] * 125, x)
    assert x < (columns[0] + 1) * 125
    assert rows[0] * 125 <= y or math.isclose(rows[0] * 125, y)
    assert y < (rows[0] + 1) * 125


def test_an_id_can_be_read() -> None:
    assert cells.cell_ids_at(155_000.0, 463_000.0) == 503_704_501_240
    assert cells.cell_ids_at(-0.1, -125.0) == 499_999_499_999


@given(steps, steps)
def test_a_point_on_an_edge_belongs_right_and_above(column: int, row: int) -> None:
    corner = cells.cell_ids_at([column * 125.0], [row * 125.0])
    assert corner == cells.cell_ids([column], [row])


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 62_500_000.0, 1e300])
def test_numpy_refuses_what_has_no_cell(x: float) -> None:
    with pytest.raises(ValueError, match="x = .* has no cell"):
        cells.cell_ids_at([0.0, x], [0.0, 0.0])
    with pytest.raises(ValueError, match="y = .* has no cell"):
        cells.cell_ids_at([0.0, 0.0], [0.0, x])


def test_numpy_refuses_a_column_or_row_outside_the_bound() -> None:
    with pytest.raises(ValueError, match="row 500000 lies outside"):
        cells.cell_ids([0], [500_000])
    with pytest.raises(ValueError, match="column -500001 lies outside"):
        cells.cell_ids([-500_001], [0])


def test_centres_and_polygons_fit() -> None:
    ids = cells.cell_ids([-1, 3], [0, -2])
    assert cells.centres(ids).tolist() == [[-62.5, 62.5], [437.5, -187.5]]
    squares = cells.cell_polygons(ids)
    assert [square.bounds for square in squares] == [(-125, 0, 0, 125), (375, -250, 500, -125)]
    assert {square.area for square in squares} == {15_625.0}


@pytest.mark.parametrize(
    ("distance_m", "number"), [(0, 1), (124, 1), (125, 5), (180, 9), (250, 13)]
)
def test_offsets_count_cells_by_their_centres(distance_m: float, number: int) -> None:
    columns, rows = cells.offsets_within(distance_m)
    assert len(columns) == number
    assert (np.hypot(columns, rows) * 125 <= distance_m).all()


@pytest.mark.spark
def test_spark_equals_numpy(spark: SparkSession) -> None:
    draw = np.random.default_rng(125)
    edges = [-62_500_000.0, -125.0, -1e-9, 0.0, 124.99999999999999, 125.0, 62_499_999.9]
    x = np.concatenate(
        [draw.uniform(-62_500_000, 62_500_000, 200), edges, draw.integers(-9, 9, 50) * 125.0]
    )
    y = draw.permutation(x)
    ids = cells.cell_ids_at(x, y)
    columns, rows = cells.columns_and_rows(ids)
    middle = cells.centres(ids)
    points = spark.createDataFrame(
        list(zip(x.tolist(), y.tolist(), strict=True)), "x double, y double"
    )
    found = points.select(cells.cell_id_at(F.col("x"), F.col("y")).alias("id")).select(
        "id",
        cells.column_of(F.col("id")).alias("column"),
        cells.row_of(F.col("id")).alias("row"),
        cells.centre_x(F.col("id")).alias("centre_x"),
        cells.centre_y(F.col("id")).alias("centre_y"),
        cells.cell_id_of(cells.column_of(F.col("id")), cells.row_of(F.col("id"))).alias("again"),
    )
    assert dict(found.dtypes) == {
        "id": "bigint",
        "column": "int",
        "row": "int",
        "centre_x": "double",
        "centre_y": "double",
        "again": "bigint",
    }
    expected = zip(ids, columns, rows, middle[:, 0], middle[:, 1], ids, strict=True)
    assert [tuple(row) for row in found.collect()] == [
        tuple(v.item() for v in row) for row in expected
    ]


@pytest.mark.spark
def test_no_place_means_no_cell(spark: SparkSession) -> None:
    rows = [(v, 1.0) for v in (None, math.nan, math.inf, -math.inf, 62_500_000.0, -62_500_000.1)]
    points = spark.createDataFrame([*rows, *((y, x) for x, y in rows)], "x double, y double")
    ids = points.select(cells.cell_id_at(F.col("x"), F.col("y")).alias("id"))
    assert {row.id for row in ids.collect()} == {None}
