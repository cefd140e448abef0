"""Sections about time: what they refuse when settings load, and what they say of figures."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cas_spark.settings.completeness import gaps, problems_of_periods
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.settings.moments import Interval, Known
from cas_spark.settings.revisions import Decided
from tests.sources.deliveries import source_of

DATE_AND_TIME = {
    "date": "day",
    "date_formats": ["MM/dd/yyyy"],
    "time": "clock",
    "time_formats": ["clock_number"],
}
PARTS = {"year": "YEAR", "month": "MONTH", "day": "DAY", "hour": "HOUR", "minute": "MINUTE"}


def without(*parts: str) -> dict[str, str]:
    return {part: column for part, column in PARTS.items() if part not in parts}


def incidents(**changes: Any) -> IncidentExtracts:
    return IncidentExtracts.model_validate(source_of(name="register", **changes))


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"column": "c", "formats": ["yyyy-MM-dd"]}, "set rule: next_day"),
        ({"column": "c", "formats": ["yyyy-MM-dd HH:mm", "d/M/yyyy"]}, "set rule: next_day"),
        ({"column": without("hour", "minute")}, "set rule: next_day"),
        ({"column": "c", "formats": ["yyyy-MM"]}, "set rule: next_month"),
        ({"column": "c", "formats": ["yyyy-MM"], "rule": "next_day"}, "set rule: next_month"),
        ({"column": "c", "formats": ["yyyy-mm-dd"]}, "mm is minutes, MM is months"),
        ({}, "column is needed for the rule as_given"),
        ({"rule": "next_day"}, "column is needed for the rule next_day"),
        ({"column": "c", "rule": "assumed_delay"}, "delay_days is needed for"),
        ({"column": "c", "rule": "next_day", "delay_days": 1}, "only for, the rule assumed_delay"),
        ({"column": DATE_AND_TIME, "formats": ["M/d/yyyy"]}, "formats are for moments in one"),
        ({"column": "c", "two_digit_years_from": 1950}, "there is none"),
        ({"column": DATE_AND_TIME | {"date_formats": ["M/d/yy"]}}, "two_digit_years_from"),
        ({"column": DATE_AND_TIME | {"date_formats": ["MM/yyyy"]}}, "names no day"),
        ({"column": DATE_AND_TIME | {"time_formats": ["HH:MM"]}}, "names the month"),
        ({"column": without("day")}, "hour needs day"),
        ({"column": without("hour")}, "minute needs hour"),
        ({"column": without("month")}, "Field required"),
    ],
)
def test_a_moment_of_knowing_that_cannot_be_read_is_refused(
    known: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Known.model_validate(known)


@pytest.mark.parametrize(
    ("known", "columns"),
    [
        ({"column": "c"}, ["c"]),
        ({"column": "c", "formats": ["epoch_seconds"]}, ["c"]),
        ({"column": "c", "formats": ["yyyy-MM-dd"], "rule": "next_day"}, ["c"]),
        ({"column": "c", "formats": ["yyyy-MM"], "rule": "next_month"}, ["c"]),
        ({"column": DATE_AND_TIME}, ["day", "clock"]),
        ({"column": PARTS}, list(PARTS.values())),
        ({"column": without("minute")}, ["YEAR", "MONTH", "DAY", "HOUR"]),
        ({"column": without("hour", "minute"), "rule": "next_day"}, ["YEAR", "MONTH", "DAY"]),
        ({"column": without("day", "hour", "minute"), "rule": "next_month"}, ["YEAR", "MONTH"]),
        ({"rule": "assumed_delay", "delay_days": 7}, []),
        ({"column": "c", "formats": ["M/d/yy H:mm"], "two_digit_years_from": 1950}, ["c"]),
    ],
)
def test_a_moment_of_knowing_names_its_columns_and_survives_its_record(
    known: dict[str, Any], columns: list[str]
) -> None:
    section = Known.model_validate(known)
    assert section.columns == columns
    assert Known.model_validate(section.model_dump(mode="json")) == section


@pytest.mark.parametrize(
    "start",
    [
        {"start": "c", "formats": ["yyyy-MM"]},
        {"start": without("day", "hour", "minute")},
        {"start": "c", "end": "e", "formats": ["yyyy-MM-dd", "yyyy-MM"]},
        {"start": "c", "formats": ["yyyy-MM"], "precision": "day"},
    ],
)
def test_only_a_month_is_refused_until_the_settings_say_so(start: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="no day: with precision: month"):
        Interval.model_validate(start)
    assert Interval.model_validate(start | {"precision": "month"}).unit == "month"


@pytest.mark.parametrize(
    ("occurred", "said"),
    [
        ({"start": "c", "formats": ["yyyy-MM-dd HH:mm"]}, None),
        ({"start": DATE_AND_TIME}, None),
        ({"start": "c", "formats": ["yyyy-MM-dd"]}, "have a day but no time"),
        ({"start": without("hour", "minute")}, "have a day but no time"),
        ({"start": "c", "formats": ["yyyy-MM-dd HH:mm"], "precision": "day"}, "a day but no time"),
        ({"start": "c", "formats": ["yyyy-MM"], "precision": "month"}, "have only a month"),
    ],
)
def test_what_is_not_known_of_the_time_is_said_beside_figures(
    occurred: dict[str, Any], said: str | None
) -> None:
    labels = incidents(occurred=occurred | {"earliest": "2019-01-01"}).labels
    assert len(labels) == (said is not None)
    assert all(said is not None and said in label for label in labels)


def test_a_delay_that_a_month_bounds_is_not_said_to_be_plain() -> None:
    delay = {"rule": "assumed_delay", "delay_days": 7}
    [plain] = incidents(known=delay, correction=None).labels
    assert "7 days after they occurred; the extracts do not say" in plain
    [moved] = incidents(known=delay | {"column": "known", "formats": ["yyyy-MM"]}).labels
    assert "7 days after they occurred, moved into the month in which they were coded" in moved


def test_corrections_need_a_column_of_when_they_were_made() -> None:
    with pytest.raises(ValidationError, match=r"correction needs known\.column"):
        incidents(known={"rule": "assumed_delay", "delay_days": 7})


def test_a_decision_has_a_day() -> None:
    assert Decided.model_validate({"column": "c", "formats": ["yyyy-MM-dd"]}).columns == ["c"]
    with pytest.raises(ValidationError, match="no day"):
        Decided.model_validate({"column": "c", "formats": ["yyyy-MM"]})


def of_complete(*periods: Any) -> IncidentExtracts:
    settings = source_of(name="register", complete=[*periods])
    del settings["complete_from"]
    return IncidentExtracts.model_validate(settings)


def test_gaps_stand_between_the_times_of_which_all_rows_are_delivered() -> None:
    source = of_complete(["2018-01-01", "2018-12-31"], ["2020-01-01", None])
    assert source.complete_from == date(2018, 1, 1)
    assert source.periods == [
        (date(2018, 1, 1), date(2018, 12, 31)),
        (date(2020, 1, 1), None),
    ]
    [label] = source.labels
    assert "missing from 2019-01-01 to 2019-12-31" in label
    assert IncidentExtracts.model_validate(source.model_dump(mode="json")) == source
    assert incidents().periods == [(date(2020, 1, 1), None)]


@pytest.mark.parametrize(
    ("periods", "problem"),
    [
        ([["2018-12-31", "2018-01-01"]], "ends before it begins"),
        ([["2018-01-01", None], ["2020-01-01", None]], "has no end"),
        ([["2018-01-01", "2018-12-31"], ["2019-01-01", None]], "join them"),
        ([["2018-01-01", "2018-12-31"], ["2018-06-01", None]], "join them"),
    ],
)
def test_times_without_a_gap_between_them_are_refused(periods: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        of_complete(*periods)


def test_complete_and_another_complete_from_are_refused() -> None:
    with pytest.raises(ValidationError, match="give complete or complete_from, not both"):
        incidents(complete=[["2018-01-01", None]])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=7))
def test_days_belong_to_a_period_or_to_a_gap(lengths: list[int]) -> None:
    """Lengths of periods and gaps, by turns, against a count of days."""
    day, periods, missing = date(2020, 1, 1), [], set[date]()
    for place, length in enumerate(lengths):
        days = [day + timedelta(days=i) for i in range(length)]
        if place % 2 == 0:
            periods.append((days[0], days[-1]))
        elif place < len(lengths) - 1:
            missing.update(days)
        day = days[-1] + timedelta(days=1)
    assert problems_of_periods(periods) == []
    found = {
        first + timedelta(days=i)
        for first, last in gaps(periods)
        for i in range((last - first).days + 1)
    }
    assert found == missing
