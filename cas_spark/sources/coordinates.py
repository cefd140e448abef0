"""Where: coordinates of an extract become cells of the grid.

Only points near the grid are transformed: beyond its domain a projection fails or folds points back
onto the map.
"""

import re
from dataclasses import dataclass

from pyproj import CRS, Transformer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.cells import CELL_SIZE_M, cell_id_at, column_of, row_of
from cas_spark.settings.location import Location

TRANSFORMED_DECIMALS = 3
"""Sines differ in their last bits between processors, so transformed places are kept to the mm."""
_MARGIN = 0.01

_AUTHORITY_CODE = re.compile(r"[A-Za-z]+:\w+")


@dataclass(frozen=True)
class Bounds:
    """The least rectangle around some places, in the units of a CRS."""

    left: float
    bottom: float
    right: float
    top: float

    def __str__(self) -> str:
        return f"x {self.left:,.0f} to {self.right:,.0f}, y {self.bottom:,.0f} to {self.top:,.0f}"


@dataclass(frozen=True)
class Land:
    """All land cells of the grid, as the rows of every extract are placed on them.

    Attributes:
        ids: `land_cell_id` of each, kept at hand.
        bounds: the rectangle around all of them, in metres of the grid's CRS.
    """

    ids: DataFrame
    bounds: Bounds

    @classmethod
    def of(cls, cells: DataFrame) -> "Land":
        """The land that is made of these cells.

        Args:
            cells: `cell_id` of every land cell, in any order.
        """
        ids = cells.select(F.col("cell_id").alias("land_cell_id")).distinct().persist()
        return cls(ids, _bounds_of(ids))


def _bounds_of(ids: DataFrame) -> Bounds:
    """The rectangle around all land cells; nowhere without any."""
    column, row = column_of(F.col("land_cell_id")), row_of(F.col("land_cell_id"))
    found = ids.agg(F.min(column), F.min(row), F.max(column), F.max(row)).first()
    if found is None or found[0] is None:
        return Bounds(0, 0, 0, 0)
    left, bottom, right, top = (int(number) for number in found)
    return Bounds(
        left * CELL_SIZE_M, bottom * CELL_SIZE_M, (right + 1) * CELL_SIZE_M, (top + 1) * CELL_SIZE_M
    )


def cell_of(x: Column, y: Column, crs: str, grid_crs: str, land: Bounds) -> Column:
    """The id (long) of the cell at a place, whether or not that cell is land.

    Args:
        x: number (double) in the units of `crs`; the longitude where that is geographic.
        y: number (double) in the units of `crs`; the latitude where that is geographic.
        crs: authority code or WKT.
        grid_crs: the grid's CRS.
        land: the rectangle around all land cells.

    Returns:
        Null where a coordinate is null or not a number, or where the place lies well outside the
        rectangle.
    """
    here, there = CRS.from_user_input(crs), CRS.from_user_input(grid_crs)
    if here.equals(there, ignore_axis_order=True):
        return cell_id_at(x, y)
    near = _near(x, y, _back(land, here, there))
    # Sedona takes longitude before latitude, whatever the authority says.
    point = F.call_function("ST_Point", x, y)
    moved = F.call_function(
        "ST_Transform", point, F.lit(_for_sedona(crs)), F.lit(_for_sedona(grid_crs))
    )
    moved_x = F.round(F.call_function("ST_X", moved), TRANSFORMED_DECIMALS)
    moved_y = F.round(F.call_function("ST_Y", moved), TRANSFORMED_DECIMALS)
    return F.when(near, cell_id_at(moved_x, moved_y))


def with_land_cell(rows: DataFrame, location: Location, grid_crs: str, land: Land) -> DataFrame:
    """Add `cell_id` (long) of the place `x`, `y` of each row; null where it lies in no land cell.

    Args:
        rows: with `x` and `y` (double) in the units of the location's CRS.
        location: of the rows' source.
        grid_crs: the grid's CRS.
        land: all land cells of the grid.
    """
    cell_id = cell_of(F.col("x"), F.col("y"), location.crs, grid_crs, land.bounds)
    return (
        rows.withColumn("cell_id", cell_id)
        .join(land.ids, F.col("cell_id") == F.col("land_cell_id"), "left")
        .withColumn("cell_id", F.col("land_cell_id"))
        .drop("land_cell_id")
    )


def transformed(x: float, y: float, crs: str, grid_crs: str) -> tuple[float, float]:
    """One place in the grid's CRS, for messages; infinite where the projections do not reach it."""
    moved = Transformer.from_crs(crs, grid_crs, always_xy=True).transform(x, y)
    return float(moved[0]), float(moved[1])


def _back(land: Bounds, here: CRS, there: CRS) -> Bounds:
    """The rectangle, with a margin, in the other CRS."""
    margin_x = max(_MARGIN * (land.right - land.left), CELL_SIZE_M)
    margin_y = max(_MARGIN * (land.top - land.bottom), CELL_SIZE_M)
    wider = (
        land.left - margin_x,
        land.bottom - margin_y,
        land.right + margin_x,
        land.top + margin_y,
    )
    return Bounds(*Transformer.from_crs(there, here, always_xy=True).transform_bounds(*wider))


def _near(x: Column, y: Column, bounds: Bounds) -> Column:
    return x.between(bounds.left, bounds.right) & y.between(bounds.bottom, bounds.top)


def _for_sedona(crs: str) -> str:
    """A CRS as Sedona reads it: its authority code, or the older WKT."""
    if _AUTHORITY_CODE.fullmatch(crs):
        return crs
    return CRS.from_user_input(crs).to_wkt("WKT1_GDAL")
