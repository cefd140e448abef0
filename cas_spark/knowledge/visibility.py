"""The time rule: what was known at a moment. Only this module writes conditions on `known_at`."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Micros = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
"""In place of the instant of a thing that has not happened."""


def known_at(versions: DataFrame, moment: datetime) -> DataFrame:
    """The versions that were known at `moment` (UTC).

    A version counts when it was known before the moment and nothing superseded it before then.
    `versions` has the instants `known_at` and `superseded_at` (null where nothing did).
    """
    was_known = F.col("known_at") < F.lit(moment)
    was_superseded = F.coalesce(F.col("superseded_at") < F.lit(moment), F.lit(False))
    return versions.where(was_known & ~was_superseded)


def without_purged(versions: DataFrame) -> DataFrame:
    """The versions that no revision purged: what a run may use, for whatever poll.

    A purge also supersedes, so with purged versions left in a poll sees what was known by then: so
    an accuracy of the past is measured as it was, where that is asked for.
    """
    return versions.where(F.col("purged_at").isNull())


def polls_that_see(known_at: Micros, superseded_at: Micros, edges: Micros) -> tuple[Micros, Micros]:
    """The same rule for many polls at once: which polls see a version.

    Poll k sees it when `known_at < edges[k]` and not `superseded_at < edges[k]`, so it is seen by
    one run of polls: [first, until). Instants are microseconds UTC; NEVER where not superseded.

    Returns:
        `first` and `until`, indices into `edges`, each of the shape of `known_at`.
    """
    first = np.searchsorted(edges, known_at, side="right")
    until = np.searchsorted(edges, superseded_at, side="right")
    return first, until


def counts_at() -> Column:
    """The one moment in which an incident with an interval counts: the interval's middle.

    See docs/adr/0003. Whole microseconds, rounded down.
    """
    start = F.unix_micros("occurred_from_at")
    length = F.unix_micros("occurred_until_at") - start
    return F.timestamp_micros(start + F.floor(length / 2).cast("long"))


def week_on(zone: ZoneInfo, weekday: int) -> Column:
    """The local date on which the week begins in which an incident counts.

    `weekday` is the day of the polls, Monday 0.
    """
    day = F.to_date(F.from_utc_timestamp(counts_at(), str(zone)))
    return F.date_sub(day, F.pmod(F.weekday(day) - F.lit(weekday), F.lit(7)))
