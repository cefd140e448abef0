"""Which of some cells are land, without cutting a whole country into cells.

`tessellation` cuts every polygon into all of its cells, which takes minutes for a country.
For some thousands of cells this module gives the same answer in seconds.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from cas_spark.grid.cells import CELL_SIZE_M, Integers, cell_polygons, columns_and_rows
from cas_spark.grid.tessellation import AREA_BITS, SHARE_BITS

SIDE = 64
"""Cells along a side of the squares to which polygons are clipped first."""


def land_among(cell_ids: npt.ArrayLike, polygons: Sequence[BaseGeometry]) -> npt.NDArray[np.bool_]:
    """Return which cells are land: those of which a polygon has a share that `tessellate` keeps.

    Args:
        cell_ids: of the cells.
        polygons: one for each team, valid, metres in the grid's CRS.
    """
    ids: Integers = np.asarray(cell_ids, np.int64)
    is_land = np.zeros(len(ids), bool)
    if not len(ids) or not polygons:
        return is_land
    tree = shapely.STRtree(list(polygons))
    squares = np.stack(columns_and_rows(ids), axis=-1) // SIDE
    corners, of_square = np.unique(squares, axis=0, return_inverse=True)
    of_square = of_square.ravel()
    order = np.argsort(of_square, kind="stable")
    starts = np.searchsorted(of_square[order], np.arange(len(corners) + 1))
    for place, corner in enumerate(corners):
        members = order[starts[place] : starts[place + 1]]
        left, bottom = corner * (SIDE * CELL_SIZE_M)
        square = shapely.box(left, bottom, left + SIDE * CELL_SIZE_M, bottom + SIDE * CELL_SIZE_M)
        boxes = cell_polygons(ids[members])
        for polygon in np.sort(tree.query(square, predicate="intersects")):
            clipped = shapely.intersection(polygons[polygon], square)
            shapely.prepare(clipped)
            is_land[members] |= _has_share(clipped, boxes)
    return is_land


def _has_share(polygon: BaseGeometry, boxes: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Whether a polygon's share of each cell is more than nothing, rounded as in `tessellation`."""
    share = np.asarray(shapely.covers(polygon, boxes))
    touched = np.flatnonzero(~share & shapely.intersects(polygon, boxes))
    area = shapely.area(shapely.intersection(polygon, boxes[touched]))
    units = np.rint(area / CELL_SIZE_M**2 * 2**AREA_BITS).astype(np.int64)
    half = 2 ** (AREA_BITS - SHARE_BITS - 1)
    share[touched] = (units + half) >> (AREA_BITS - SHARE_BITS) > 0
    return share
