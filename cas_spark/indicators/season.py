"""The season: where in the year a poll falls, as a point on a circle."""

import math
from datetime import date

ROUNDING = 1 << 16
"""Sines are rounded to 2^-16, since they differ in their last bits between processors."""


def season(poll: date) -> dict[str, float]:
    """`season_sin` and `season_cos` of a poll's date; 0 and 1 on 1 January."""
    start = date(poll.year, 1, 1)
    share = (poll - start).days / (date(poll.year + 1, 1, 1) - start).days
    angle = 2 * math.pi * share
    return {
        "season_sin": round(math.sin(angle) * ROUNDING) / ROUNDING,
        "season_cos": round(math.cos(angle) * ROUNDING) / ROUNDING,
    }
