"""Rows that say they became known after their extract was delivered: one cannot be right.

Where the settings do not give the day of delivery, it follows from the rows: the local weeks, from
Monday to Monday, in which they became known. Such a row would otherwise move the newest poll.

| reason | the row |
| --- | --- |
| `known_after_delivery` | became known after its extract was delivered |
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.settings.delivered import DeliveredInName
from cas_spark.settings.extract_digest import delivered_on
from cas_spark.settings.extracts import Extracts

KNOWN_AFTER_DELIVERY = "known_after_delivery"

FIRST_MONDAY = date(1969, 12, 29)
"""Of the week that is counted 0."""
LEAST_SHARE = 1 / 1000
"""Of all rows: a week with as many counts."""
LEAST_OF_USUAL = 0.1
"""Of the median week that has rows: as many are enough in an extract of more than a hundred weeks,
of which an ordinary week may hold less than one row in a thousand."""
SHORT_GAP = 2
"""Weeks between two that hold rows, as a multiple of what is usual, which is no gap."""
LONGEST_GAP = 8
"""Weeks without rows, as a multiple of what is usual in the extract, after which a few rows are
taken for mistaken."""
LONGEST_GAP_OF_ROWS = 2600
"""Such a gap is also longer than so many weeks over the number of rows: ten years for five rows,
half a year for a hundred. Few rows do not show what is usual."""
FEW_ROWS, FEW_SHARE = 2, 0.01


def without_late(
    rows: DataFrame, source: Extracts, name: str, zone: str, found: Column
) -> DataFrame:
    """Give rows that became known after the delivery the reason for it.

    Args:
        rows: with `reason`, `found` and `known_at`; they are computed where the rows must show when
            they were delivered.
        source: of the extract.
        name: of the extract's file.
        zone: in which local weeks begin.
        found: the delivered moment, for messages.

    Raises:
        CasError: the file's name has no day of delivery and the settings say that it does.
    """
    if source.delivered is None:
        # Computed once: the weeks are counted before any row can be judged.
        rows = rows.localCheckpoint()
        last = last_moment_of(_weeks(rows, zone), ZoneInfo(zone))
    else:
        last = _last_moment_told(source, name, ZoneInfo(zone))
    if last is None:
        return rows
    is_late = F.col("reason").isNull() & (F.col("known_at") > F.lit(last))
    return rows.withColumns(
        {
            "reason": F.when(is_late, F.lit(KNOWN_AFTER_DELIVERY)).otherwise(F.col("reason")),
            "found": F.when(is_late, found).otherwise(F.col("found")),
        }
    )


def last_moment_of(weeks: Sequence[tuple[int, int]], zone: ZoneInfo) -> datetime | None:
    """The last moment at which a row can have become known, judged by all rows.

    That is the end of the last week that holds enough rows: one in 1,000 of all, or a tenth of what
    the median week has. Weeks with fewer count where they follow it without a gap: the week in
    which the extract was delivered may have just begun, and an extract of a year's incidents ends
    in ever fewer late reports. Of all these weeks, those after a gap far longer than usual are left
    out where they hold at most two rows or one in 100 of all: in a small extract every row is more
    than one in 1,000.

    Args:
        weeks: weeks from Monday to Monday, counted from the one that holds 1 January 1970, and the
            number of their rows, in order of time.
        zone: in which weeks begin.

    Returns:
        None without rows, or where the rows reach beyond the year 9999.
    """
    if not weeks:
        return None
    rows = sum(number for _, number in weeks)
    enough = min(LEAST_SHARE * rows, LEAST_OF_USUAL * median(number for _, number in weeks))
    held = [(week, number) for week, number in weeks if number >= enough]
    gap = median([later - week for (week, _), (later, _) in pairwise(held)] or [1])
    for week, number in weeks:
        if 0 < week - held[-1][0] <= SHORT_GAP * gap:
            held.append((week, number))
    few, tail = max(FEW_ROWS, FEW_SHARE * rows), 0
    for place in range(len(held) - 1, 0, -1):
        tail += held[place][1]
        if tail > few or 2 * tail >= rows:
            break
        starts = [week for week, _ in held[: place + 1]]
        gaps = [later - week for week, later in pairwise(starts)]
        usual = median(gaps[:-1]) if len(gaps) > 1 else 1
        if gaps[-1] > max(LONGEST_GAP * usual, LONGEST_GAP_OF_ROWS / rows):
            held, tail = held[:place], 0
    try:
        end = FIRST_MONDAY + timedelta(weeks=held[-1][0] + 1)
    except OverflowError:
        return None
    return _midnight(end, zone) - timedelta(microseconds=1)


def _last_moment_told(source: Extracts, name: str, zone: ZoneInfo) -> datetime:
    """The end of the day of delivery, or when by the rule of `known` its last row counts as known.

    Raises:
        CasError: the file's name has no day.
    """
    day = delivered_on(source, name)
    if day is None:
        pattern = (
            source.delivered.from_name if isinstance(source.delivered, DeliveredInName) else ""
        )
        raise CasError(
            what=f"the extract {name}",
            found="no day of delivery in its name",
            expected=f"a name such as {pattern}, with a day that exists",
            do=f"Rename the file, or mend {source.kind}.{source.name}.delivered; nothing was "
            "written",
        )
    end = day + timedelta(days=1)
    if source.known.rule in ("next_month", "assumed_delay"):  # later than the row was there
        next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        end = max(next_month, end + timedelta(days=source.known.delay_days or 0))
    return _midnight(end, zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _weeks(rows: DataFrame, zone: str) -> list[tuple[int, int]]:
    """The local weeks in which rows without a reason became known, and how many did."""
    day = F.unix_date(F.to_date(F.from_utc_timestamp("known_at", zone)))
    week = F.floor((day - (FIRST_MONDAY - date(1970, 1, 1)).days) / 7)
    counted = rows.where("reason IS NULL").groupBy(week.alias("week")).count().orderBy("week")
    return [(row["week"], row["count"]) for row in counted.collect()]
