"""Kernels of suspects: where they live and from when it was known, in; numbers and distances out.

As the others: whole numbers, the same in any order and for any polls computed beside. Persons are
distinguished here only, so that none counts twice; no result of these functions identifies one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse
from scipy.spatial import KDTree

from cas_spark.grid.cells import CELL_SIZE_M
from cas_spark.indicators.kernels import Doubles, Ints, Polls, distinct_rows
from cas_spark.indicators.weights import HALO_CELLS
from cas_spark.knowledge.visibility import polls_that_see

SUSPECT_COLUMNS = ("priority", "suspect_key", "column", "row", "known_at", "superseded_at")
"""Columns of the links of suspects near a team: the home cell's place in the grid, and instants in
microseconds UTC."""

DISTANCE_STEPS_PER_M = 64
"""Distances are rounded to 1/64 m, as those of surroundings are."""


@dataclass(frozen=True)
class Suspects:
    """Known suspects of one priority around a team.

    Attributes:
        cells: columns and rows of the team's cells, shape (cells, 2).
        homes: columns and rows of the home cells, shape (homes, 2), each once.
        lives: shape (residences, 2): a person and the index of a home, each pair once, by person.
        residence: for each version of a link the index of its residence.
        seen_from: for each version the first poll that sees it.
        seen_until: the first poll that no longer sees it.
    """

    cells: Ints
    homes: Ints
    lives: Ints
    residence: Ints
    seen_from: Ints
    seen_until: Ints

    def within(self, radius_m: int, polls: Polls) -> Doubles:
        """Persons with a home within a radius of each cell's centre, shape (cells, polls)."""
        known = self._known(polls)
        residence, cell = self._near(radius_m)
        is_only = self._is_only_home[residence]
        number = len(self.cells)
        counts = _ones(cell[is_only], residence[is_only], (number, len(known))) @ known
        # Somebody with two homes around a cell counts once, so these go by person and cell first.
        residence, cell = residence[~is_only], cell[~is_only]
        person = self.lives[residence, 0]
        pairs, pair = np.unique(person * number + cell, return_inverse=True)
        lives_near = _ones(pair.reshape(-1), residence, (len(pairs), len(known))) @ known > 0
        counts += _ones(pairs % number, np.arange(len(pairs)), (number, len(pairs))) @ lives_near
        return np.asarray(counts)

    def nearest_m(self, polls: Polls) -> Doubles:
        """Metres from each cell's centre to the nearest home cell's, shape (cells, polls).

        At most the halo's width, which is also the value where no suspect lives nearer.
        """
        inhabited = np.zeros((len(self.homes), polls.number), dtype=np.bool_)
        np.logical_or.at(inhabited, self.lives[:, 1], self._known(polls) > 0)
        # Who is known changes slowly, so many polls see the same homes.
        different, which = np.unique(inhabited, axis=1, return_inverse=True)
        metres = np.empty((len(self.cells), different.shape[1]))
        for column, is_inhabited in enumerate(different.T):
            metres[:, column] = self._metres_to(self.homes[is_inhabited])
        return metres[:, which.reshape(-1)]

    def _metres_to(self, homes: Ints) -> Doubles:
        squared = np.full(len(self.cells), HALO_CELLS**2)
        if len(homes):
            _, index = KDTree(homes).query(self.cells, distance_upper_bound=HALO_CELLS)
            near = index < len(homes)
            squared[near] = ((self.cells[near] - homes[index[near]]) ** 2).sum(axis=1)
        steps = np.rint(CELL_SIZE_M * DISTANCE_STEPS_PER_M * np.sqrt(squared))
        return np.asarray(steps / DISTANCE_STEPS_PER_M)

    def _known(self, polls: Polls) -> Doubles:
        """1 where a poll sees a version of a residence, else 0; shape (residences, polls)."""
        changes = np.zeros((len(self.lives), polls.number + 1), dtype=np.int64)
        for seen, change in ((self.seen_from, 1), (self.seen_until, -1)):
            poll = np.clip(seen - polls.first, 0, polls.number)
            np.add.at(changes, (self.residence, poll), change)
        return (changes.cumsum(axis=1)[:, :-1] > 0).astype(np.float64)

    def _near(self, radius_m: int) -> tuple[Ints, Ints]:
        """Residences, and the cells within a radius of each: one of either per pair."""
        if not len(self.lives):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        # Squared distances between cells are whole numbers, which half of one keeps apart.
        reach = np.sqrt((radius_m // CELL_SIZE_M) ** 2 + 0.5)
        near = KDTree(self.cells).query_ball_point(self.homes[self.lives[:, 1]], reach)
        numbers = [len(cells) for cells in near]
        cells = np.concatenate([np.asarray(cells, np.int64) for cells in near])
        return np.repeat(np.arange(len(near)), numbers), cells

    @cached_property
    def _is_only_home(self) -> npt.NDArray[np.bool_]:
        """For each residence whether its person has no other."""
        return np.asarray(np.bincount(self.lives[:, 0])[self.lives[:, 0]] == 1)


def suspects_of(
    links: pa.Table | None, priorities: Sequence[str], cells: Ints, edges: Ints
) -> dict[str, Suspects]:
    """The known suspects of each priority around a team.

    Args:
        links: SUSPECT_COLUMNS of the versions of links in and around the team; None for none.
        priorities: all of the lake.
        cells: columns and rows of the team's cells, shape (cells, 2).
        edges: instants of the calendar's polls, microseconds UTC.
    """
    if links is None:
        empty = np.empty((0, 2), np.int64), np.empty(0, np.int64)
        none = Suspects(cells, empty[0], empty[0], *[empty[1]] * 3)
        return dict.fromkeys(priorities, none)
    numbers = {
        name: np.asarray(links.column(name).to_numpy(), dtype=np.int64)
        for name in ("column", "row", "known_at", "superseded_at")
    }
    first, until = polls_that_see(numbers["known_at"], numbers["superseded_at"], edges)
    where = np.column_stack([numbers["column"], numbers["row"]])
    key = np.array(links.column("suspect_key").to_pylist(), dtype=object)
    priority = np.array(links.column("priority").to_pylist(), dtype=object)
    found = {}
    for of in priorities:
        used = (priority == of) & (first < until)
        homes, home = distinct_rows(where[used])
        _, person = np.unique(key[used], return_inverse=True)
        lives, residence = distinct_rows(np.column_stack([person.reshape(-1), home]))
        found[of] = Suspects(cells, homes, lives, residence, first[used], until[used])
    return found


def _ones(rows: Ints, columns: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
