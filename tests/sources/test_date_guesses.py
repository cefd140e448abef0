"""A guessed pattern reads what it was guessed from; where two would, a person chooses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.sources.date_guesses import (
    PATTERNS,
    Guess,
    guess_patterns,
    guess_time_pattern,
    read_as,
)

# How Python writes what each pattern reads: the oracle, which shares nothing with the guesses.
WRITTEN = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyyMMdd": "%Y%m%d",
    "yyyy-MM-dd H:mm:ss": "%Y-%m-%d %H:%M:%S",
    "yyyy-MM-dd'T'H:mm:ss": "%Y-%m-%dT%H:%M:%S",
    "yyyy-MM-dd'T'H:mm:ssXX": "%Y-%m-%dT%H:%M:%S+0000",
    "yyyy-MM-dd H:mm:ss.SSSSSS": "%Y-%m-%d %H:%M:%S.%f",
    "yyyy/M/d H:mm": "%Y/%m/%d %H:%M",
    "d.M.yyyy H:mm": "%d.%m.%Y %H:%M",
    "d-M-yyyy": "%d-%m-%Y",
    "M/d/yyyy h:mm:ss a": "%m/%d/%Y %I:%M:%S %p",
    "M/d/yyyy H:mm": "%m/%d/%Y %H:%M",
    "d/M/yyyy H:mm": "%d/%m/%Y %H:%M",
    "d-MMM-yyyy": "%d-%b-%Y",
    "yyyy-MM": "%Y-%m",
}
moments = st.lists(
    st.datetimes(datetime(1950, 1, 1), datetime(2050, 1, 1)),  # noqa: DTZ001  # local times
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize("pattern", WRITTEN)
@given(moments=moments)
def test_a_guessed_pattern_reads_back_what_it_was_guessed_from(
    pattern: str, moments: list[datetime]
) -> None:
    texts = [moment.strftime(WRITTEN[pattern]) for moment in moments]
    guess = guess_patterns(texts)
    assert guess is not None
    meant = {text: datetime.strptime(text, WRITTEN[pattern]) for text in texts}  # noqa: DTZ007
    candidates = [guess.patterns, guess.others or guess.patterns]
    read = [{text: _first(text, patterns) for text in meant} for patterns in candidates]
    assert meant in read


def _first(text: str, patterns: tuple[str, ...]) -> datetime | None:
    found = next((m for p in patterns if (m := read_as(text, p)) is not None), None)
    return found and found.replace(tzinfo=None)


@given(st.sampled_from(PATTERNS), st.text(max_size=12))
def test_no_text_breaks_a_pattern(pattern: str, text: str) -> None:
    found = read_as(text, pattern)
    assert found is None or 1900 <= found.year <= 2100


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        (["3/4/2024", "3/14/2024"], Guess(("M/d/yyyy",))),
        (["3/4/2024", "14/3/2024"], Guess(("d/M/yyyy",))),
        (["3/4/2024", "5/6/2024"], Guess(("d/M/yyyy",), ("M/d/yyyy",))),
        (["3-4-2024 9:05"], Guess(("d-M-yyyy H:mm",), ("M-d-yyyy H:mm",))),
        (["2024-01-05 10:00", "13/1/2024 9:00"], Guess(("yyyy-MM-dd H:mm", "d/M/yyyy H:mm"))),
        (["2024-01-05 10:00"] * 3 + ["unknown"], None),
        (["2024-02-30"], None),
        (["12345678"], None),
        ([], None),
    ],
)
def test_values_decide_and_else_a_person_does(values: list[str], guess: Guess | None) -> None:
    assert guess_patterns(values) == guess


def test_an_offset_and_a_clock_of_twelve_hours_are_read() -> None:
    moment = read_as("2024-01-05T10:00:00+02:00", "yyyy-MM-dd'T'H:mm:ssXXX")
    assert moment == datetime(2024, 1, 5, 8, tzinfo=UTC)
    assert moment.utcoffset() == timedelta(hours=2)
    times = {"12:00 AM": 0, "01:00 AM": 1, "12:00 PM": 12, "11:00 PM": 23, "13:00 PM": None}
    for text, hour in times.items():
        found = read_as(f"1/5/2024 {text}", "M/d/yyyy h:mm a")
        assert (found and found.hour) == hour


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        (["13:05:00", "9:00:00"], "H:mm:ss"),
        (["13:05"], "H:mm"),
        (["01:05 PM"], "h:mm a"),
        (["1330", "5", "2400"], "clock_number"),
        (["1361"], None),
        (["noon"], None),
    ],
)
def test_times_in_a_column_of_their_own(values: list[str], pattern: str | None) -> None:
    assert guess_time_pattern(values) == pattern


@pytest.mark.spark
def test_spark_reads_the_patterns_as_they_are_meant(spark: SparkSession) -> None:
    moment = datetime(2024, 3, 14, 21, 5, 7, 250_000)  # noqa: DTZ001  # the session is in UTC
    texts = {pattern: moment.strftime(written) for pattern, written in WRITTEN.items()}
    columns = [F.try_to_timestamp(F.lit(text), F.lit(pattern)) for pattern, text in texts.items()]
    found = spark.range(1).select(*columns).collect()[0]
    for (pattern, text), read in zip(texts.items(), found, strict=True):
        meant = read_as(text, pattern)
        assert meant is not None
        assert (pattern, read) == (pattern, meant.replace(tzinfo=None))
