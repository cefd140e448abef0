"""When a row is taken to have happened and to have become known, by the rules of its source."""

from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, TimestampNTZType, TimestampType

from cas_spark.errors import CasError
from cas_spark.settings.moments import (
    DateAndTime,
    DateParts,
    Interval,
    Known,
    Moment,
    Written,
    columns_of,
)
from cas_spark.sources.spans import Delivered, Span, span_of

_TYPED = (TimestampType, TimestampNTZType, DateType)


@dataclass(frozen=True)
class Happened:
    """When a row says that it happened.

    Attributes:
        start: first instant of the interval (timestamp, UTC); null where it cannot be read.
        last: the span of the interval's last moment.
        from_text: what was delivered for the start.
        until_text: what was delivered for the end; null where there is none.
    """

    start: Column
    last: Span
    from_text: Column
    until_text: Column


def until(start: Column, last: Span, known_at: Column) -> Column:
    """The end of the interval in which a row happened, given when it became known.

    A last moment that is given as a whole day lasts until that day's end, or until the row became
    known on that day: nothing happens after it is known.

    Args:
        start: first instant of the interval.
        last: the span of its last moment.
        known_at: when the row became known.
    """
    if not last.may_have_length:
        return last.end
    # A day that ended when the interval begins is before it, though the two instants are equal.
    is_before = (last.start < start) & (last.end <= start)
    is_known_within = (known_at > last.start) & (known_at < last.end) & (known_at >= start)
    return F.when(is_before, last.start).when(is_known_within, known_at).otherwise(last.end)


def happened(interval: Interval, delivered: Delivered) -> Happened:
    """When a row happened; without a value for the end, the start is both."""
    start = span_of(interval.start, interval, delivered, interval.precision)
    from_text = delivered.text_of_all(columns_of(interval.start))
    if interval.end is None:
        return Happened(start.start, start, from_text, F.lit(None).cast("string"))
    until_text = delivered.text_of_all(columns_of(interval.end))
    end = span_of(interval.end, interval, delivered, interval.precision)
    is_one_moment = until_text.isNull()
    last = Span(
        F.when(is_one_moment, start.start).otherwise(end.start),
        F.when(is_one_moment, start.end).otherwise(end.end),
        start.may_have_length or end.may_have_length,
    )
    return Happened(start.start, last, from_text, until_text)


def check_interval(interval: Interval, delivered: Delivered, name: str) -> None:
    """Check that the moments of an interval can be read, and that a start without a time is said.

    Args:
        interval: of the settings.
        delivered: the rows.
        name: of the section in the settings.

    Raises:
        CasError: a text column has no formats, or the start is a date while no precision is set.
    """
    for moment in (interval.start, interval.end):
        check_formats(moment, interval, delivered)
    start = interval.start
    is_date = isinstance(start, str) and isinstance(delivered.kinds[start], DateType)
    if is_date and interval.precision is None:
        raise CasError(
            what=f"column {start}",
            found="dates without a time of day",
            expected="settings that say so, since every figure must say it too",
            do=f"Set {name}.precision: day",
        )


def check_known(known: Known, delivered: Delivered, name: str) -> None:
    """Check that the moments at which rows became known can be read and fit their rule.

    Args:
        known: of the settings.
        delivered: the rows.
        name: of the section in the settings.

    Raises:
        CasError: a text column has no formats, or a column of dates is taken as given.
    """
    check_formats(known.column, known, delivered)
    column = known.column
    is_date = isinstance(column, str) and isinstance(delivered.kinds[column], DateType)
    if is_date and known.rule == "as_given":
        raise CasError(
            what=f"column {column}",
            found="dates without a time of day",
            expected="moments, since a row of a day was known only when the day had ended",
            do=f"Set {name}.rule: next_day",
        )


def check_formats(moment: Moment | None, written: Written, delivered: Delivered) -> None:
    """Check that a moment in one column, or the date of one in two, has formats or a type of them.

    Raises:
        CasError: a text column without formats.
    """
    if moment is None or isinstance(moment, DateParts):
        return
    column, formats, setting = (
        (moment.date, moment.date_formats, "date_formats")
        if isinstance(moment, DateAndTime)
        else (moment, written.formats, "formats")
    )
    kind = delivered.kinds[column]
    if isinstance(kind, _TYPED) or formats:
        return
    raise CasError(
        what=f"column {column}",
        found=f"{kind.simpleString()} and no formats",
        expected="patterns that say how its moments are written, or a column of dates or times",
        do=f"Give {setting} beside {column} in the settings, such as ['M/d/yyyy H:mm']",
    )


def month_start(instant: Column, zone: str, months: int = 0) -> Column:
    """The first instant of the local month in which `instant` falls, or of one `months` later."""
    first_day = F.trunc(F.from_utc_timestamp(instant, zone), "month")
    return F.to_utc_timestamp(F.add_months(first_day, months).cast("timestamp"), zone)


def next_day_start(instant: Column, zone: str) -> Column:
    """The first instant of the local day after the one in which `instant` falls."""
    day = F.to_date(F.from_utc_timestamp(instant, zone))
    return F.to_utc_timestamp(F.date_add(day, 1).cast("timestamp"), zone)


def known_given(known: Known, delivered: Delivered) -> Column:
    """What the extract says of when a row became known (timestamp, UTC); null where it says none.

    As given, a day without a time is over before the row counts as known; for the other rules any
    instant of the day or month will do.
    """
    if known.column is None:
        return F.lit(None).cast("timestamp")
    span = span_of(known.column, known, delivered)
    return span.end if known.rule == "as_given" else span.start


def known_text(known: Known, delivered: Delivered) -> Column:
    """What was delivered of when a row became known, for messages."""
    if known.column is None:
        return F.lit(f"{known.delay_days} days after it happened")
    return delivered.text_of_all(known.columns)


def known_at(
    known: Known, given: Column, occurred_until: Column, is_correction: Column, zone: str
) -> Column:
    """When a row is taken to have become known (timestamp, UTC), by the rule of the settings.

    With `assumed_delay` a day is 24 hours. With a coded month, a row that would fall outside it
    gets the month's first instant, or its last: the microsecond before the next month.

    Args:
        known: the rule.
        given: the delivered moment, or any instant of the day or month in which the row was coded.
        occurred_until: end of the interval in which it happened.
        is_correction: whether the row corrects another; see `Known`.
        zone: IANA name of the zone in which days and months begin.
    """
    if known.rule == "as_given":
        return given
    if known.rule == "next_day":
        return next_day_start(given, zone)
    next_month = month_start(given, zone, months=1)
    if known.rule == "next_month":
        return next_month
    delayed = occurred_until + F.make_dt_interval(days=F.lit(known.delay_days))
    if known.column is None:
        return delayed
    last = next_month - F.expr("INTERVAL '0.000001' SECOND")
    within = F.greatest(month_start(given, zone), F.least(last, delayed))
    return F.when(is_correction | occurred_until.isNull(), last).otherwise(within)
