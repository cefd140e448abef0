"""Which edition a poll sees: of each source of area statistics the newest published before it.

An edition is published on a local day and a poll is the first instant of its own, so the first poll
that sees an edition is the first whose date comes after the day of publication. Rows of
`cell_context` hold from the first poll that sees other editions than the poll before; such a poll
is a turn. Only this module decides which rows a poll reads.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
from pyspark.sql import Column
from pyspark.sql import functions as F

from cas_spark.knowledge.calendar import poll_at_or_after
from cas_spark.settings.geography import AreaEdition, Grid

Ints = npt.NDArray[np.int64]


def editions_by_turn(grid: Grid, weekday: int) -> dict[date, Mapping[str, AreaEdition]]:
    """Turn -> source of area statistics -> the edition that polls from the turn on see.

    The first turn is the first poll that the grid version serves.

    Args:
        grid: whose area statistics each have an edition published before `valid_from`.
        weekday: of the polls, Monday 0.
    """
    published = {e.published_on for s in grid.area_statistics for e in s.editions}
    first_seen = {poll_at_or_after(day + timedelta(days=1), weekday) for day in published}
    turns = sorted({grid.valid_from, *(poll for poll in first_seen if poll > grid.valid_from)})
    return {
        turn: {
            source.name: max(
                (edition for edition in source.editions if edition.published_on < turn),
                key=lambda edition: edition.published_on,
            )
            for source in grid.area_statistics
        }
        for turn in turns
    }


def turns_between(turns: Sequence[date], first: date, last: date) -> list[date]:
    """The turns (sorted) that are the newest of some poll from `first` to `last`.

    Raises:
        ValueError: `first` comes before the first turn.
    """
    begin, end = places_of_turns(turns, [first, last])
    return list(turns[begin : end + 1])


def places_of_turns(turns: Sequence[date], polls: Sequence[date]) -> Ints:
    """For each poll the place in `turns` (sorted) of the newest that is not after it.

    Raises:
        ValueError: a poll comes before the first turn.
    """
    days, asked = (np.array(dates, dtype="datetime64[D]") for dates in (turns, polls))
    places = np.searchsorted(days, asked, side="right") - 1
    if (places < 0).any():
        message = f"poll {min(polls)} comes before {turns[0]}, the first with slow indicators"
        raise ValueError(message)
    return places.astype(np.int64)


def turn_of(poll_on: Column, turns: Sequence[date]) -> Column:
    """The same as a column of dates: the newest of `turns` (sorted) that is not after the poll."""
    turn = F.lit(turns[0])
    for later in turns[1:]:
        turn = F.when(poll_on >= F.lit(later), F.lit(later)).otherwise(turn)
    return turn
