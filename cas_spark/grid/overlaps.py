"""Polygons that should lie beside each other and do not: where, by how much, whose ground it is.

Borders that were digitised or simplified apart overlap by slivers, which change no cell by more
than a few thousandths. What is larger says that two teams have the same ground, and which of them
is to have it is not for the program to guess.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.cells import CELL_SIZE_M
from cas_spark.settings.geography import Overlaps

log = logging.getLogger(__name__)

SLIVER_WIDTH_M = 1.0
SLIVER_AREA_M2 = 1e-3 * CELL_SIZE_M**2
"""A thousandth of a cell."""
SHOWN = 3
POLYGONS = 3
"""ST_CollectionExtract's number for polygons."""

Polygons = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Overlap:
    """Ground that two polygons share.

    Attributes:
        one: index of the one polygon.
        other: index of the other.
        area_m2: of the ground, without slivers.
        sliver_m2: of the slivers.
        x: of a place in its largest part.
        y: of that place.
    """

    one: int
    other: int
    area_m2: float
    sliver_m2: float
    x: float
    y: float


def side_by_side(
    polygons: DataFrame, name: str, what: str, setting: str, overlaps: Overlaps
) -> DataFrame:
    """The rows, whose polygons share no ground but slivers.

    Args:
        polygons: rows with the id `name` and `geometry`.
        name: of the column with their ids.
        what: names the polygons, for messages.
        setting: that says what becomes of overlaps.
        overlaps: what it says.

    Raises:
        CasError: polygons overlap and the settings refuse that, or one lies in smaller ones.
    """
    rows = polygons.localCheckpoint()
    found = rows.select(
        name, F.call_function("ST_AsBinary", F.col("geometry")).alias("wkb")
    ).toArrow()
    found = found.sort_by(name)
    ids = [str(value) for value in found.column(name).to_pylist()]
    shapes = shapely.from_wkb(found.column("wkb").to_numpy(zero_copy_only=False))
    shared = find_overlaps(shapes)
    if shared:
        largest = max(shared, key=lambda overlap: overlap.sliver_m2)
        log.info(
            "%s: %d pairs overlap; the largest sliver, of %s and %s, is %s",
            what,
            len(shared),
            ids[largest.one],
            ids[largest.other],
            area_text(largest.sliver_m2),
        )
    if overlaps == "refuse":
        check_no_overlaps(shared, ids, what, f"{setting}: smallest")
    if not any(overlap.area_m2 > 0 for overlap in shared):
        return rows
    apart = without_overlaps(shapes, shared)
    empty = [ids[place] for place in np.flatnonzero(shapely.area(apart) == 0)]
    if empty:
        raise CasError(
            what=what,
            found=f"no ground of its own left for {', '.join(empty[:3])}",
            expected="polygons that do not lie wholly in smaller ones",
            do="Mend the polygons in the file, or give these the same id",
        )
    resolved = polygons.sparkSession.createDataFrame(
        pa.table({name: found.column(name), "wkb": pa.array(shapely.to_wkb(apart), pa.binary())})
    )
    geometry = F.call_function(
        "ST_CollectionExtract", F.call_function("ST_GeomFromWKB", F.col("wkb")), F.lit(POLYGONS)
    )
    return rows.drop("geometry").join(
        F.broadcast(resolved.select(name, geometry.alias("geometry"))), name, "inner"
    )


def find_overlaps(polygons: Polygons) -> list[Overlap]:
    """Every pair of polygons that share ground, the largest first.

    Args:
        polygons: valid polygons, in metres.
    """
    if len(polygons) == 0:
        return []
    # Only borders that do not match another's are looked at in pairs: that is what costs.
    is_off = ~shapely.is_empty(shapely.coverage_invalid_edges(polygons))
    suspects = np.flatnonzero(is_off)
    of_suspect, other = shapely.STRtree(polygons).query(polygons[suspects])
    one = suspects[of_suspect]
    pairs = np.unique(np.sort(np.stack([one, other], axis=1)[one != other], axis=1), axis=0)
    shared = shapely.intersection(polygons[pairs[:, 0]], polygons[pairs[:, 1]])
    found = [
        _overlap(int(one), int(other), ground)
        for (one, other), ground in zip(pairs, shared, strict=True)
        if shapely.area(ground) > 0
    ]
    return sorted(found, key=lambda o: (-o.area_m2, -o.sliver_m2, o.one, o.other))


def _overlap(one: int, other: int, ground: Any) -> Overlap:
    parts = shapely.get_parts(ground)
    areas = shapely.area(parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        widths = np.where(areas > 0, 2 * areas / shapely.length(parts), 0)
    is_sliver = (widths < SLIVER_WIDTH_M) | (areas < SLIVER_AREA_M2)
    inside = shapely.point_on_surface(parts[int(np.argmax(np.where(is_sliver, 0, areas)))])
    return Overlap(
        one,
        other,
        float(areas[~is_sliver].sum()),
        float(areas[is_sliver].sum()),
        float(inside.x),
        float(inside.y),
    )


def check_no_overlaps(
    overlaps: Sequence[Overlap], ids: Sequence[str], what: str, setting: str
) -> None:
    """Refuse polygons that share more than slivers.

    Args:
        overlaps: as `find_overlaps` gives them.
        ids: of the polygons.
        what: names them, for messages.
        setting: that gives the ground to one of them.

    Raises:
        CasError: names the largest overlaps with their size and place.
    """
    real = [overlap for overlap in overlaps if overlap.area_m2 > 0]
    if not real:
        return
    shown = "; ".join(
        f"{ids[o.one]} and {ids[o.other]} share {area_text(o.area_m2)} around "
        f"x = {o.x:.1f}, y = {o.y:.1f}"
        for o in real[:SHOWN]
    )
    more = f"; and {len(real) - SHOWN} more pairs" if len(real) > SHOWN else ""
    raise CasError(
        what=what,
        found=f"polygons that overlap: {shown}{more}",
        expected=f"polygons beside each other, but for slivers under {SLIVER_WIDTH_M:g} m wide",
        do=f"Mend the polygons in the file, or set {setting} to give such ground to the smallest "
        "polygon; no extract was read",
    )


def without_overlaps(polygons: Polygons, overlaps: Sequence[Overlap]) -> Polygons:
    """The polygons, where shared ground belongs to the smallest of those that share it.

    Of two of the same size the earlier one keeps it. Slivers stay shared.
    """
    areas = shapely.area(polygons)
    left = polygons.copy()
    for overlap in overlaps:
        if overlap.area_m2 > 0:
            pair = (overlap.one, overlap.other)
            keeper, loser = sorted(pair, key=lambda place: (areas[place], place))
            left[loser] = shapely.difference(left[loser], polygons[keeper])
    return left


def area_text(area_m2: float) -> str:
    """An area in the unit in which people read it."""
    return f"{area_m2 / 1e6:,.2f} km2" if area_m2 >= 1e5 else f"{area_m2:,.0f} m2"  # noqa: PLR2004
