"""A poll counts one unbroken stretch of complete extracts, and no week that touches a gap."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import poll_at_or_after
from cas_spark.knowledge.settling import plan
from cas_spark.knowledge.stretches import is_whole, stretch_of, stretches
from cas_spark.settings.completeness import Period
from tests.toy import settings_of_toy

FIRST = date(2018, 1, 1)  # a Monday
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
WITH_GAP: list[Period] = [(FIRST, date(2018, 12, 31)), (date(2020, 1, 1), None)]


def days_of(periods: list[Period], until: date) -> set[date]:
    """Every day of some periods, one by one."""
    found = set()
    for first, last in periods:
        day = first
        while day <= min(last or until, until):
            found.add(day)
            day += DAY
    return found


@st.composite
def sources(draw: st.DrawFn) -> list[Period]:
    """The periods of a source: each after a gap of at least a day, the last open or closed."""
    day, periods = FIRST + draw(st.integers(0, 20)) * DAY, list[Period]()
    for length in draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)):
        periods.append((day, day + (length - 1) * DAY))
        day += (length + draw(st.integers(1, 20))) * DAY
    if draw(st.booleans()):
        periods.append((day, None))
    return periods


@given(st.lists(sources(), min_size=1, max_size=3))
def test_a_day_is_complete_where_every_source_is(of_sources: list[list[Period]]) -> None:
    until = FIRST + 400 * DAY
    found = stretches(of_sources)
    expected = set.intersection(*(days_of(periods, until) for periods in of_sources))
    assert days_of(found, until) == expected
    firsts = [first for first, _ in found]
    assert firsts == sorted(firsts)


@given(sources(), st.integers(0, 60))
def test_a_week_is_whole_where_each_of_its_days_is(periods: list[Period], weeks: int) -> None:
    week_on = FIRST + weeks * WEEK
    held = days_of(periods, FIRST + 600 * DAY)
    days = {week_on + i * DAY for i in range(7)}
    assert is_whole(week_on, stretches([periods])) == (days <= held)


@given(sources(), st.integers(1, 40), st.integers(0, 10))
def test_polls_of_one_stretch_have_no_gap_behind_or_between_them(
    periods: list[Period], weeks: int, more: int
) -> None:
    first, last = FIRST + weeks * WEEK, FIRST + (weeks + more) * WEEK
    if first <= periods[0][0]:
        return
    held = days_of(periods, last)
    days = {first - DAY + i * DAY for i in range((last - first).days + 1)}
    if days <= held:
        start, end = stretch_of(first, periods, last)
        assert start < first
        assert end is None or end >= last - DAY
        assert start - DAY not in held
    else:
        with pytest.raises(CasError, match="no gap in the extracts"):
            stretch_of(first, periods, last)


def test_a_poll_before_the_first_extract_is_told_elsewhere() -> None:
    assert stretch_of(FIRST - WEEK, WITH_GAP) == WITH_GAP[0]
    assert stretch_of(FIRST, WITH_GAP) == WITH_GAP[0]


@pytest.mark.parametrize("poll", [date(2019, 1, 7), date(2019, 6, 3), date(2019, 12, 30)])
def test_a_poll_in_a_gap_is_refused_with_the_times_that_are_complete(poll: date) -> None:
    with pytest.raises(CasError, match="2018-01-01 to 2018-12-31, and from 2020-01-01 on"):
        stretch_of(poll, WITH_GAP)


def test_sources_that_are_never_complete_together_are_refused() -> None:
    never = stretches([[(FIRST, date(2018, 12, 31))], [(date(2019, 1, 1), None)]])
    with pytest.raises(CasError, match="complete at no time"):
        stretch_of(date(2019, 6, 3), never)


def test_polls_to_learn_from_come_after_the_gap_with_their_history() -> None:
    """13 polls need 13 weeks, their longest target and one week before, all after the gap."""
    toy = settings_of_toy()
    first, _ = stretch_of(date(2020, 7, 6), WITH_GAP)
    history_from = poll_at_or_after(first, 0)
    schedule = plan(toy, date(2020, 7, 6), 3, history_from)
    assert schedule.training[0] > history_from == date(2020, 1, 6)
    assert schedule.weeks_of_history == (schedule.training[0] - history_from).days // 7 < 52
    with pytest.raises(CasError, match="first complete week of extracts from 2020-01-06"):
        plan(toy, date(2020, 5, 4), 3, history_from)
