"""The snapshots of one team: every fast indicator of its kept cells at a run of polls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from cas_spark.indicators import kernels
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.indicator import ANY, Indicator
from cas_spark.indicators.kernels import Doubles, Facts, Ints, Polls, Space, Timings
from cas_spark.indicators.season import calendar_values, latitude_of
from cas_spark.indicators.suspect_kernels import Suspects, suspects_of
from cas_spark.indicators.weights import (
    DECAY_SCALE_BITS,
    GAUSSIAN,
    GAUSSIAN_SCALE_BITS,
    HALO_CELLS,
    weights_by_age,
)

FACT_COLUMNS = ("priority", "column", "row", "counts_at", "known_at", "superseded_at")
"""Columns of the facts of a team: place in the grid, and instants in microseconds UTC."""

POLLS_AT_ONCE = 32
"""More polls at once are no quicker; no value depends on it."""

BYTES_PER_VALUE = 16
"""What a value takes while it is computed and written, as float32 and in between as doubles."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Team:
    """A team's cells and facts, as the kernels take them.

    Attributes:
        catalogue: the fast indicators.
        cell_ids: kept cells, sorted.
        space: the cells and the places around them.
        facts: priority (and ANY) -> its facts.
        timings: in which all facts lie in time.
        incidence: priority (and ANY) -> facts per place and timing.
        gaussians: bandwidth in metres -> its weights, along columns and along rows.
        latitude: in degrees.
        weeks: number of weeks of the calendar.
        suspects: priority -> its known suspects.
    """

    catalogue: Catalogue
    cell_ids: pa.Array
    space: Space
    facts: Mapping[str, Facts]
    timings: Timings
    incidence: Mapping[str, sparse.csr_array]
    gaussians: Mapping[int, tuple[sparse.csr_array, sparse.csr_array]]
    latitude: float
    weeks: int
    suspects: Mapping[str, Suspects]

    def snapshots(self, polls: Sequence[date], first_poll: int) -> Iterator[tuple[date, pa.Table]]:
        """The rows of each poll, sorted by cell; arguments and rows are those of `blocks`."""
        cells = len(self.cell_ids)
        for days, rows in self.blocks(polls, first_poll):
            for place, poll in enumerate(days):
                yield poll, rows.slice(place * cells, cells)

    def blocks(
        self, polls: Sequence[date], first_poll: int, bytes_at_most: int | None = None
    ) -> Iterator[tuple[Sequence[date], pa.Table]]:
        """The rows of some polls at a time, sorted by poll and cell.

        Args:
            polls: consecutive.
            first_poll: place of the first of them in the calendar.
            bytes_at_most: that a block may take while it is made; None for no bound.

        Yields:
            (polls, rows with poll_on, cell_id and one float column per fast indicator).
        """
        schema = pa.schema(
            [
                pa.field("poll_on", pa.date32(), nullable=False),
                pa.field("cell_id", pa.int64(), nullable=False),
                *(pa.field(name, pa.float32(), nullable=False) for name in self.catalogue.names),
            ]
        )
        cells = len(self.cell_ids)
        at_once = POLLS_AT_ONCE
        if bytes_at_most is not None:
            of_poll = cells * len(self.catalogue.names) * BYTES_PER_VALUE
            at_once = max(1, min(at_once, bytes_at_most // of_poll))
        for start in range(0, len(polls), at_once):
            days = polls[start : start + at_once]
            first = first_poll + start
            values = _Values(self, days, Polls(first, first + len(days) - 1))
            columns = [values.of(indicator).ravel() for indicator in self.catalogue.indicators]
            day = pa.array(np.repeat(np.array(days, "datetime64[D]"), cells))
            ids = pa.concat_arrays([self.cell_ids] * len(days))
            arrays = [day, ids, *(pa.array(column) for column in columns)]
            yield days, pa.table(arrays, schema=schema)


def team_of(
    cells: pa.Table,
    facts: pa.Table,
    priorities: Sequence[str],
    edges: Ints,
    catalogue: Catalogue,
    crs: str,
    suspects: pa.Table | None = None,
) -> Team:
    """Prepare a team.

    Args:
        cells: cell_id, column, row; sorted by cell_id.
        facts: FACT_COLUMNS of the versions in and around the team.
        priorities: all of the lake.
        edges: instants of the calendar's polls, microseconds UTC.
        catalogue: the indicators; only the fast ones are computed.
        crs: of the grid.
        suspects: SUSPECT_COLUMNS of the links in and around the team; None for none.
    """
    at = np.column_stack([_numbers(cells, "column"), _numbers(cells, "row")])
    where = np.column_stack([_numbers(facts, "column"), _numbers(facts, "row")])
    priority = _places_among(priorities, facts.column("priority"))
    near = (where >= at.min(axis=0) - HALO_CELLS) & (where <= at.max(axis=0) + HALO_CELLS)
    used = near.all(axis=1) & (priority >= 0)
    places, place = kernels.distinct_rows(where[used])
    counts_at, known_at, superseded_at = (
        _numbers(facts, name)[used] for name in ("counts_at", "known_at", "superseded_at")
    )
    every, counts = kernels.facts_of(place, counts_at, known_at, superseded_at, edges)
    priority = priority[used][counts]
    timings, timing = kernels.timings_of(every)
    chosen = {of: priority == number for number, of in enumerate(priorities)}
    chosen[ANY] = np.ones(len(priority), dtype=bool)
    space = Space(at, places)
    bandwidths = {i.bandwidth_m for i in catalogue.fast.indicators if i.bandwidth_m}
    return Team(
        catalogue=catalogue.fast,
        cell_ids=cells.column("cell_id").combine_chunks(),
        space=space,
        facts={of: every.where(choice) for of, choice in chosen.items()},
        timings=timings,
        incidence={
            of: kernels.incidence(
                every.place[choice], timing[choice], len(places), len(timings.rows)
            )
            for of, choice in chosen.items()
        },
        gaussians={metres: space.gaussian(GAUSSIAN[metres]) for metres in bandwidths},
        latitude=latitude_of(at[:, 0], at[:, 1], crs),
        weeks=len(edges),
        suspects=suspects_of(suspects, priorities, at, edges),
    )


@dataclass(frozen=True)
class _Values:
    """The values at some polls; what several indicators share is worked out once."""

    team: Team
    days: Sequence[date]
    polls: Polls
    _series: dict[object, Doubles] = field(default_factory=dict)
    _weights: dict[object, Doubles] = field(default_factory=dict)
    _last: dict[str, Ints] = field(default_factory=dict)

    def of(self, indicator: Indicator) -> Floats:
        """One indicator's values, shape (polls, cells)."""
        space = self.team.space
        if indicator.kind == "calendar":
            return self._same_everywhere(self._calendar[indicator.name])
        if indicator.kind == "weeks_since":
            return self._weeks_since(indicator)
        if indicator.group == "suspects":
            return self._of_suspects(indicator)
        series, bits = self._over_ages(indicator)
        if indicator.kind == "level":
            return self._same_everywhere(space.of_team(series)[0])
        if indicator.kind == "density":
            bits += 2 * GAUSSIAN_SCALE_BITS
            along_columns, along_rows = self.team.gaussians[indicator.bandwidth_m or 0]
            values = along_rows @ (along_columns @ series)
        else:
            values = space.in_cells(series)
        if indicator.kind == "ever":
            values = values > 0
        if bits:
            values = values / float(1 << bits)
        return np.ascontiguousarray(values.astype(np.float32).T)

    def _over_ages(self, indicator: Indicator) -> tuple[Doubles, int]:
        """The weighted number of incidents per place and poll, in units of 2^-bits."""
        ages = (indicator.window, indicator.half_life_weeks)
        key = (indicator.of, ages)
        if key not in self._series:
            if ages not in self._weights:
                by_age = weights_by_age(self.team.weeks, *ages)
                self._weights[ages] = self.team.timings.weights(by_age, self.polls)
            self._series[key] = self.team.incidence[indicator.of or ANY] @ self._weights[ages]
        return self._series[key], DECAY_SCALE_BITS if indicator.half_life_weeks else 0

    def _weeks_since(self, indicator: Indicator) -> Floats:
        space, of = self.team.space, indicator.of or ANY
        if of not in self._last:
            self._last[of] = kernels.last_weeks(self.team.facts[of], len(space.places), self.polls)
        last = self._last[of]
        of_cells = space.last_of(last, self.polls, is_of_block=indicator.is_of_block)
        return np.ascontiguousarray(kernels.weeks_since(of_cells, self.polls).T.astype(np.float32))

    def _of_suspects(self, indicator: Indicator) -> Floats:
        suspects = self.team.suspects[indicator.of or ""]
        if indicator.kind == "nearest_suspect":
            values = suspects.nearest_m(self.polls)
        else:
            values = suspects.within(indicator.radius_m or 0, self.polls)
        return np.ascontiguousarray(values.T.astype(np.float32))

    @cached_property
    def _calendar(self) -> Mapping[str, Doubles]:
        per_poll = [calendar_values(day, self.team.latitude) for day in self.days]
        return {name: np.array([values[name] for values in per_poll]) for name in per_poll[0]}

    def _same_everywhere(self, of_polls: Doubles) -> Floats:
        """A value per poll, for every cell."""
        cells = len(self.team.cell_ids)
        return np.repeat(of_polls.astype(np.float32)[:, None], cells, axis=1)


def _places_among(names: Sequence[str], column: pa.ChunkedArray) -> Ints:
    """The place of each among the names; -1 where it is none of them."""
    places = pc.index_in(column, pa.array(names, pa.string())).fill_null(-1)
    return np.asarray(places.to_numpy(), dtype=np.int64)


def _numbers(rows: pa.Table, name: str) -> Ints:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.int64)
