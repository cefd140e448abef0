"""Values of indicators per second: computed, written and read, on one core."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from pyspark.sql import functions as F

from cas_spark.indicators.kernels import Ints
from cas_spark.indicators.nearby import facts_near_teams
from cas_spark.indicators.snapshots import edges_until
from cas_spark.indicators.team import FACT_COLUMNS, Team, team_of
from cas_spark.lake import tables
from cas_spark.lake.arrow_access import write_file
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.pipelines.job import Job


@dataclass(frozen=True)
class TeamInputs:
    """What the indicators of a team are computed from.

    Attributes:
        cells: team_id, cell_id, column, row of the kept cells, sorted.
        facts: FACT_COLUMNS of the versions in and around the team.
        polls: of the run.
        edges: instants of the calendar's polls up to the last of these, microseconds UTC.
    """

    cells: pa.Table
    facts: pa.Table
    polls: Sequence[date]
    edges: Ints

    def team(self, job: Job) -> Team:
        """The team as the kernels take it."""
        settings = job.settings
        return team_of(
            self.cells,
            self.facts,
            tuple(settings.priorities),
            self.edges,
            job.catalogue,
            settings.grid.crs,
        )


def inputs_of(job: Job, team_id: str) -> TeamInputs:
    """The inputs of one team, as a task of the run has them."""
    cells = job.cells().where("is_kept").where(F.col("team_id") == team_id)
    cells = cells.select("team_id", "cell_id", "column", "row")
    facts = facts_near_teams(cells, job.run.read(tables.INCIDENTS)).select(*FACT_COLUMNS)
    polls = job.schedule.snapshot_polls
    edges = edges_until(polls[-1], job.calendar_from, job.settings.zone)
    return TeamInputs(cells.toArrow().sort_by("cell_id"), facts.toArrow(), polls, edges)


def _computed(inputs: TeamInputs, job: Job) -> list[pa.Table]:
    """All rows of the team, as a task computes them before they are written."""
    polls = inputs.polls
    blocks = inputs.team(job).blocks(polls, len(inputs.edges) - len(polls))
    return [rows for _, rows in blocks]


def time_indicators(job: Job, team_id: str) -> dict[str, object]:
    """The figures for one team at all polls of a run, by a worker that has done it before."""
    inputs = inputs_of(job, team_id)
    polls, cells = inputs.polls, inputs.cells.num_rows
    names = job.catalogue.fast.names
    _computed(inputs, job)  # imports what is needed, as a worker does at its first team
    start = time.perf_counter()
    blocks = _computed(inputs, job)
    computed = time.perf_counter() - start
    values = cells * len(polls) * len(names)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        written, _ = write_file(scratch, "snapshots", team_id, blocks, names)
        writing = time.perf_counter() - start
        start = time.perf_counter()
        files = SnapshotFiles(scratch, "snapshots", {team_id: [written.name]})
        list(files.blocks(team_id, names, polls[0], polls[-1]))
        reading = time.perf_counter() - start
    return {
        "cells": cells,
        "facts": inputs.facts.num_rows,
        "polls": len(polls),
        "indicators": len(names),
        "values": values,
        "computed_per_second": round(values / computed),
        "written_per_second": round(values / writing),
        "computed_and_written_per_second": round(values / (computed + writing)),
        "read_per_second": round(values / reading),
        "bytes_per_value": round(written.bytes / values, 3),
    }
