"""Date patterns are checked when settings load: what they read, and what they cannot mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.settings.date_patterns import (
    pattern_of,
    problems_of_moments,
    problems_of_times,
)

GOOD = {
    "yyyy-MM-dd": "day",
    "M/d/yyyy H:mm": None,
    "MM/dd/yyyy hh:mm:ss a": None,
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX": None,
    "yyyy-MM-dd HH:mm[:ss]": None,
    "d MMM yyyy H'h'mm": None,
    "yyyyMMddHHmmss": None,
    "yyyyDDD": "day",
    "dd.MM.yyyy HH 'o''clock'": "hour",
    "yyyy-MM": "month",
    "MMMM yyyy": "month",
    "yyyy-MM-dd HH:mm z": None,
}
FAULTS = {
    "yyyy-mm-dd": "names no month; mm is minutes, MM is months",
    "dd/mm/yyyy": "names no month; mm is minutes, MM is months",
    "yyyy-MM-dd HH:MM": "names the month twice, by MM and MM; MM is months, mm is minutes",
    "yyyy-MM-dd hh:mm": "has h, the 12-hour clock, without the marker a; H is the 24-hour clock",
    "yyyy-MM-dd K:mm": "the 12-hour clock, without the marker a",
    "yyyy-MM-dd HH:mm a": "has the marker a without h",
    "YYYY-MM-dd": "Y is the year of the week",
    "yyyy-MM-DD": "has D, the day of the year; d is the day of the month",
    "yyyy-MM-dd kk:mm": "k counts the hours from 1 to 24",
    "uuuu-MM-dd": "Spark does not know u; y is the year",
    "yyyy-'W'ww": "Spark reads no weeks",
    "EEE d MMM yyyy": "Spark writes this letter but does not read it",
    "yyyy-MM-ddTHH:mm": "has the letter T: put text between quotes: 'T'",
    "yyyy-MM-dd'T": "a quote is left open",
    "yyyy-MM-dd'T HH:mm'": "takes 'T HH:mm' for plain text",
    "yyyy-MM-dd[ HH:mm]": "leaves HH open by brackets: give two formats in its place",
    "yyyy-MM-dd HH:mm[:ss": "a bracket is left open",
    "yyyy-MM-dd HH:mm:SS": "names the fraction of a second without the second",
    "yyyy-MM-dd dd": "names the day twice",
    "MM-dd HH:mm": "names no year",
    "yyyy HH:mm": "names no month",
    "yyyy-MM HH:mm": "names no day",
    "yyyyyyy-MM-dd": "Spark knows no y of that length",
    "yyyy-MM-ddd": "Spark knows no d of that length",
    "yyyy-MMMMM-dd": "Spark knows no M of that length",
    "yy-MM-dd": "say by two_digit_years_from, such as 1950",
    "yyyy#MM": "# stands for nothing",
}


@pytest.mark.parametrize(("text", "unit"), GOOD.items())
def test_a_good_pattern_has_no_problem_and_tells_its_unit(text: str, unit: str | None) -> None:
    assert problems_of_moments([text], knows_century=False) == []
    assert pattern_of(text).unit == unit


@pytest.mark.parametrize(("text", "problem"), FAULTS.items())
def test_a_pattern_that_cannot_be_meant_is_named_with_its_fault(text: str, problem: str) -> None:
    found = "; ".join(problems_of_moments([text], knows_century=False))
    assert repr(text) in found
    assert problem in found


def test_years_of_two_digits_need_their_century() -> None:
    assert problems_of_moments(["M/d/yy"], knows_century=True) == []


@pytest.mark.parametrize("text", ["HH:mm", "H:mm:ss", "HHmm", "h:mm a", "HH", "clock_number"])
def test_a_time_has_hours_and_no_part_of_a_date(text: str) -> None:
    assert problems_of_times([text]) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mm:ss", "names no hour"),
        ("HH:MM", "names the month"),
        ("hh:mm", "without the marker a"),
        ("yyyy-MM-dd HH:mm", "names the day, month, year"),
    ],
)
def test_a_pattern_that_is_no_time_is_named_with_its_fault(text: str, problem: str) -> None:
    assert problem in "; ".join(problems_of_times([text]))


@given(st.text("yMdHhKkmsSaDYuwEQGVzOXxZTn'[]#{}:/- ", max_size=20))
def test_any_text_is_taken_apart_without_losing_a_letter(text: str) -> None:
    pattern = pattern_of(text)
    problems_of_moments([text], knows_century=True)
    problems_of_times([text])
    letters = sum(run.length for run in pattern.runs)
    quoted = sum(char.isalpha() for literal in pattern.literals for char in literal)
    if "a quote is left open" not in pattern.faults:
        assert letters + quoted == sum(char.isalpha() for char in text)
