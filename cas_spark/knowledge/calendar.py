"""Polls and weeks: a week runs from one poll to the next, both at local midnight, half-open.

So a week lasts 167, 168 or 169 hours. A poll is named by its local date; its instant is UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(weeks=1)


def instant_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which a local date begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def polls_between(first: date, last: date) -> list[date]:
    """The polls from `first` to `last`, both included, a week apart."""
    return [first + i * WEEK for i in range((last - first).days // 7 + 1)]


def target_weeks(poll: date, horizons: Mapping[str, int]) -> dict[str, date]:
    """Horizon -> the first day of its target week, so many weeks after the poll."""
    return {name: poll + weeks * WEEK for name, weeks in horizons.items()}


def poll_at_or_after(day: date, weekday: int) -> date:
    """The first poll not before `day`; `weekday` counts from Monday 0."""
    return day + timedelta(days=(weekday - day.weekday()) % 7)


@dataclass(frozen=True)
class Schedule:
    """The polls of one run.

    `training` are the polls that models learn from, oldest first: the newest whose longest target
    has settled by `poll`, and as many as the settings ask. `calendar_from` is the poll at which
    the first week of complete extracts begins.
    """

    poll: date
    training: tuple[date, ...]
    calendar_from: date
    zone: ZoneInfo

    @property
    def snapshot_polls(self) -> tuple[date, ...]:
        """The polls whose snapshots the run needs: those to learn from, up to its own."""
        return tuple(polls_between(self.training[0], self.poll))

    @property
    def weeks_of_history(self) -> int:
        """Whole weeks with complete extracts before the first training poll."""
        return (self.training[0] - self.calendar_from).days // 7
