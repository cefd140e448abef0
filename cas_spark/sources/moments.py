"""When: local times as delivered become instants, and how a row is taken to have become known.

Local time that a change of the clock skips counts as an hour later, and local time that occurs
twice as the first of the two.
"""

import re
from collections.abc import Sequence

from pyspark.errors import PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, TimestampNTZType, TimestampType

from cas_spark.errors import CasError
from cas_spark.settings.moments import Known
from cas_spark.sources.reading import text_of

_QUOTED = re.compile(r"'[^']*'")
_OFFSET_LETTERS = re.compile(r"[VzOXxZ]")


def instant_of(value: Column, kind: DataType, formats: Sequence[str], zone: str) -> Column:
    """A delivered moment as an instant (timestamp, UTC); null where it cannot be read.

    Args:
        value: text or numbers that the formats read, or a date, timestamp or timestamp without
            zone.
        kind: the type of `value`.
        formats: patterns tried in order; one with an offset or zone reads an instant, any other
            local time. Unused for dates and timestamps.
        zone: IANA name of the zone of local times.
    """
    if isinstance(kind, TimestampType):
        return value
    if isinstance(kind, DateType | TimestampNTZType):
        return F.to_utc_timestamp(value.cast("timestamp"), zone)
    text = text_of(value, kind)
    return F.coalesce(*(_parsed(text, pattern, zone) for pattern in formats))


def check_formats(spark: SparkSession, column: str, kind: DataType, formats: Sequence[str]) -> None:
    """Check that a column of this type can be read with these patterns.

    Raises:
        CasError: a text column without patterns, or a pattern that Spark does not know.
    """
    if isinstance(kind, TimestampType | TimestampNTZType | DateType):
        return
    if not formats:
        raise CasError(
            what=f"column {column}",
            found=f"{kind.simpleString()} and no formats",
            expected="patterns that say how its moments are written, or a column of dates or times",
            do=f"Give formats beside {column} in the settings, such as ['M/d/yyyy H:mm']",
        )
    for pattern in formats:
        try:
            spark.range(1).select(F.try_to_timestamp(F.lit("x"), F.lit(pattern))).collect()
        except PySparkException as error:
            raise CasError(
                what=f"formats of column {column}",
                found=f"{pattern!r} ({str(error).splitlines()[0]})",
                expected="a pattern of Spark's, such as 'M/d/yyyy H:mm'",
                do="Mend it after https://spark.apache.org/docs/4.0.0/sql-ref-datetime-pattern.html",
            ) from error


def month_start(instant: Column, zone: str, months: int = 0) -> Column:
    """The first instant of the local month in which `instant` falls, or of one `months` later."""
    first_day = F.trunc(F.from_utc_timestamp(instant, zone), "month")
    return F.to_utc_timestamp(F.add_months(first_day, months).cast("timestamp"), zone)


def known_at(
    known: Known, given: Column, occurred_until: Column, is_correction: Column, zone: str
) -> Column:
    """When a row is taken to have become known (timestamp, UTC), by the rule of the settings.

    With `assumed_delay` a day is 24 hours, and a row that would fall outside its coded month gets
    the month's first instant, or its last: the microsecond before the next month.

    Args:
        known: the rule.
        given: the delivered moment, or any instant of the month in which the row was coded.
        occurred_until: end of the interval in which it happened.
        is_correction: whether the row corrects another; see `Known`.
        zone: IANA name of the zone in which months begin.
    """
    if known.rule == "as_given":
        return given
    next_month = month_start(given, zone, months=1)
    if known.rule == "next_month":
        return next_month
    last = next_month - F.expr("INTERVAL '0.000001' SECOND")
    delayed = occurred_until + F.make_dt_interval(days=F.lit(known.delay_days))
    within = F.greatest(month_start(given, zone), F.least(last, delayed))
    return F.when(is_correction | occurred_until.isNull(), last).otherwise(within)


def _parsed(text: Column, pattern: str, zone: str) -> Column:
    moment = F.try_to_timestamp(text, F.lit(pattern))
    if _OFFSET_LETTERS.search(_QUOTED.sub("", pattern)):
        return moment
    return F.to_utc_timestamp(moment, zone)
