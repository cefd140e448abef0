"""Values of indicators per second: computed, written and read, on one core."""

import tempfile
import time

from pyspark.sql import functions as F

from cas_spark.indicators.nearby import facts_near_teams
from cas_spark.indicators.snapshots import edges_until
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.lake import tables
from cas_spark.lake.arrow_door import write_file
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.pipelines.job import Job


def time_indicators(job: Job, team_id: str) -> dict[str, object]:
    """The figures for one team at all polls of a run."""
    cells = job.cells().where("is_kept").where(F.col("team_id") == team_id)
    cells = cells.select("team_id", "cell_id", "column", "row")
    facts = facts_near_teams(cells, job.run.read(tables.INCIDENTS)).select(*FACT_COLUMNS).toArrow()
    rows = cells.toArrow().sort_by("cell_id")
    polls = job.schedule.snapshot_polls
    edges = edges_until(polls[-1], job.calendar_from, job.settings.zone)
    start = time.perf_counter()
    team = team_of(
        rows, facts, tuple(job.settings.priorities), edges, job.catalogue, job.settings.grid.crs
    )
    blocks = [rows for _, rows in team.blocks(polls, len(edges) - len(polls))]
    computed = time.perf_counter() - start
    names = team.catalogue.names
    values = rows.num_rows * len(polls) * len(names)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        written, _ = write_file(scratch, "snapshots", team_id, blocks, names)
        writing = time.perf_counter() - start
        start = time.perf_counter()
        files = SnapshotFiles(scratch, "snapshots", {team_id: [written.name]})
        list(files.blocks(team_id, names, polls[0], polls[-1]))
        reading = time.perf_counter() - start
    return {
        "cells": rows.num_rows,
        "facts": facts.num_rows,
        "polls": len(polls),
        "indicators": len(names),
        "values": values,
        "computed_per_second": round(values / computed),
        "written_per_second": round(values / writing),
        "computed_and_written_per_second": round(values / (computed + writing)),
        "read_per_second": round(values / reading),
        "bytes_per_value": round(written.bytes / values, 3),
    }
