from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import instant_of, poll_at_or_after
from cas_spark.knowledge.settling import plan, settled_at
from tests.toy import settings_of_toy

TOY = settings_of_toy()
POLL = date(2024, 6, 3)


@given(days=st.integers(0, 60))
def test_training_polls_are_the_newest_whose_longest_target_has_settled(days: int) -> None:
    schedule = plan(TOY, POLL, days, date(2015, 1, 5))
    newest = schedule.training[-1]
    moment = instant_of(POLL, TOY.zone)
    longest = timedelta(weeks=TOY.longest_horizon_weeks)
    assert settled_at(newest + longest, days, TOY.zone) <= moment
    assert settled_at(newest + timedelta(weeks=1) + longest, days, TOY.zone) > moment
    assert len(schedule.training) == TOY.polls.count
    assert schedule.snapshot_polls[0] == schedule.training[0]
    assert schedule.snapshot_polls[-1] == POLL


def test_the_calendar_begins_with_the_first_complete_week() -> None:
    assert poll_at_or_after(date(2015, 1, 1), 0) == date(2015, 1, 5)
    assert poll_at_or_after(date(2015, 1, 5), 0) == date(2015, 1, 5)


def test_extracts_that_begin_too_late_are_refused() -> None:
    with pytest.raises(CasError, match="first complete week of extracts from 2024-02-05"):
        plan(TOY, POLL, 3, date(2024, 2, 5))
