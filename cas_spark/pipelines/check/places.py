"""The commonest places of an extract, and how precise its coordinates are.

Reports pile up at a headquarters, a hospital or the point to which addresses are snapped; a model
would learn that place and not where things happen.
"""

from dataclasses import dataclass

import numpy as np
from pyproj import CRS

from cas_spark.pipelines.check.sample import Places
from cas_spark.settings.location import Location

SHOWN = 20
MOST_AT_ONE_PLACE = 0.01
TIMES_THE_MEDIAN = 5
FEWEST_AT_ONE_PLACE = 10
"""Rows below which a place is no heap."""
FEW_DECIMALS = 3
"""Of degrees: a thousandth is about 100 m, nearly a cell."""
COARSE = 100
"""Of other units: places in whole hundreds are as coarse."""


@dataclass(frozen=True)
class Place:
    """A place, and how many rows lie at it."""

    x: float
    y: float
    rows: int
    share: float
    is_heap: bool


def commonest(places: Places) -> list[Place]:
    """Return the places at which most rows lie, the commonest first, ties by x and y.

    A heap holds more than 1 % of the rows, and more than five times as many as half of the places
    do.
    """
    if not len(places.x):
        return []
    points = np.stack([places.x, places.y], axis=-1)
    distinct, rows = np.unique(points, axis=0, return_counts=True)
    order = np.argsort(-rows, kind="stable")[:SHOWN]
    least = max(
        MOST_AT_ONE_PLACE * len(points), TIMES_THE_MEDIAN * np.median(rows), FEWEST_AT_ONE_PLACE
    )
    return [
        Place(
            float(distinct[i][0]),
            float(distinct[i][1]),
            int(rows[i]),
            float(rows[i] / len(points)),
            bool(rows[i] > least),
        )
        for i in order
    ]


def coarse_share(places: Places, location: Location) -> float:
    """Return the share of the coordinates that are too coarse to distinguish neighbouring cells.

    These are degrees with at most three decimals in both coordinates, or other units in whole
    hundreds.
    """
    if not len(places.x):
        return 0.0
    if CRS.from_user_input(location.crs).is_geographic:
        factor = 10.0**FEW_DECIMALS
        coarse = [
            np.isclose(v * factor, np.rint(v * factor), rtol=0, atol=1e-6) for v in _both(places)
        ]
    else:
        coarse = [v % COARSE == 0 for v in _both(places)]
    return float(np.mean(coarse[0] & coarse[1]))


def _both(places: Places) -> tuple[np.ndarray, np.ndarray]:
    return places.x, places.y


def as_text(value: float) -> str:
    """A coordinate as short as it can be written without losing anything."""
    return np.format_float_positional(value, trim="-")
