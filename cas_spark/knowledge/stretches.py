"""Stretches: unbroken times of which every source of incidents has delivered all rows.

A missing year must not be taken for a quiet year. So all that a poll counts comes from one stretch:
its history begins with the stretch in which the poll lies, and what happened before the gap counts
in no indicator. A target week that touches a gap is never learned from and never scored.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import reduce

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import WEEK
from cas_spark.settings.completeness import DAY, Period, in_words


def stretches(of_sources: Sequence[Sequence[Period]]) -> list[Period]:
    """The times of which all sources are complete, in order.

    Args:
        of_sources: the periods of each source, in order and with a gap between any two.
    """
    return reduce(_in_both, of_sources[1:], list(of_sources[0]))


def _in_both(some: Sequence[Period], others: Sequence[Period]) -> list[Period]:
    found: list[Period] = []
    for first, last in some:
        for other_first, other_last in others:
            start = max(first, other_first)
            ends = [end for end in (last, other_last) if end is not None]
            end = min(ends, default=None)
            if end is None or start <= end:
                found.append((start, end))
    return sorted(found, key=lambda period: period[0])


def stretch_of(poll: date, among: Sequence[Period], last_poll: date | None = None) -> Period:
    """The stretch that reaches up to a poll, and on to a later one where that is given.

    A poll before the first stretch gets the first: that it has no history is said elsewhere.

    Raises:
        CasError: the days before a poll lie in a gap, or there is a gap between the two polls.
    """
    if not among or poll <= among[0][0]:
        held = among[:1]
    else:
        held = [period for period in among if _holds(period, poll - DAY)]
    if held and (last_poll is None or _holds(held[0], max(last_poll - DAY, held[0][0]))):
        return held[0]
    polls = f"poll {poll}" if last_poll in (None, poll) else f"polls {poll} to {last_poll}"
    raise CasError(
        what=polls,
        found=f"extracts that are complete {', and '.join(map(in_words, among)) or 'at no time'}",
        expected="no gap in the extracts before a poll, nor between the first and the last",
        do="Choose polls inside one of these times, load the missing extracts, or mend `complete` "
        "and `complete_from` of the sources of incidents",
    )


def is_whole(week_on: date, among: Sequence[Period]) -> bool:
    """Whether all days of the week that starts at `week_on` lie in one stretch."""
    end = week_on + WEEK - timedelta(days=1)
    return any(_holds(period, week_on) and _holds(period, end) for period in among)


def _holds(period: Period, day: date) -> bool:
    first, last = period
    return first <= day and (last is None or day <= last)
