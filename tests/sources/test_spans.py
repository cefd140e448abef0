"""Delivered moments become spans, held against a slow reading in plain Python."""

import calendar
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from cas_spark.settings.date_patterns import Unit
from cas_spark.settings.moments import DateAndTime, DateParts, Known, Moment, Written, columns_of
from cas_spark.sources.moments import known_at
from cas_spark.sources.spans import Delivered, span_of
from tests.settings.test_date_patterns import FAULTS, GOOD

pytestmark = pytest.mark.spark

ZONE = "America/Chicago"
DAY = timedelta(days=1)
Found = tuple[datetime | None, datetime | None]
NOTHING: Found = (None, None)

few = settings(max_examples=3)


def spans(
    spark: SparkSession,
    rows: Sequence[Sequence[str | None]],
    moment: Moment,
    formats: Sequence[str] = (),
    precision: Unit | None = None,
    zone: str = ZONE,
    **written: Any,
) -> list[Found]:
    """The spans of rows of text, one column after another as the moment names them."""
    names = columns_of(moment)
    fields = ", ".join(f"`{name}`: string" for name in names)
    frame = spark.createDataFrame(
        [(place, tuple(map(_as_read, row))) for place, row in enumerate(rows)],
        f"place int, given struct<{fields}>",
    )
    delivered = Delivered({name: StringType() for name in names}, zone)
    span = span_of(moment, Written(formats=list(formats), **written), delivered, precision)
    found = frame.select("place", F.unix_micros(span.start), F.unix_micros(span.end)).collect()
    by_place = {place: (_moment(start), _moment(end)) for place, start, end in found}
    return [by_place[place] for place in range(len(rows))]


def _as_read(text: str | None) -> str | None:
    """A value as `reading.read_rows` gives it: trimmed, and null where it is blank."""
    return (text and text.strip()) or None


def _moment(micros: int | None) -> datetime | None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return None if micros is None else epoch + timedelta(microseconds=micros)


def one(spark: SparkSession, text: str, pattern: str, **rest: Any) -> Found:
    return spans(spark, [[text]], "c", [pattern], **rest)[0]


def instant(local: datetime, zone: str = ZONE) -> datetime:
    """An instant of a local time; one that comes twice is the first, one skipped an hour later."""
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def span(first: datetime, last: datetime | None = None, zone: str = ZONE) -> Found:
    return instant(first, zone), instant(last or first, zone)


def at(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001  # local time


def _date_of(year: int, month: int, day: int) -> date | None:
    is_a_day = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    return date(year, month, day) if is_a_day else None


_small = st.integers(-1, 61).map(str) | st.sampled_from(["", "x", " 7 ", "05", "8.0", "24", "0"])
_days = st.dates(date(2018, 1, 1), date(2026, 12, 31)) | st.sampled_from(
    [date(2024, 3, 10), date(2024, 11, 3), date(2024, 2, 29), date(2023, 12, 31)]
)


@few
@given(st.lists(st.tuples(_days, _small, _small), min_size=40, max_size=120))
def test_parts_are_read_as_plain_python_reads_them(
    spark: SparkSession, rows: list[tuple[date, str, str]]
) -> None:
    moment = DateParts(year="y", month="mo", day="d", hour="h", minute="mi")
    told = [(str(day.year), f"{day.month}.0", f"{day.day:02}", h, mi) for day, h, mi in rows]
    expected = [_slow_parts(day, hour.strip(), minute.strip()) for day, hour, minute in rows]
    assert spans(spark, told, moment) == expected


def _slow_parts(day: date, hour: str, minute: str) -> Found:
    midnight = datetime.combine(day, time())
    if hour == "":
        return span(midnight, midnight + DAY)
    numbers = [_slow_number(text) for text in (hour, minute)]
    if numbers[0] is None or (minute and numbers[1] is None):
        return NOTHING
    h, m = numbers[0], numbers[1] or 0
    if h == 24 and minute and m == 0:
        return span(midnight + DAY)
    if h > 23 or m > 59:
        return NOTHING
    first = midnight + timedelta(hours=h, minutes=m)
    return span(first) if minute else span(first, first + timedelta(hours=1))


def _slow_number(text: str) -> int | None:
    digits = text.removesuffix(".0")
    return int(digits) if digits.isdigit() else None


def test_dates_that_do_not_exist_and_short_years_are_not_read(spark: SparkSession) -> None:
    moment = DateParts(year="y", month="m", day="d")
    rows = [("2023", "2", "29"), ("2024", "2", "29"), ("24", "2", "3"), ("2024", "13", "1")]
    rows += [("2024", "0", "1"), ("2024", "", "1"), ("2024", "May", "1"), ("", "", "")]
    leap = span(at(2024, 2, 29), at(2024, 3, 1))
    assert spans(spark, rows, moment) == [NOTHING, leap, *[NOTHING] * 6]


_clocks = st.integers(0, 2460).map(str) | st.sampled_from(
    ["2400", "0", "5", "930", "0930", "1330.0", "", "2500", "1360", "-5", "12:30", "13305"]
)


@few
@given(st.lists(st.tuples(_days, _clocks), min_size=40, max_size=120))
def test_a_date_and_a_number_of_the_clock_are_read_as_plain_python_reads_them(
    spark: SparkSession, rows: list[tuple[date, str]]
) -> None:
    moment = DateAndTime(
        date="d", date_formats=["MM/dd/yyyy hh:mm:ss a"], time="t", time_formats=["clock_number"]
    )
    told = [(f"{day:%m/%d/%Y} 12:00:00 AM", clock) for day, clock in rows]
    expected = []
    for day, clock in rows:
        midnight, number = datetime.combine(day, time()), _slow_number(clock)
        if clock == "":
            expected.append(span(midnight, midnight + DAY))
        elif number is None or len(clock) > 6 or number > 2400 or number % 100 > 59:
            expected.append(NOTHING)
        else:
            expected.append(span(midnight + timedelta(hours=number // 100, minutes=number % 100)))
    assert spans(spark, told, moment) == expected


_times = st.times().map(lambda t: t.replace(microsecond=0, second=0))


@few
@given(
    st.lists(st.tuples(_days, _times), min_size=40, max_size=120),
    st.sampled_from([ZONE, "Europe/Amsterdam", "America/Sao_Paulo", "Asia/Kathmandu"]),
)
def test_days_hours_and_minutes_are_spans_of_their_own_length(
    spark: SparkSession, rows: list[tuple[date, time]], zone: str
) -> None:
    locals_ = [datetime.combine(day, moment) for day, moment in rows]
    told = [[f"{m:%d.%m.%Y %H:%M}"] for m in locals_]
    told += [[f"{m:%Y-%m-%d}"] for m in locals_]
    told += [[f"{m:%Y%m%d %H}"] for m in locals_]
    told += [[f"{m:%m/%d/%Y %I:%M} {'a.m.' if m.hour < 12 else 'P.M.'}"] for m in locals_]
    formats = ["dd.MM.yyyy HH:mm", "yyyy-MM-dd", "yyyyMMdd HH", "MM/dd/yyyy hh:mm a"]
    midnights = [datetime.combine(day, time()) for day, _ in rows]
    hours = [m.replace(minute=0) for m in locals_]
    minutes = [span(m, zone=zone) for m in locals_]
    expected = minutes + [span(m, m + DAY, zone) for m in midnights]
    expected += [span(m, m + timedelta(hours=1), zone) for m in hours] + minutes
    assert spans(spark, told, "c", formats, zone=zone) == expected


def test_the_spans_of_a_precision_hold_the_moments_that_are_told(spark: SparkSession) -> None:
    text = "2024-01-31 23:15"
    formats = "yyyy-MM-dd HH:mm"
    assert one(spark, text, formats, precision="day") == span(at(2024, 1, 31), at(2024, 2, 1))
    assert one(spark, text, formats, precision="month") == span(at(2024, 1, 1), at(2024, 2, 1))
    assert one(spark, "2024-02", "yyyy-MM") == span(at(2024, 2, 1), at(2024, 3, 1))


def test_24_00_is_the_midnight_at_which_the_day_ends(spark: SparkSession) -> None:
    rows = [["2024-12-31 24:00"], ["2024-12-31 00:00"], ["2024-12-31 24:01"], ["2024-12-24 23:24"]]
    found = spans(spark, rows, "c", ["yyyy-MM-dd HH:mm"])
    assert found == [
        span(at(2025, 1, 1)), span(at(2024, 12, 31)), NOTHING, span(at(2024, 12, 24, 23, 24))
    ]  # fmt: skip
    assert one(spark, "24:00:00 24/12/2024", "HH:mm:ss dd/MM/yyyy") == span(at(2024, 12, 25))
    assert one(spark, "24:00:30 24/12/2024", "HH:mm:ss dd/MM/yyyy") == NOTHING
    moment = DateAndTime(date="d", date_formats=["yyyyMMdd"], time="t", time_formats=["HHmm"])
    assert spans(spark, [("20240228", "2400")], moment) == [span(at(2024, 2, 29))]


def test_the_marker_of_a_12_hour_clock_is_read_as_people_write_it(spark: SparkSession) -> None:
    markers = ["PM", "pm", "p.m.", "P.M.", "\u202fPM", "Pm"]
    rows = [[f"01/05/2024 11:45:00 {marker}"] for marker in markers]
    late = span(at(2024, 1, 5, 23, 45))
    assert spans(spark, rows, "c", ["MM/dd/yyyy hh:mm:ss a"]) == [late] * len(markers)
    assert one(spark, "01/05/2024 12:00:00 AM", "MM/dd/yyyy hh:mm:ss a") == span(at(2024, 1, 5))
    assert one(spark, "5 Apr 2024 7:05pm", "d MMM yyyy h:mma") == span(at(2024, 4, 5, 19, 5))


def test_epochs_are_instants_in_any_zone(spark: SparkSession) -> None:
    moment = datetime(2024, 1, 5, 12, 30, tzinfo=UTC)
    seconds = int(moment.timestamp())
    rows = [[str(seconds)], [f"{seconds}.250"], [str(seconds * 1000)], ["soon"], ["1e400"]]
    quarter = moment + timedelta(milliseconds=250)
    expected = [(moment, moment), (quarter, quarter), NOTHING, NOTHING, NOTHING]
    assert spans(spark, rows, "c", ["epoch_seconds"]) == expected
    assert one(spark, str(seconds * 1000 + 250), "epoch_milliseconds") == (quarter, quarter)


def test_years_of_two_digits_are_of_the_hundred_years_that_the_settings_name(
    spark: SparkSession,
) -> None:
    rows = [["1/2/49"], ["1/2/50"], ["2/29/96"], ["2/29/00"]]
    found = spans(spark, rows, "c", ["M/d/yy"], two_digit_years_from=1950)
    years = [at(2049, 1, 2), at(1950, 1, 2), at(1996, 2, 29), at(2000, 2, 29)]
    assert found == [span(day, day + DAY) for day in years]


@few
@given(st.lists(st.tuples(_days, _times), min_size=40, max_size=120), st.integers(0, 40))
def test_when_a_row_became_known_is_what_plain_python_says(
    spark: SparkSession, rows: list[tuple[date, time]], days: int
) -> None:
    locals_ = [datetime.combine(day, moment) for day, moment in rows]
    moments = [(place, instant(local)) for place, local in enumerate(locals_)]
    frame = spark.createDataFrame(moments, "place int, moment timestamp")
    rules = {
        "next_day": Known(column="c", rule="next_day"),
        "next_month": Known(column="c", rule="next_month"),
        "delayed": Known(rule="assumed_delay", delay_days=days),
    }
    moment, no = F.col("moment"), F.lit(False)
    columns = [
        F.unix_seconds(known_at(rule, moment, moment, no, ZONE)).alias(name)
        for name, rule in rules.items()
    ]
    found = sorted(tuple(row) for row in frame.select("place", *columns).collect())
    expected = [
        (
            place,
            _seconds(instant(datetime.combine(local.date() + DAY, time()))),
            _seconds(instant(at(local.year + local.month // 12, local.month % 12 + 1, 1))),
            _seconds(instant(local) + days * DAY),
        )
        for place, local in enumerate(locals_)
    ]
    assert found == expected


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_spark_reads_every_pattern_that_the_settings_accept(spark: SparkSession) -> None:
    """And of those that are refused, it knows the letters of the first and no other."""

    def is_known(pattern: str) -> bool:
        try:
            spark.range(1).select(F.try_to_timestamp(F.lit("x"), F.lit(pattern))).collect()
        except PySparkException:
            return False
        return True

    assert [pattern for pattern in GOOD if not is_known(pattern)] == []
    read_otherwise = [
        "yyyy-mm-dd", "dd/mm/yyyy", "yyyy-MM-dd hh:mm", "yyyy-MM-dd kk:mm", "yyyy-MM-dd[ HH:mm]",
        "MM-dd HH:mm", "yy-MM-dd", "yyyy-MM-dd'T HH:mm'",
    ]  # fmt: skip
    unknown = [
        "YYYY-MM-dd", "uuuu-MM-dd", "yyyy-'W'ww", "EEE d MMM yyyy", "yyyy-MM-ddTHH:mm",
        "yyyy-MM-dd'T", "yyyyyyy-MM-dd", "yyyy-MM-ddd", "yyyy-MMMMM-dd", "yyyy#MM",
    ]  # fmt: skip
    assert set(read_otherwise + unknown) <= set(FAULTS)
    assert {pattern: is_known(pattern) for pattern in read_otherwise + unknown} == {
        **dict.fromkeys(read_otherwise, True),
        **dict.fromkeys(unknown, False),
    }
