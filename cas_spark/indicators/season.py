"""What follows from a poll's date alone: the season, as a point on a circle, and daylight."""

import math
from datetime import UTC, date
from functools import cache

from astral import Observer
from astral.sun import daylight
from pyproj import Transformer

from cas_spark.grid.cells import CELL_SIZE_M, Integers

SINE_STEPS = 1 << 16
HOUR_STEPS = 1 << 6
"""Values are rounded, to 2^-16 and to about a minute, since processors differ in last bits."""


def calendar_values(poll: date, latitude: float) -> dict[str, float]:
    """The indicators of kind `calendar` of a poll at a latitude in degrees.

    Raises:
        ValueError: the sun does not rise or set on that day (beyond the polar circles).
    """
    start = date(poll.year, 1, 1)
    share = (poll - start).days / (date(poll.year + 1, 1, 1) - start).days
    angle = 2 * math.pi * share
    rise, fall = daylight(Observer(latitude=latitude), poll, tzinfo=UTC)
    hours = (fall - rise).total_seconds() / 3600
    return {
        "season_sin": round(math.sin(angle) * SINE_STEPS) / SINE_STEPS,
        "season_cos": round(math.cos(angle) * SINE_STEPS) / SINE_STEPS,
        "daylight_hours": round(hours * HOUR_STEPS) / HOUR_STEPS,
    }


def latitude_of(columns: Integers, rows: Integers, crs: str) -> float:
    """Latitude in whole tenths of a degree of the middle of these cells of a grid in `crs`."""
    x, y = (CELL_SIZE_M * (float(axis.min() + axis.max()) + 1) / 2 for axis in (columns, rows))
    return round(float(_to_degrees(crs).transform(x, y)[1]), 1)


@cache
def _to_degrees(crs: str) -> Transformer:
    """Kept for the next team: to look it up takes as long as some teams' indicators."""
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
