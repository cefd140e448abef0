"""Every indicator again, written as slowly and plainly as its meaning reads: the oracle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

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
class Link:
    """A version of a link of a suspect as the oracle sees it."""

    priority: str
    person: str
    column: int
    row: int
    known_at: datetime
    superseded_at: datetime | None = None


@dataclass(frozen=True)
class Polls:
    """Polls by date, the first of the calendar, and where the team lies."""

    instants: dict[date, datetime]
    first: date
    latitude: float

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
    team: Sequence[tuple[int, int]] = (),
) -> float:
    """The value of an indicator of a cell at a poll; `team` are all cells of its team."""
    if indicator.kind == "calendar":
        return _of_the_date(indicator.name, poll, polls.latitude)
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
    # Weeks that lie between the incident's week and the poll: 0 for the week just before it.
    aged = [((poll - week).days // 7 - 1, v) for week, v in weeks if week is not None]
    if indicator.kind == "weeks_since":
        reach = 1 if indicator.is_of_block else 0
        since = [age + 1 for age, v in aged if _steps(v, cell) <= reach]
        return min([NEVER_WEEKS, *since])
    total = Fraction(0)
    for age, v in aged:
        total += _weight_of_age(indicator, age) * _weight_of_place(indicator, v, cell, team)
    return float(total > 0) if indicator.kind == "ever" else float(total)


def value_of_suspects(
    indicator: Indicator, links: Sequence[Link], cell: tuple[int, int], now: datetime
) -> float:
    """The value of an indicator of suspects of a cell at the instant of a poll."""
    seen = [
        link
        for link in links
        if link.priority == indicator.of
        and link.known_at < now
        and not (link.superseded_at is not None and link.superseded_at < now)
    ]
    metres = {link: 125 * math.hypot(link.column - cell[0], link.row - cell[1]) for link in seen}
    if indicator.kind == "nearest_suspect":
        return round(64 * min([1625.0, *metres.values()])) / 64
    assert indicator.radius_m is not None
    return len({link.person for link in seen if metres[link] <= indicator.radius_m})


def _of_the_date(name: str, poll: date, latitude: float) -> float:
    start, end = date(poll.year, 1, 1), date(poll.year + 1, 1, 1)
    angle = 2 * math.pi * (poll - start) / (end - start)
    if name == "season_sin":
        return round(math.sin(angle) * 2**16) / 2**16
    if name == "season_cos":
        return round(math.cos(angle) * 2**16) / 2**16
    # CBM (Forsythe and others, 1995), which the library does not use: near, not equal.
    day = (poll - start).days + 1
    theta = 0.2163108 + 2 * math.atan(0.9671396 * math.tan(0.00860 * (day - 186)))
    phi = math.asin(0.39795 * math.cos(theta))
    across = math.radians(latitude)
    up = math.sin(math.radians(0.8333)) + math.sin(across) * math.sin(phi)
    return 24 - 24 / math.pi * math.acos(up / (math.cos(across) * math.cos(phi)))


def _weight_of_age(indicator: Indicator, age: int) -> Fraction:
    if indicator.half_life_weeks is not None:
        return Fraction(round(2**20 * 2 ** (-age / indicator.half_life_weeks)), 2**20)
    assert indicator.window is not None
    newest, oldest = indicator.window
    return Fraction(int(age >= newest and (oldest is None or age < oldest)))


def _weight_of_place(
    indicator: Indicator, v: Version, cell: tuple[int, int], team: Sequence[tuple[int, int]]
) -> Fraction:
    if indicator.kind == "level":
        return Fraction(int((v.column, v.row) in team))
    if indicator.kind != "density":
        return Fraction(int((v.column, v.row) == cell))
    across = axis_weight(abs(v.column - cell[0]), indicator.bandwidth_m or 0)
    return Fraction(across * axis_weight(abs(v.row - cell[1]), indicator.bandwidth_m or 0), 2**14)


def _steps(v: Version, cell: tuple[int, int]) -> int:
    """Steps of a king on a chessboard."""
    return max(abs(v.column - cell[0]), abs(v.row - cell[1]))


def axis_weight(cells: int, bandwidth_m: int) -> int:
    return round(128 * math.exp(-((125 * cells) ** 2) / (2 * bandwidth_m**2)))
