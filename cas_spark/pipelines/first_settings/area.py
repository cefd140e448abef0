"""What a file of teams says, and the plane on which a grid over them would lie."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from pyproj.exceptions import ProjError

from cas_spark.errors import CasError
from cas_spark.sources.files import refusing

Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""

HALF_THE_EARTH = 180
"""Degrees: no police force's places span more."""

_ID = re.compile(r"id|code|nr|no|num|key|team|district|beat|precinct|ward|name", re.IGNORECASE)


@dataclass(frozen=True)
class TeamsFile:
    """A layer of polygons that may be the teams'.

    Attributes:
        path: of the file.
        is_geopackage: whether the grid can read it as it is.
        layer: name of the layer.
        others: names of other layers of polygons.
        id: column whose values are all there and differ; None without one.
        columns: all columns.
        crs: as the file says; None where it does not.
        box: around the polygons, in the units of `crs`.
    """

    path: Path
    is_geopackage: bool
    layer: str
    others: tuple[str, ...]
    id: str | None
    columns: tuple[str, ...]
    crs: str | None
    box: Box

    @property
    def degrees(self) -> Box | None:
        """The box in degrees, west > east across the antimeridian.

        None without a CRS, or with one that is tied to no place on earth.
        """
        if self.crs is None:
            return None
        try:
            moved = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
            left, bottom, right, top = moved.transform_bounds(*self.box)
        except ProjError:
            return None
        return left, bottom, right, top


def look_at_teams(path: Path) -> TeamsFile:
    """Return what a file of teams holds.

    Raises:
        CasError: it cannot be read, or has no layer of polygons.
    """
    with refusing(f"teams {path}"):
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if "Polygon" in str(kind)]
        if not layers:
            raise CasError(
                what=f"teams {path}",
                found="no layer of polygons",
                expected="the polygons of the teams",
                do="Name another file with --teams, or leave it out",
            )
        info = pyogrio.read_info(path, layer=layers[0], force_total_bounds=True)
        if info["total_bounds"] is None:
            raise CasError(
                what=f"layer {layers[0]} of teams {path}",
                found="no rows, or only empty polygons",
                expected="the polygons of the teams",
                do="Name another file with --teams, or leave it out",
            )
        table = pyogrio.read_dataframe(path, layer=layers[0], read_geometry=False)
    unique = [
        str(name)
        for name in table.columns
        if table[name].notna().all() and table[name].nunique() == len(table)
    ]
    named = [name for name in unique if _ID.search(name)]
    left, bottom, right, top = (float(edge) for edge in info["total_bounds"])
    return TeamsFile(
        path,
        path.suffix.lower() == ".gpkg",
        layers[0],
        tuple(layers[1:]),
        next(iter([*named, *unique]), None),
        tuple(map(str, info["fields"])),
        info["crs"],
        (left, bottom, right, top),
    )


def plane_of(teams: TeamsFile | None, degrees: Box | None) -> str | None:
    """Return a projected CRS in metres for a grid: that of the teams, or else a zone of UTM.

    Args:
        teams: the teams' polygons, if there are any.
        degrees: the box around the incidents, in degrees.
    """
    if teams is not None and teams.crs is not None:
        crs = CRS.from_user_input(teams.crs)
        if crs.is_projected and {axis.unit_name for axis in crs.axis_info} == {"metre"}:
            return teams.crs
        degrees = teams.degrees
    if degrees is None or not all(map(np.isfinite, degrees)):
        return None
    x, y = middle_of(degrees)
    area = AreaOfInterest(x, y, x, y)
    zones = query_utm_crs_info(datum_name="WGS 84", area_of_interest=area)
    return f"{zones[0].auth_name}:{zones[0].code}" if zones else None


def middle_of(degrees: Box) -> tuple[float, float]:
    """Return the middle of a box in degrees, which may lie across the antimeridian.

    There west > east, or the box spans more than half the earth, as the least and largest longitude
    of places on both sides do.

    Example:
        >>> middle_of((178.0, -18.0, -180.0, -16.0))
        (179.0, -17.0)
        >>> middle_of((-179.0, -18.0, 178.0, -16.0))
        (179.5, -17.0)
    """
    west, south, east, north = degrees
    if east - west > HALF_THE_EARTH:
        west, east = east, west
    east += 360 if west > east else 0
    return ((west + east) / 2 + 180) % 360 - 180, (south + north) / 2


def lies_in(box: Box, teams: TeamsFile) -> bool:
    """Whether a box of coordinates lies mostly within that of the teams, under the teams' CRS."""
    middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, bottom, right, top = teams.box
    return left <= middle_x <= right and bottom <= middle_y <= top
