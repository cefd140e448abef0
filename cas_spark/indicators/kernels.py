"""The kernels: facts and polls in, values out; pure numpy, exact, the same in any order.

Time is an index into the calendar of polls: `edges[k]` is the instant of poll k, and week k is
[edges[k], edges[k + 1]). Space is the dense rectangle around a team's cells, widened by the halo.
Sums are integers; the one division, by a power of two, comes last, so that no value depends on the
order of facts, the polls computed beside it, the machine or the number of cores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cas_spark.indicators.catalogue import NEVER_WEEKS
from cas_spark.indicators.weights import GAUSSIAN, GAUSSIAN_SCALE_BITS, HALO_CELLS
from cas_spark.knowledge.visibility import polls_that_see

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Facts:
    """Versions of incidents of one kind, as indices; all arrays have the shape (facts,).

    Attributes:
        column, row: place in the rectangle.
        week: week in which the incident counts; -1 where before the calendar.
        seen_from: first poll that sees the version.
        seen_until: first poll that no longer sees it.
    """

    column: Ints
    row: Ints
    week: Ints
    seen_from: Ints
    seen_until: Ints


def as_facts(
    *, column: Ints, row: Ints, counts_at: Ints, known_at: Ints, superseded_at: Ints, edges: Ints
) -> Facts:
    """Versions with instants (microseconds UTC) as facts with indices into `edges`."""
    seen_from, seen_until = polls_that_see(known_at, superseded_at, edges)
    return Facts(
        column=column,
        row=row,
        week=np.searchsorted(edges, counts_at, side="right") - 1,
        seen_from=seen_from,
        seen_until=seen_until,
    )


@dataclass(frozen=True)
class Block:
    """The rectangle and polls that values are computed for.

    `polls` are consecutive indices [first_poll, last_poll]; `columns`, `rows` the rectangle's size.
    """

    columns: int
    rows: int
    first_poll: int
    last_poll: int

    @property
    def polls(self) -> int:
        """How many polls."""
        return self.last_poll - self.first_poll + 1


def window_counts(facts: Facts, block: Block, window_weeks: int) -> Ints:
    """Facts per place over [poll - window, poll), shape (rows, columns, polls).

    A fact counts over one run of polls: from when it was seen, and its week has passed, until it
    leaves the window or is no longer seen. So the counts are the running sum of +1 and -1 steps.
    """
    start = np.maximum(facts.seen_from, facts.week + 1)
    end = np.minimum(facts.seen_until, facts.week + window_weeks + 1)
    start = np.clip(start - block.first_poll, 0, block.polls)
    end = np.clip(end - block.first_poll, 0, block.polls)
    counts = (start < end) & (facts.week >= 0)
    steps = np.zeros((block.rows, block.columns, block.polls + 1), dtype=np.int64)
    place = (facts.row[counts], facts.column[counts])
    np.add.at(steps, (*place, start[counts]), 1)
    np.add.at(steps, (*place, end[counts]), -1)
    return np.cumsum(steps, axis=2)[:, :, :-1]


def density(counts: Ints, bandwidth_m: int) -> Floats:
    """Counts around each place, weighed by a Gaussian of that bandwidth; same shape.

    The weight is a product of one weight per axis, so two passes of shifted sums are enough. Places
    within the halo of the rectangle's border lack neighbours and are not to be used.
    """
    weighed = counts
    for axis in (0, 1):
        weighed = _weigh_along(weighed, GAUSSIAN[bandwidth_m], axis)
    return (weighed / float(1 << (2 * GAUSSIAN_SCALE_BITS))).astype(np.float32)


def _weigh_along(values: Ints, weights: Sequence[int], axis: int) -> Ints:
    """Sum of the values up to len(weights) - 1 places away along an axis, times their weights."""
    result = values * weights[0]
    size = values.shape[axis]
    for distance, weight in enumerate(weights[1:], start=1):
        if distance >= size:
            break
        near, far = [slice(None)] * 3, [slice(None)] * 3
        near[axis], far[axis] = slice(0, size - distance), slice(distance, size)
        result[tuple(near)] += weight * values[tuple(far)]
        result[tuple(far)] += weight * values[tuple(near)]
    return result


def weeks_since(facts: Facts, block: Block) -> Ints:
    """Weeks from the start of the week of the last fact to the poll, shape (rows, columns, polls).

    At most NEVER_WEEKS, which also stands where no fact is seen.
    """
    never = -NEVER_WEEKS - 1 - block.last_poll
    last = np.full((block.rows, block.columns, block.polls), never, dtype=np.int64)
    start = np.clip(np.maximum(facts.seen_from, facts.week + 1) - block.first_poll, 0, block.polls)
    end = np.clip(facts.seen_until - block.first_poll, 0, block.polls)
    counts = (start < end) & (facts.week >= 0)
    ends_early = counts & (end < block.polls)
    # What stays seen to the end only ever raises the maximum from its start on.
    lasting = counts & ~ends_early
    np.maximum.at(
        last, (facts.row[lasting], facts.column[lasting], start[lasting]), facts.week[lasting]
    )
    np.maximum.accumulate(last, axis=2, out=last)
    # The few that a later version supersedes count over their own run of polls only.
    for i in np.flatnonzero(ends_early):
        run = last[facts.row[i], facts.column[i], start[i] : end[i]]
        np.maximum(run, facts.week[i], out=run)
    polls = np.arange(block.first_poll, block.last_poll + 1)
    since: Ints = np.minimum(polls - last, NEVER_WEEKS)
    return since


def halo_of(columns: Ints, rows: Ints) -> tuple[int, int, Block]:
    """Where the rectangle around these cells begins, and a block of its size without polls."""
    first_column, first_row = int(columns.min()) - HALO_CELLS, int(rows.min()) - HALO_CELLS
    width = int(columns.max()) + HALO_CELLS - first_column + 1
    height = int(rows.max()) + HALO_CELLS - first_row + 1
    return first_column, first_row, Block(width, height, 0, -1)
