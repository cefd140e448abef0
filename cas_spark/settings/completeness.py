"""Of which days an extract holds all rows: from a day on, or with named gaps."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

from cas_spark.settings.section import Day

Period = tuple[Day, Day | None]
"""The first and the last day of which all rows are delivered; None where it goes on."""

DAY = timedelta(days=1)


def problems_of_periods(periods: Sequence[Period]) -> list[str]:
    """What is wrong with the periods of which a source is complete."""
    problems = [
        f"{in_words(period)} ends before it begins" for period in periods if _is_empty(period)
    ]
    for before, after in pairwise(periods):
        end = before[1]
        if end is None:
            problems.append(f"{in_words(before)} has no end, so that none may come after it")
        elif after[0] <= end + DAY:
            problems.append(
                f"{in_words(after)} begins before a gap after {in_words(before)}: join them"
            )
    return problems


def gaps(periods: Sequence[Period]) -> list[tuple[date, date]]:
    """The first and last days of the gaps between periods."""
    return [
        (before[1] + DAY, after[0] - DAY)
        for before, after in pairwise(periods)
        if before[1] is not None
    ]


def in_words(period: Period) -> str:
    """A period as text."""
    first, last = period
    return f"{first} to {last}" if last is not None else f"from {first} on"


def _is_empty(period: Period) -> bool:
    return period[1] is not None and period[1] < period[0]
