"""Cells: squares of 125 m on the grid's plane, numbered by arithmetic.

A cell's number follows from its place alone, so a point finds its cell without a spatial join:

    column = floor(x / 125)    row = floor(y / 125)    (x, y in metres in the grid's CRS)
    cell_id = (row + 500,000) * 1,000,000 + (column + 500,000)

The last six digits are the column and those before them the row, both from 500,000, so that places
west or south of the CRS's origin have a number too. It holds for columns and rows from -500,000 up
to and including 499,999 (62,500 km either way, more than any projected CRS reaches); ids lie
between 0 and 10**12, which a double holds exactly. A cell includes its left and lower edge: a point
on an edge belongs to the cell to its right or above.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from pyspark.sql import Column
from pyspark.sql import functions as F

CELL_SIZE_M = 125
OFFSET = 500_000
ROW_STEP = 1_000_000
BOUND_M = OFFSET * CELL_SIZE_M

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def cell_id_of(column: Column, row: Column) -> Column:
    """The id (long) of the cell at a column and row, which must lie within the bound."""
    return ((row + OFFSET) * F.lit(ROW_STEP).cast("long") + (column + OFFSET)).cast("long")


def cell_id_at(x: Column, y: Column) -> Column:
    """The id (long) of the cell that holds a point.

    Args:
        x: metres in the grid's CRS.
        y: metres in the grid's CRS.

    Returns:
        The id; null where a coordinate is null, not a number, or further than 62,500 km from the
        CRS's origin.
    """
    x, y = x.cast("double"), y.cast("double")
    # Spark's NaN is greater than any number, so the upper bound refuses it as well.
    is_x_on_plane = (x >= -BOUND_M) & (x < BOUND_M)
    is_y_on_plane = (y >= -BOUND_M) & (y < BOUND_M)
    column, row = F.floor(x / CELL_SIZE_M), F.floor(y / CELL_SIZE_M)
    return F.when(is_x_on_plane & is_y_on_plane, cell_id_of(column, row))


def column_of(cell_id: Column) -> Column:
    """The column (int) of a cell: floor(x / 125 m)."""
    return (cell_id % ROW_STEP - OFFSET).cast("int")


def row_of(cell_id: Column) -> Column:
    """The row (int) of a cell: floor(y / 125 m)."""
    # Subtracting the remainder first makes the (double) division exact.
    return ((cell_id - cell_id % ROW_STEP) / ROW_STEP - OFFSET).cast("int")


def centre_x(cell_id: Column) -> Column:
    """The x (double, metres in the grid's CRS) of a cell's centre."""
    return (column_of(cell_id) + 0.5) * CELL_SIZE_M


def centre_y(cell_id: Column) -> Column:
    """The y (double, metres in the grid's CRS) of a cell's centre."""
    return (row_of(cell_id) + 0.5) * CELL_SIZE_M


def cell_ids(columns: npt.ArrayLike, rows: npt.ArrayLike) -> Integers:
    """The ids (int64) of the cells at these columns and rows.

    Raises:
        ValueError: a column or row lies outside -500,000 up to and including 499,999.
    """
    columns, rows = np.asarray(columns, np.int64), np.asarray(rows, np.int64)
    for name, values in (("column", columns), ("row", rows)):
        outside = (values < -OFFSET) | (values >= OFFSET)
        if outside.any():
            message = f"{name} {values[outside].flat[0]} lies outside ±{OFFSET}"
            raise ValueError(message)
    ids: Integers = (rows + OFFSET) * ROW_STEP + (columns + OFFSET)
    return ids


def cell_ids_at(x: npt.ArrayLike, y: npt.ArrayLike) -> Integers:
    """The ids (int64) of the cells that hold these points (metres in the grid's CRS).

    Raises:
        ValueError: a coordinate is not a number, or lies further than 62,500 km from the CRS's
            origin; integers know no null.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    for name, values in (("x", x), ("y", y)):
        is_on_plane = (values >= -BOUND_M) & (values < BOUND_M)
        if not is_on_plane.all():
            message = f"{name} = {values[~is_on_plane].flat[0]} has no cell"
            raise ValueError(message)
    return cell_ids(np.floor(x / CELL_SIZE_M), np.floor(y / CELL_SIZE_M))


def columns_and_rows(cell_ids: npt.ArrayLike) -> tuple[Integers, Integers]:
    """The columns and rows (int64) of these cells."""
    rows, columns = np.divmod(np.asarray(cell_ids, np.int64), ROW_STEP)
    return columns - OFFSET, rows - OFFSET


def centres(cell_ids: npt.ArrayLike) -> Doubles:
    """The centres of these cells: an array of shape (cells, 2), metres in the grid's CRS."""
    columns, rows = columns_and_rows(cell_ids)
    middles: Doubles = (np.stack([columns, rows], axis=-1).astype(np.float64) + 0.5) * CELL_SIZE_M
    return middles


def cell_polygons(cell_ids: npt.ArrayLike) -> npt.NDArray[Any]:
    """The squares of these cells as shapely polygons in the grid's CRS, for maps."""
    columns, rows = columns_and_rows(cell_ids)
    left, bottom = columns * CELL_SIZE_M, rows * CELL_SIZE_M
    polygons: npt.NDArray[Any] = shapely.box(left, bottom, left + CELL_SIZE_M, bottom + CELL_SIZE_M)
    return polygons


def offsets_within(distance_m: float) -> tuple[Integers, Integers]:
    """The columns and rows by which cells within a distance of a cell differ from it.

    Args:
        distance_m: between the centres, inclusive; 0 gives the cell itself only.

    Returns:
        Columns and rows (int64), by row and then by column.
    """
    reach = int(distance_m // CELL_SIZE_M)
    steps = np.arange(-reach, reach + 1, dtype=np.int64)
    rows, columns = np.meshgrid(steps, steps, indexing="ij")
    near = (columns**2 + rows**2) * CELL_SIZE_M**2 <= distance_m**2
    return columns[near], rows[near]
