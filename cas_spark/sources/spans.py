"""What a moment says as delivered: a span from one local or absolute moment to another.

A moment with minutes or seconds is a span without length; one that ends with the hour, the day or
the month is the whole of it. Local time that a change of the clock skips counts as an hour later,
and local time that occurs twice as the first of the two; so an hour that occurs twice lasts two.
24:00 is the midnight at which its day ends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, TimestampNTZType, TimestampType

from cas_spark.settings.date_patterns import (
    CLOCK_NUMBER,
    EPOCH_MILLISECONDS,
    EPOCHS,
    Unit,
    pattern_of,
)
from cas_spark.settings.moments import DateAndTime, DateParts, Moment, Written, coarser
from cas_spark.sources.reading import text_of

_END_OF_DAY = r"(?<!\d)24(?=[:.h]?00(?:[:.]?00(?:[.,]0+)?)?(?![\d:.,]))"
"""The hour 24 of a text, where no minute or second comes after it."""

_HALF_OF_DAY = r"(?i)[\s\u00a0\u202f]*(?<![a-z])([ap])\.?\s?m\b\.?"
"""AM or PM as people write it: `a.m.`, `P.M.`, after a narrow space."""

_SECONDS_AT_MOST = 253_402_300_799
"""The last second of the year 9999; more must be another unit."""

_WHOLE_NUMBER = r"^\d{1,9}(\.0+)?$"
_CENTURY = 100

_HOURS, _MINUTES = 24, 60
_MINUTE = 60_000_000
_HOUR = _MINUTES * _MINUTE
_DAY = _HOURS * _HOUR
"""Microseconds."""


@dataclass(frozen=True)
class Span:
    """A delivered moment.

    Attributes:
        start: its first instant (timestamp, UTC); null where it cannot be read.
        end: its end, before which it lies; equal to `start` where it has no length.
        may_have_length: whether some row's span has a length.
    """

    start: Column
    end: Column
    may_have_length: bool


@dataclass(frozen=True)
class Delivered:
    """The columns of an extract as `reading.read_rows` gives them.

    Attributes:
        kinds: the type of every mapped column.
        zone: IANA name of the zone of local times.
    """

    kinds: dict[str, DataType]
    zone: str

    def value(self, column: str) -> Column:
        """The value of a column, of the file's own type."""
        return F.col("given")[column]

    def text(self, column: str) -> Column:
        """The text of a column; null where it is blank."""
        return text_of(self.value(column), self.kinds[column])

    def text_of_all(self, columns: Sequence[str]) -> Column:
        """The texts of some columns, for messages; null where all are blank."""
        texts = [self.text(column) for column in columns]
        if len(texts) == 1:
            return texts[0]
        together = F.concat_ws(" ", *texts)
        return F.when(together != "", together)


def span_of(
    moment: Moment, written: Written, delivered: Delivered, precision: Unit | None = None
) -> Span:
    """The span that a moment says.

    Args:
        moment: its column or columns.
        written: their formats.
        delivered: the rows.
        precision: the unit to which moments are known, where they are given in a finer one.
    """
    if isinstance(moment, str):
        return _of_column(moment, written, delivered, precision)
    if isinstance(moment, DateAndTime):
        return _of_date_and_time(moment, written, delivered, precision)
    return _of_parts(moment, delivered, precision)


def _of_column(column: str, written: Written, delivered: Delivered, precision: Unit | None) -> Span:
    kind, value, zone = delivered.kinds[column], delivered.value(column), delivered.zone
    if isinstance(kind, TimestampType):
        return _instant(value, precision, zone)
    if isinstance(kind, TimestampNTZType | DateType):
        unit = coarser("day" if isinstance(kind, DateType) else None, precision)
        return _local(value.cast("timestamp"), unit, zone)
    text = delivered.text(column)
    spans = [_parsed(text, pattern, written, precision, zone) for pattern in written.formats]
    starts = [span.start for span in spans]
    ends = [span.end for span in spans]
    if not any(span.may_have_length for span in spans):
        start = F.coalesce(*starts)
        return Span(start, start, may_have_length=False)
    return Span(F.coalesce(*starts), F.coalesce(*ends), may_have_length=True)


def _parsed(
    text: Column, pattern: str, written: Written, precision: Unit | None, zone: str
) -> Span:
    if pattern in EPOCHS:
        return _instant(_since_1970(text, pattern), precision, zone)
    moment = _in_its_century(_read(text, pattern), pattern, written)
    parsed = pattern_of(pattern)
    unit = coarser(parsed.unit, precision)
    return _instant(moment, unit, zone) if parsed.has_offset else _local(moment, unit, zone)


def _read(text: Column, pattern: str) -> Column:
    """A text as a timestamp in UTC, whatever zone its local time is of; null where it is none."""
    parsed = pattern_of(pattern)
    if parsed.is_twelve_hour:
        has_space = " a" in pattern
        text = F.regexp_replace(text, _HALF_OF_DAY, " $1m" if has_space else "$1m")
    moment = F.try_to_timestamp(text, F.lit(pattern))
    if "hour" not in parsed.fields or parsed.is_twelve_hour:
        return moment
    midnight = F.try_to_timestamp(F.regexp_replace(text, _END_OF_DAY, "00"), F.lit(pattern))
    next_day = midnight + F.expr("INTERVAL '1' DAY")
    return F.coalesce(moment, F.when(text.rlike(_END_OF_DAY), next_day))


def _in_its_century(moment: Column, pattern: str, written: Written) -> Column:
    """Spark takes the years of `yy` for 2000 to 2099; the settings may mean others."""
    first = written.two_digit_years_from
    if first is None or not pattern_of(pattern).has_two_digit_year:
        return moment
    is_later = F.year(moment) >= first + _CENTURY
    return F.when(is_later, moment - F.expr("INTERVAL '100' YEAR")).otherwise(moment)


def _since_1970(text: Column, unit: str) -> Column:
    number = text.try_cast("decimal(20,6)")
    seconds = F.try_divide(number, F.lit(1000)) if unit == EPOCH_MILLISECONDS else number
    micros = F.round(seconds * F.lit(1_000_000)).try_cast("long")
    is_a_moment = seconds.between(-_SECONDS_AT_MOST, _SECONDS_AT_MOST)
    return F.when(is_a_moment, F.timestamp_micros(micros))


def _of_date_and_time(
    moment: DateAndTime, written: Written, delivered: Delivered, precision: Unit | None
) -> Span:
    day = _day(moment, written, delivered)
    if precision in ("day", "month"):
        return _local(day, precision, delivered.zone)
    text = delivered.text(moment.time)
    times = [_since_midnight(text, pattern) for pattern in moment.time_formats]
    start = F.coalesce(*times)
    lengths = [_HOUR if _is_of_hours(pattern) else 0 for pattern in moment.time_formats]
    end = F.coalesce(*(time + length for time, length in zip(times, lengths, strict=True)))
    is_blank = text.isNull()
    return _between(
        _later(day, F.when(is_blank, F.lit(0)).otherwise(start)),
        _later(day, F.when(is_blank, F.lit(_DAY)).otherwise(end)),
        delivered.zone,
    )


def _is_of_hours(pattern: str) -> bool:
    return pattern != CLOCK_NUMBER and pattern_of(pattern).unit is not None


def _day(moment: DateAndTime, written: Written, delivered: Delivered) -> Column:
    """The date, as the local midnight at which it begins (timestamp, as if in UTC)."""
    kind, value = delivered.kinds[moment.date], delivered.value(moment.date)
    if isinstance(kind, TimestampType):
        local = F.from_utc_timestamp(value, delivered.zone)
    elif isinstance(kind, TimestampNTZType | DateType):
        local = value.cast("timestamp")
    else:
        text = delivered.text(moment.date)
        read: list[Column] = []
        for pattern in moment.date_formats:
            if pattern in EPOCHS:
                instant = _since_1970(text, pattern)
            else:
                instant = _in_its_century(_read(text, pattern), pattern, written)
            is_instant = pattern in EPOCHS or pattern_of(pattern).has_offset
            read.append(F.from_utc_timestamp(instant, delivered.zone) if is_instant else instant)
        local = F.coalesce(*read)
    return F.date_trunc("day", local)


def _since_midnight(text: Column, pattern: str) -> Column:
    """Microseconds since midnight of a time of the day, up to those of a day (long)."""
    if pattern != CLOCK_NUMBER:
        return F.unix_micros(_read(text, pattern))
    number = _whole_number(text)
    return _of_clock(F.floor(number / 100), number % 100)


def _of_clock(hour: Column, minute: Column) -> Column:
    """Microseconds since midnight (long); null where it is no time. Hour 24 has no minutes."""
    is_time = ((hour < _HOURS) & (minute < _MINUTES)) | ((hour == _HOURS) & (minute == 0))
    return F.when(is_time, (hour * _MINUTES + minute).cast("long") * _MINUTE)


def _of_parts(moment: DateParts, delivered: Delivered, precision: Unit | None) -> Span:
    zero, one = F.lit(0), F.lit(1)
    year, month = (_whole_number(delivered.text(c)) for c in (moment.year, moment.month))
    is_full_year = year.between(1000, 9999)
    day = _whole_number(delivered.text(moment.day)) if moment.day else one
    date = F.when(is_full_year, F.try_make_timestamp(year, month, day, zero, zero, zero))
    unit = coarser("month" if moment.day is None else None, precision)
    if unit is None and moment.hour is None:
        unit = "day"
    if unit in ("day", "month") or moment.hour is None:
        return _local(date, unit, delivered.zone)
    hour_text = delivered.text(moment.hour)
    hour = _whole_number(hour_text)
    minute_text = delivered.text(moment.minute) if moment.minute else F.lit(None).cast("string")
    minute = _whole_number(minute_text)
    is_whole_day, is_whole_hour = hour_text.isNull(), minute_text.isNull()
    to_the_minute = _of_clock(hour, minute)
    to_the_hour = F.when(hour < _HOURS, hour.cast("long") * _HOUR)
    start = F.when(is_whole_hour, to_the_hour).otherwise(to_the_minute)
    end = F.when(is_whole_hour, to_the_hour + _HOUR).otherwise(to_the_minute)
    return _between(
        _later(date, F.when(is_whole_day, F.lit(0)).otherwise(start)),
        _later(date, F.when(is_whole_day, F.lit(_DAY)).otherwise(end)),
        delivered.zone,
    )


def _whole_number(text: Column) -> Column:
    """A whole number that is not negative (int), also one written as `18.0`; else null."""
    return F.when(text.rlike(_WHOLE_NUMBER), text.try_cast("decimal(18,6)").cast("int"))


def _later(local: Column, micros: Column) -> Column:
    return F.timestamp_micros(F.unix_micros(local) + micros)


def _between(start: Column, end: Column, zone: str) -> Span:
    to_instant = _to_instant(zone)
    return Span(to_instant(start), to_instant(end), may_have_length=True)


def _instant(moment: Column, unit: Unit | None, zone: str) -> Span:
    if unit is None:
        return Span(moment, moment, may_have_length=False)
    return _local(F.from_utc_timestamp(moment, zone), unit, zone)


def _local(local: Column, unit: Unit | None, zone: str) -> Span:
    to_instant = _to_instant(zone)
    if unit is None:
        instant = to_instant(local)
        return Span(instant, instant, may_have_length=False)
    start = F.date_trunc(unit, local)
    return _between(start, start + F.expr(f"INTERVAL '1' {unit.upper()}"), zone)


def _to_instant(zone: str) -> Callable[[Column], Column]:
    return lambda local: F.to_utc_timestamp(local, zone)
