"""Where: coordinates of an extract become cells of the grid.

PROJ moves places in the tasks, by the one operation that the driver chose for the source. Only
places near the grid are moved: beyond its domain a projection fails or folds places back onto the
map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyproj import CRS
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from cas_spark.errors import CasError
from cas_spark.grid.cells import CELL_SIZE_M, cell_id_at, column_of, row_of
from cas_spark.grid.operations import Operations
from cas_spark.grid.projection import (
    TRANSFORMED_DECIMALS,
    Bounds,
    Near,
    Operation,
    agree,
    near_land,
    short_name_of,
)
from cas_spark.settings.extracts import Extracts
from cas_spark.settings.location import Location

_NUMBER = r"[+-]?(?:\d+{mark}?\d*|{mark}\d+)(?:[eE][+-]?\d+)?"
"""A number with the decimal mark of the source."""


@dataclass(frozen=True)
class Land:
    """All land cells of the grid, as the rows of every extract are placed on them.

    Attributes:
        ids: `land_cell_id` of each, kept at hand.
        bounds: the rectangle around all of them, in metres of the grid's CRS.
        operations: how the places of each source come to the grid's CRS; None to choose them for
            this once.
    """

    ids: DataFrame
    bounds: Bounds
    operations: Operations | None = None

    @classmethod
    def of(cls, cells: DataFrame, operations: Operations | None = None) -> "Land":
        """The land that is made of these cells.

        Args:
            cells: `cell_id` of every land cell, in any order.
            operations: how the places of each source come to the grid's CRS.
        """
        ids = cells.select(F.col("cell_id").alias("land_cell_id")).distinct().persist()
        return cls(ids, _bounds_of(ids), operations)


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


def with_land_cell(rows: DataFrame, source: Extracts, grid_crs: str, land: Land) -> DataFrame:
    """Add `cell_id` (long) of the place `x`, `y` of each row; null where it lies in no land cell.

    Args:
        rows: with `x` and `y` (double) in the units of the CRS of the source's location.
        source: of the rows; it has a location.
        grid_crs: the grid's CRS.
        land: all land cells of the grid.

    Raises:
        CasError: no operation places the source's rows well enough.
    """
    x, y = F.col("x"), F.col("y")
    operation = operation_of(source, grid_crs, land)
    if operation is not None:
        crs = CRS.from_user_input(_location(source).crs)
        moved = _mover(operation, near_land(operation, crs, land.bounds))(x, y)
        x, y = (F.round(moved[name], TRANSFORMED_DECIMALS) for name in "xy")
    return (
        rows.withColumn("cell_id", cell_id_at(x, y))
        .join(land.ids, F.col("cell_id") == F.col("land_cell_id"), "left")
        .withColumn("cell_id", F.col("land_cell_id"))
        .drop("land_cell_id")
    )


def operation_of(source: Extracts, grid_crs: str, land: Land) -> Operation | None:
    """The operation that brings a source's places to the grid's CRS; None where it has that CRS.

    Raises:
        CasError: no installed operation is accurate enough, and the settings name none.
    """
    operations = land.operations or Operations({}, grid_crs, "")
    location = _location(source)
    crs = CRS.from_user_input(location.crs)
    return operations.of(f"{source.kind}.{source.name}", crs, land.bounds, location.operation)


def transformed(
    x: float, y: float, source: Extracts, grid_crs: str, land: Land
) -> tuple[float, float]:
    """One place in the grid's CRS, for messages; infinite where the operation does not reach it."""
    operation = operation_of(source, grid_crs, land)
    if operation is None:
        return x, y
    moved_x, moved_y = operation.moved(np.array([x]), np.array([y]))
    return float(moved_x[0]), float(moved_y[0])


def check_crs_agrees(file_crs: str | None, settings_crs: str, what: str) -> None:
    """Check that the CRS that a file names is that of the settings, up to the order of axes.

    Args:
        file_crs: authority code or WKT of the file's geometry; None where the file names none.
        settings_crs: authority code or WKT of the settings.
        what: names the file, or its layer.

    Raises:
        CasError: the two give the same place other coordinates.
    """
    if file_crs is None:
        return
    own, asked = CRS.from_user_input(file_crs), CRS.from_user_input(settings_crs)
    if own.name.startswith("Undefined") or agree(own, asked):  # codes -1 and 0 of GeoPackage
        return
    raise CasError(
        what=what,
        found=f"geometry in {short_name_of(own)} ({own.name})",
        expected=f"{short_name_of(asked)} ({asked.name}), as location.crs says",
        do=f"Set location.crs to {short_name_of(own)}, or where the file is wrong have it "
        "delivered again with its own CRS; nothing was written",
    )


def point_of_text(text: Column, location: Location, decimal: str = ".") -> tuple[Column, Column]:
    """The x and y (text, with its decimal mark) of a place that is written in one column.

    It reads `POINT (x y)`, also with `SRID=4326;` before it, and pairs such as `(41.88, -87.63)`,
    also below lines of an address. Without `location.order`, WKT is x before y and a pair is not
    read.

    Args:
        text: of the column as delivered.
        location: of the source.
        decimal: the decimal mark of the source.

    Returns:
        x and y; where the text cannot be read, the whole text and null, so that a message can
        show it.
    """
    number = f"({_NUMBER.format(mark=_escaped(decimal))})"
    separator = r"\s*,\s*" if decimal == "." else r"\s*(?:;|,?\s)\s*"
    wkt = rf"(?is)^\s*(?:SRID\s*=\s*(\d+)\s*;)?\s*POINT\s*(?:Z|M|ZM)?\s*\(\s*{number}\s+{number}"
    wkt += rf"(?:\s+{_NUMBER.format(mark=_escaped(decimal))}){{0,2}}\s*\)\s*$"
    pair = rf"(?s)^(?:.*[(\[])?\s*{number}{separator}{number}\s*[)\]]?\s*$"

    def part(pattern: str, group: int) -> Column:
        return F.nullif(F.regexp_extract(text, pattern, group), F.lit(""))

    srid, first, second = (part(wkt, group) for group in (1, 2, 3))
    if location.order is not None:
        first = F.coalesce(first, part(pair, 1))
        second = F.coalesce(second, part(pair, 2))
    is_read = first.isNotNull() & (srid.isNull() | (srid == F.lit(_code_of(location))))
    x, y = (second, first) if location.order == "lat_lon" else (first, second)
    return F.when(is_read, x).otherwise(text), F.when(is_read, y)


def _escaped(mark: str) -> str:
    """A decimal mark as a regular expression."""
    return rf"\{mark}"


def _code_of(location: Location) -> str:
    """The number of a location's CRS, which a SRID must be; empty where it has none."""
    code = CRS.from_user_input(location.crs).to_authority(min_confidence=100)
    return code[1] if code else ""


def _location(source: Extracts) -> Location:
    assert source.location is not None  # noqa: S101  # only sources of places are placed
    return source.location


def _mover(operation: Operation, near: Near) -> Callable[..., Column]:
    """What moves the places near the land in the tasks: a struct of x and y; null for others."""

    def move(x: pd.Series, y: pd.Series) -> pd.DataFrame:
        given_x, given_y = x.to_numpy(np.float64), y.to_numpy(np.float64)
        moved = np.full((2, len(given_x)), np.nan)
        is_near = near.holds(given_x, given_y)
        moved[:, is_near] = operation.moved(given_x[is_near], given_y[is_near])
        moved[~np.isfinite(moved)] = np.nan
        return pd.DataFrame({"x": moved[0], "y": moved[1]})

    as_udf: Any = pandas_udf  # its types know no arrays
    moving: Callable[..., Column] = as_udf(move, "x double, y double")
    return moving
