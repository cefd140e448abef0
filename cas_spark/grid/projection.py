"""Places in one CRS and in another: an operation of PROJ, and what lies near the land.

x is the easting or longitude, and y the northing or latitude, whatever the authority says. Nothing
is fetched from the network.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj.network
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection
from pyproj.transformer import AreaOfInterest

from cas_spark.grid.cells import CELL_SIZE_M, Doubles

REPORTED_ABOVE_M = 5.0
TRANSFORMED_DECIMALS = 3
"""Sines differ in their last bits between processors, so transformed places are kept to the mm."""
WGS84 = CRS.from_epsg(4326)
_MARGIN = 0.01
_SIDE = 33


@dataclass(frozen=True)
class Bounds:
    """The least rectangle around some places, in the units of a CRS."""

    left: float
    bottom: float
    right: float
    top: float

    def __str__(self) -> str:
        return f"x {self.left:,.0f} to {self.right:,.0f}, y {self.bottom:,.0f} to {self.top:,.0f}"

    def widened(self) -> "Bounds":
        """The rectangle with a margin of 1 % around it, and of one cell at least."""
        margin_x = max(_MARGIN * (self.right - self.left), CELL_SIZE_M)
        margin_y = max(_MARGIN * (self.top - self.bottom), CELL_SIZE_M)
        return Bounds(
            self.left - margin_x, self.bottom - margin_y, self.right + margin_x, self.top + margin_y
        )

    def points(self) -> tuple[Doubles, Doubles]:
        """Places all over the rectangle, its edges among them."""
        x, y = np.meshgrid(
            np.linspace(self.left, self.right, _SIDE), np.linspace(self.bottom, self.top, _SIDE)
        )
        return x.ravel(), y.ravel()


@dataclass(frozen=True)
class Operation:
    """One way from a source's CRS to the grid's.

    Attributes:
        pipeline: PROJ's text of it, x before y at both ends.
        accuracy_m: as stated by the authority; None where none is stated.
        name: as PROJ names it.
        proj: version of PROJ that chose it.
    """

    pipeline: str
    accuracy_m: float | None
    name: str
    proj: str

    def moved(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Places of the source in the grid's CRS, infinite where the operation fails."""
        return _transformed(self.pipeline, x, y, TransformDirection.FORWARD)

    def moved_back(self, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles]:
        """Places of the grid's CRS in that of the source, infinite where the operation fails."""
        return _transformed(self.pipeline, x, y, TransformDirection.INVERSE)

    @property
    def accuracy(self) -> str:
        """The accuracy in words."""
        return "of unknown accuracy" if self.accuracy_m is None else f"within {self.accuracy_m:g} m"

    @property
    def is_reported(self) -> bool:
        """Whether readers of figures should know how accurate it is."""
        return self.accuracy_m is None or self.accuracy_m > REPORTED_ABOVE_M


@dataclass(frozen=True)
class Near:
    """The places of a source's CRS that lie near the land.

    Attributes:
        bounds: the rectangle; where the CRS is in degrees it may reach past 180.
        turn: units of a full circle of longitude; None where x is no longitude.
    """

    bounds: Bounds
    turn: float | None

    def holds(self, x: Doubles, y: Doubles) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which places lie inside; none without a number does."""
        left, right = self.bounds.left, self.bounds.right
        with np.errstate(invalid="ignore"):
            is_between = (y >= self.bounds.bottom) & (y <= self.bounds.top)
            if self.turn is None:
                return is_between & (x >= left) & (x <= right)
            # A longitude is the same as one a full circle further; beyond two it is a slip.
            is_longitude = np.abs(x) <= 2 * self.turn
            past_left = np.where(is_longitude, np.mod(x - left, self.turn), np.inf)
            return is_between & (past_left <= right - left)


def near_land(operation: Operation, crs: CRS, land: Bounds) -> Near:
    """The rectangle around the land, with a margin, in the CRS of a source.

    Beyond its domain a projection fails or folds places back onto the map, so that only places in
    this rectangle may be transformed.
    """
    x, y = operation.moved_back(*land.widened().points())
    is_there = np.isfinite(x) & np.isfinite(y)
    x, y = x[is_there], y[is_there]
    turn = _turn_of(crs)
    if not len(x):
        return Near(Bounds(1, 1, 0, 0), turn)
    left, right = (float(x.min()), float(x.max())) if turn is None else _least_arc(x, turn)
    return Near(Bounds(left, float(y.min()), right, float(y.max())), turn)


def agree(one: CRS, other: CRS) -> bool:
    """Whether two CRSs give the same place the same x and y, x before y."""
    return flat(one).equals(flat(other), ignore_axis_order=True)


def name_of(crs: CRS) -> str:
    """A CRS as its authority's code, or as WKT where it has none."""
    code = crs.to_authority(min_confidence=100)
    return ":".join(code) if code else str(crs.to_wkt())


def short_name_of(crs: CRS) -> str:
    """A CRS for messages: its authority's code, or else its name."""
    code = crs.to_authority(min_confidence=100)
    return ":".join(code) if code else str(crs.name)


def area_of(bounds: Bounds, crs: CRS) -> AreaOfInterest | None:
    """The rectangle in degrees, west > east across the 180th meridian; None where it has none."""
    x, y = bounds.points()
    longitude, latitude = Transformer.from_crs(flat(crs), WGS84, always_xy=True).transform(x, y)
    is_there = np.isfinite(longitude) & np.isfinite(latitude)
    if not is_there.any():
        return None
    west, east = _least_arc(np.asarray(longitude)[is_there], 360)
    latitude = np.asarray(latitude)[is_there]
    return AreaOfInterest(
        _as_longitude(west), float(latitude.min()), _as_longitude(east), float(latitude.max())
    )


def flat(crs: CRS) -> CRS:
    """A CRS without heights."""
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    return crs.to_2d() if len(crs.axis_info) > 2 else crs  # noqa: PLR2004  # x and y


def _turn_of(crs: CRS) -> float | None:
    """A full circle in the units of a CRS; None where it is projected."""
    crs = flat(crs)
    if not crs.is_geographic:
        return None
    return float(2 * np.pi / crs.axis_info[0].unit_conversion_factor)


def _least_arc(longitudes: Doubles, turn: float) -> tuple[float, float]:
    """Where the shortest arc that holds all longitudes begins and ends; the end is not less."""
    around = np.unique(np.mod(longitudes, turn))
    gaps = np.diff(np.append(around, around[0] + turn))
    widest = int(np.argmax(gaps))
    start = float(around[(widest + 1) % len(around)])
    if start > turn / 2:
        start -= turn
    return start, start + turn - float(gaps[widest])


def _as_longitude(degrees: float) -> float:
    return float((degrees + 180) % 360 - 180)


@lru_cache(maxsize=64)
def _transformer(pipeline: str) -> Transformer:
    keep_offline()
    return Transformer.from_pipeline(pipeline)


def keep_offline() -> None:
    """Have PROJ use what is installed only, whatever the environment says."""
    pyproj.network.set_network_enabled(active=False)  # type: ignore[attr-defined]  # it re-exports


def _transformed(
    pipeline: str, x: Doubles, y: Doubles, direction: TransformDirection
) -> tuple[Doubles, Doubles]:
    moved_x, moved_y = _transformer(pipeline).transform(x, y, direction=direction)
    return np.asarray(moved_x, np.float64), np.asarray(moved_y, np.float64)
