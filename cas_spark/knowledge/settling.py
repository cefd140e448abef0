"""Settling: a week may be learned from or scored once its incidents have had time to arrive."""

import math
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import WEEK, Schedule, instant_of, polls_between
from cas_spark.knowledge.visibility import counts_at, known_at
from cas_spark.settings import Settings

DAY_MICROS = 24 * 3600 * 1_000_000


def settling_days(incidents: DataFrame, moment: datetime, settings: Settings) -> int:
    """Days after its end within which a week's incidents arrive, as known at `moment`.

    Declared in the settings, or measured: the smallest whole number of days within which the
    declared share of all incidents known at the moment had become known after they happened.

    Raises:
        CasError: nothing was known at the moment, so that nothing can be measured.
    """
    settling = settings.polls.settling
    if settling.days is not None:
        return settling.days
    delay = (F.unix_micros("known_at") - F.unix_micros(counts_at())) / F.lit(DAY_MICROS)
    days = F.ceil(delay).cast("int").alias("days")
    # The first version has the moment of arrival; a later one has that of its revision.
    first = known_at(incidents, moment).where("version = 1")
    counts = first.select(days).groupBy("days").count().collect()
    total = sum(row["count"] for row in counts)
    if total == 0:
        raise CasError(
            what=f"the settling delay at {moment:%Y-%m-%d}",
            found="no incident known before that moment",
            expected="incidents, from which the delay is measured",
            do="Choose a later --poll, load earlier extracts, or set polls.settling.days",
        )
    needed = math.ceil(settling.share * total)
    arrived = 0
    for row in sorted(counts, key=lambda row: row["days"]):
        arrived += row["count"]
        if arrived >= needed:
            return int(row["days"])
    message = "the counts of all delays add up to their total"
    raise AssertionError(message)


def settled_at(week_on: date, days: int, zone: ZoneInfo) -> datetime:
    """The instant from which the week that starts at `week_on` counts as settled."""
    return instant_of(week_on + WEEK + timedelta(days=days), zone)


def has_settled(week_on: date, days: int, zone: ZoneInfo, moment: datetime) -> bool:
    """Whether the week that starts at `week_on` may be learned from or scored at `moment`."""
    return settled_at(week_on, days, zone) <= moment


def newest_settled(
    poll: date, weeks: int, days: int, zone: ZoneInfo, moment: datetime | None = None
) -> date:
    """The newest poll, not after `poll`, whose target `weeks` later has settled.

    Args:
        poll: not to be passed.
        weeks: from a poll to the start of its target week.
        days: within which weeks settle after their end.
        zone: in which weeks begin at midnight.
        moment: at which it must have settled; by default at `poll` itself.
    """
    newest, moment = poll, moment or instant_of(poll, zone)
    while not has_settled(newest + weeks * WEEK, days, zone, moment):
        newest -= WEEK
    return newest


def plan(settings: Settings, poll: date, days: int, calendar_from: date) -> Schedule:
    """The polls of a run at `poll`, when weeks settle `days` after their end.

    All horizons learn from the same polls: the newest whose longest target has settled at `poll`.

    Raises:
        CasError: the extracts begin too late for that many polls.
    """
    zone = settings.zone
    newest = newest_settled(poll, settings.longest_horizon_weeks, days, zone)
    training = tuple(polls_between(newest - (settings.polls.count - 1) * WEEK, newest))
    if training[0] <= calendar_from:
        raise CasError(
            what=f"the {settings.polls.count} polls to learn from at {poll}",
            found=f"the first at {training[0]}, but the first complete week of extracts from "
            f"{calendar_from}",
            expected="a first poll after the first complete week",
            do="Choose a later --poll, load earlier extracts, or lower polls.count",
        )
    return Schedule(poll=poll, training=training, calendar_from=calendar_from, zone=zone)
