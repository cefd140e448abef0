"""Every indicator again, written as slowly and plainly as its meaning reads: the oracle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cas_spark.indicators.catalogue import ANY, NEVER_WEEKS, Indicator


@dataclass(frozen=True)
class Version:
    """A version of an incident as the oracle sees it."""

    priority: str
    column: int
    row: int
    counts_at: datetime
    known_at: datetime
    superseded_at: datetime | None = None


@dataclass(frozen=True)
class Polls:
    """Polls by date, and the first of the calendar."""

    instants: dict[date, datetime]
    first: date

    def week_of(self, moment: datetime) -> date | None:
        """The poll at which the week of a moment begins."""
        before = [day for day, instant in self.instants.items() if instant <= moment]
        return max(before) if before else None


def value(
    indicator: Indicator,
    versions: Sequence[Version],
    cell: tuple[int, int],
    poll: date,
    polls: Polls,
) -> float:
    """The value of an indicator of a cell at a poll."""
    if indicator.kind == "season":
        start, end = date(poll.year, 1, 1), date(poll.year + 1, 1, 1)
        angle = 2 * math.pi * (poll - start) / (end - start)
        wave = math.sin(angle) if indicator.name == "season_sin" else math.cos(angle)
        return round(wave * 2**16) / 2**16
    now = polls.instants[poll]
    seen = [
        v
        for v in versions
        if (indicator.of in (ANY, v.priority))
        and v.known_at < now
        and not (v.superseded_at is not None and v.superseded_at < now)
        and v.counts_at < now
    ]
    weeks = [(polls.week_of(v.counts_at), v) for v in seen]
    if indicator.kind == "weeks_since":
        since = [
            (poll - week).days // 7
            for week, v in weeks
            if week is not None and (v.column, v.row) == cell
        ]
        return min([NEVER_WEEKS, *since])
    start_of_window = poll - timedelta(weeks=indicator.window_weeks or 0)
    inside = [v for week, v in weeks if week is not None and week >= start_of_window]
    if indicator.kind == "count":
        return sum((v.column, v.row) == cell for v in inside)
    total = 0
    for v in inside:
        across = _axis_weight(abs(v.column - cell[0]), indicator.bandwidth_m or 0)
        total += across * _axis_weight(abs(v.row - cell[1]), indicator.bandwidth_m or 0)
    return total / 2**14


def _axis_weight(cells: int, bandwidth_m: int) -> int:
    return round(128 * math.exp(-((125 * cells) ** 2) / (2 * bandwidth_m**2)))
