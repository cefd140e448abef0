"""The kernels: facts and polls in, values out; pure numpy, exact, the same in any order.

A sum over incidents is two weighted sums, one after the other: over ages, which gives each place
where anything happened a series over the polls; and over places, which gives it to the cells. Both
are products with matrices of whole numbers. Whole numbers below 2^53 are exact in doubles, so no
value depends on the order of facts, the polls computed beside it, the machine or the number of
cores; the one division, by a power of two, comes last.

Time is an index into the calendar of polls: `edges[k]` is the instant of poll k, and week k is
[edges[k], edges[k + 1]). Places and cells are columns and rows of the grid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cas_spark.indicators.indicator import NEVER_WEEKS
from cas_spark.knowledge.visibility import polls_that_see

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_AXIS = 1 << 20
"""More than any column or row of a grid: column * _AXIS + row is one number per place."""


@dataclass(frozen=True)
class Polls:
    """The consecutive polls [first, last] of the calendar that values are computed for."""

    first: int
    last: int

    @property
    def number(self) -> int:
        """How many polls."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Facts:
    """Versions of incidents as indices; all arrays have the shape (facts,).

    Attributes:
        place: index into the places where anything happened.
        week: week in which the incident counts; those before the calendar are left out.
        seen_from: first poll that sees the version and for which its week has passed.
        seen_until: first poll that no longer sees it.
    """

    place: Ints
    week: Ints
    seen_from: Ints
    seen_until: Ints

    def where(self, choice: npt.NDArray[np.bool_]) -> "Facts":
        """Some of the facts."""
        return Facts(
            self.place[choice], self.week[choice], self.seen_from[choice], self.seen_until[choice]
        )


def facts_of(
    place: Ints, counts_at: Ints, known_at: Ints, superseded_at: Ints, edges: Ints
) -> tuple[Facts, npt.NDArray[np.bool_]]:
    """Versions with instants (microseconds UTC) as facts with indices into `edges`.

    Returns:
        The facts that count at any poll, and which of the versions they are.
    """
    seen_from, seen_until = polls_that_see(known_at, superseded_at, edges)
    week = np.searchsorted(edges, counts_at, side="right") - 1
    seen_from = np.maximum(seen_from, week + 1)
    counts = (week >= 0) & (seen_from < seen_until)
    return Facts(place, week, seen_from, seen_until).where(counts), counts


@dataclass(frozen=True)
class Timings:
    """The different ways in which facts lie in time: week, seen from, seen until.

    Facts outnumber their timings by far, so what a timing weighs at each poll is worked out once.
    """

    rows: Ints

    def weights(self, by_age: Ints, polls: Polls) -> Doubles:
        """What each timing weighs at each poll, shape (timings, polls).

        `by_age[a]` is the weight at an age of a weeks: 0 in the week just before the poll.
        """
        week, seen_from, seen_until = self.rows.T[:, :, None]
        poll = np.arange(polls.first, polls.last + 1)[None, :]
        age = poll - 1 - week
        counts = (seen_from <= poll) & (poll < seen_until) & (age < len(by_age))
        return np.where(counts, by_age[np.where(counts, age, 0)], 0).astype(np.float64)


def timings_of(facts: Facts) -> tuple[Timings, Ints]:
    """The different timings, and which of them each fact has."""
    different, timing = distinct_rows(
        np.column_stack([facts.week, facts.seen_from, facts.seen_until])
    )
    return Timings(different), timing


def incidence(place: Ints, timing: Ints, places: int, timings: int) -> sparse.csr_array:
    """How many facts each place has of each timing, shape (places, timings)."""
    ones = np.ones(len(place))
    return sparse.csr_array((ones, (place, timing)), shape=(places, timings))


def distinct_rows(rows: Ints) -> tuple[Ints, Ints]:
    """The different rows in order, shape (different, columns), and which of them each row is.

    As `np.unique` along an axis, many times quicker by one number for each row; that number is
    below the product of the columns' spans, which must fit into 63 bits.
    """
    if not len(rows):
        return rows, np.empty(0, dtype=np.int64)
    least = rows.min(axis=0)
    spans = tuple(rows.max(axis=0) - least + 1)
    codes, which = np.unique(np.ravel_multi_index((rows - least).T, spans), return_inverse=True)
    return np.column_stack(np.unravel_index(codes, spans)) + least, which.reshape(-1)


def last_weeks(facts: Facts, places: int, polls: Polls) -> Ints:
    """The week of the last fact that each poll sees at each place, shape (places, polls).

    So far back that it is never within NEVER_WEEKS where no fact is seen.
    """
    last = np.full((places, polls.number), _never(polls), dtype=np.int64)
    start = np.clip(facts.seen_from - polls.first, 0, polls.number)
    end = np.clip(facts.seen_until - polls.first, 0, polls.number)
    ends_early = (start < end) & (end < polls.number)
    # What stays seen to the end only ever raises the maximum from its start on.
    lasting = (start < end) & ~ends_early
    np.maximum.at(last, (facts.place[lasting], start[lasting]), facts.week[lasting])
    np.maximum.accumulate(last, axis=1, out=last)
    # The few that a later version supersedes count over their own run of polls only.
    for i in np.flatnonzero(ends_early):
        run = last[facts.place[i], start[i] : end[i]]
        np.maximum(run, facts.week[i], out=run)
    return last


def weeks_since(last: Ints, polls: Polls) -> Ints:
    """Weeks from the start of the week of the last fact to each poll, at most NEVER_WEEKS."""
    weeks: Ints = np.minimum(np.arange(polls.first, polls.last + 1) - last, NEVER_WEEKS)
    return weeks


def _never(polls: Polls) -> int:
    return polls.first - NEVER_WEEKS - 1


@dataclass(frozen=True)
class Space:
    """A team's cells and the places around them where anything happened.

    Attributes:
        cells: columns and rows of the cells, shape (cells, 2).
        places: columns and rows of the places, shape (places, 2), each once.
    """

    cells: Ints
    places: Ints

    @cached_property
    def _place_at(self) -> Callable[[Ints], Ints]:
        return _finder(_codes(self.places))

    @cached_property
    def at_cells(self) -> Ints:
        """For each cell the index of its place; the number of places where it has none."""
        return self._place_at(_codes(self.cells))

    @cached_property
    def blocks(self) -> Ints:
        """For each cell the places of its 3 x 3 block as `at_cells` gives them, (cells, 9)."""
        steps = [(right, up) for right in (-1, 0, 1) for up in (-1, 0, 1)]
        return np.column_stack([self._place_at(_codes(self.cells + step)) for step in steps])

    def in_cells(self, series: Doubles) -> Doubles:
        """The series of each cell's own place; 0 where it has none."""
        if not len(series):
            return np.zeros((len(self.cells), series.shape[1]))
        values: Doubles = np.take(series, self.at_cells, axis=0, mode="clip")
        values[self.at_cells == len(series)] = 0
        return values

    def of_team(self, series: Doubles) -> Doubles:
        """The sum over the team's cells, the same for each, shape (1, polls)."""
        at_cells = self.at_cells[self.at_cells < len(self.places)]
        return np.asarray(series[at_cells].sum(axis=0, keepdims=True))

    def last_of(self, last: Ints, polls: Polls, *, is_of_block: bool) -> Ints:
        """The last week of each cell, or of the 3 x 3 cells around it, shape (cells, polls)."""
        nothing = np.full((1, last.shape[1]), _never(polls))
        padded = np.concatenate([last, nothing])
        if not is_of_block:
            return np.asarray(padded[self.at_cells])
        result = padded[self.blocks[:, 0]]
        for column in self.blocks.T[1:]:
            np.maximum(result, padded[column], out=result)
        return result

    def gaussian(self, weights: Sequence[int]) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Weights by distance: one matrix along the columns, one along the rows after it.

        The weight of a place is a product of one weight per axis, so the sum over a square is a sum
        over its rows of sums along them. Between the two stand the crossings: a place's row in a
        cell's column. Only those that have a place within reach are kept.

        Args:
            weights: at a distance of 0, 1, 2 … cells along an axis.

        Returns:
            Matrices of the shapes (crossings, places) and (cells, crossings).
        """
        reach = len(weights) - 1
        steps = np.arange(-reach, reach + 1)
        weight = np.array(weights, dtype=np.float64)[np.abs(steps)]
        produced = _codes(self.places)[:, None] + steps * _AXIS
        needed = _codes(self.cells)[:, None] + steps
        crossings = np.intersect1d(produced, needed)
        at = _finder(crossings)
        return (
            _weights_at(at(produced).T, weight, len(crossings), is_source=False),
            _weights_at(at(needed).T, weight, len(crossings), is_source=True),
        )


def _codes(places: Ints) -> Ints:
    codes: Ints = (places[:, 0] + _AXIS // 2) * _AXIS + places[:, 1] + _AXIS // 2
    return codes


def _finder(codes: Ints) -> Callable[[Ints], Ints]:
    """A function that finds the index of each code, the number of codes where it is not there."""
    order = np.argsort(codes)
    ordered = codes[order]

    def find(asked: Ints) -> Ints:
        place = np.searchsorted(ordered, asked)
        clipped = np.minimum(place, max(len(codes) - 1, 0))
        if len(codes) == 0:
            return np.zeros_like(asked)
        return np.where(ordered[clipped] == asked, order[clipped], len(codes))

    return find


def _weights_at(
    crossing: Ints, weight: Doubles, crossings: int, *, is_source: bool
) -> sparse.csr_array:
    """A matrix from the crossing that each step (row) of each item (column) leads to."""
    items = crossing.shape[1]
    item = np.broadcast_to(np.arange(items), crossing.shape)
    value = np.broadcast_to(weight[:, None], crossing.shape)
    held = crossing < crossings
    row, column = (item[held], crossing[held]) if is_source else (crossing[held], item[held])
    shape = (items, crossings) if is_source else (crossings, items)
    return sparse.csr_array((value[held], (row, column)), shape=shape)
