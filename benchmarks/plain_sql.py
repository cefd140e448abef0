"""The kernel beside plain Spark SQL: values a second and core, and whether both agree. JSON lines.

    python benchmarks/plain_sql.py --settings conf/stlouis.yaml --poll 2017-10-02

It takes the largest team of the lake on which `cas-spark weekly` has run for that poll, and writes
nothing to that lake. Both compute all fast indicators, without suspects, at the newest polls of the
run from the same cells and facts, which lie in memory, and write and commit them as a Delta table:
the kernel as a task does (`write_team`, through the Arrow door), and what `sql_indicators` says in
Spark SQL. Every value of one table is held against the other's: they are equal, bit for bit, or the
first that differ are printed and the exit code is 1.

Both have one core, the same, so no figure depends on how well either keeps two busy. Each runs
three times and the quickest counts: the first run of a query also compiles it. Two numbers of polls
show whether the rates still grow with the size. Processor seconds are those of all processes
together; they hold on a busy machine too.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import pyarrow as pa
import typer
from bench import largest_teams, open_job
from indicators import TeamInputs, inputs_of
from sql_indicators import Given, write_plain_sql

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.season import calendar_values, latitude_of
from cas_spark.indicators.snapshots import Plan, write_team
from cas_spark.lake.arrow_access import commit_files
from cas_spark.pipelines.job import Job
from cas_spark.platform.session import start_session

SIZES = (52, 104)
"""Numbers of polls, or as many as the run has."""

REPEATED = 3
CORES = 1

DIFFERENCES_TOLD = 5
KEYS = ("poll_on", "cell_id")


@dataclass(frozen=True)
class Written:
    """A Delta table, and what it took to compute, write and commit it."""

    path: str
    seconds: float
    processor_seconds: float

    def figures(self, values: int) -> dict[str, float]:
        """The figures of so many values."""
        return {
            "seconds": round(self.seconds, 2),
            "processor_seconds": round(self.processor_seconds, 2),
            "values_per_second_per_core": round(values / self.seconds / CORES),
        }


def timed(work: Callable[[], None], path: str) -> Written:
    """What some work took that writes the table at a path."""
    start, before = time.perf_counter(), _processor_seconds()
    work()
    return Written(path, time.perf_counter() - start, _processor_seconds() - before)


def _processor_seconds() -> float:
    """Of this process and all below it, Spark's JVM among them."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(taken.user + taken.system for taken in times)


@dataclass(frozen=True)
class Comparison:
    """Both, on one team.

    Attributes:
        job: whose catalogue holds the indicators that are asked for.
        team_id: the team.
        inputs: of the team.
    """

    job: Job
    team_id: str
    inputs: TeamInputs

    def line(self, size: int) -> dict[str, Any]:
        """The figures at the newest polls, as many as `size`."""
        polls = self.inputs.polls[-size:]
        names = self.job.catalogue.names
        with tempfile.TemporaryDirectory() as scratch:
            kernel = [self.by_kernel(polls, f"{scratch}/kernel_{i}") for i in range(REPEATED)]
            sql = [self.by_sql(polls, f"{scratch}/sql_{i}") for i in range(REPEATED)]
            ours, theirs = (min(of, key=lambda one: one.seconds) for of in (kernel, sql))
            rows = self._read(ours)
            found = list(islice(differences(rows, self._read(theirs), names), DIFFERENCES_TOLD))
        values = len(names) * rows.num_rows
        processor_ratio = theirs.processor_seconds / ours.processor_seconds
        return {
            "cells": self.inputs.cells.num_rows,
            "facts": self.inputs.facts.num_rows,
            "polls": len(polls),
            "rows": rows.num_rows,
            "indicators": len(names),
            "values": values,
            "cores": CORES,
            "kernel": ours.figures(values),
            "sql": theirs.figures(values),
            "ratio": round(theirs.seconds / ours.seconds, 1),
            "ratio_of_processor_seconds": round(processor_ratio, 1),
            "equal": not found,
            **({"differences": found} if found else {}),
        }

    def by_kernel(self, polls: Sequence[date], root: str) -> Written:
        """Computed by the kernel, as the task of a run does."""
        job, inputs, table = self.job, self.inputs, self.job.snapshots
        plan = Plan(
            catalogue=job.catalogue,
            priorities=tuple(job.settings.priorities),
            grid_version=job.settings.grid.version,
            crs=job.settings.grid.crs,
            edges=inputs.edges,
            polls=tuple(polls),
            existing={},
            root=root,
            table=table.name,
            task_memory_bytes=job.settings.resources.task_memory_bytes,
        )
        # A lake has the empty table before its tasks write.
        path = f"{root}/{table.name}"
        empty = job.run.lake.spark.createDataFrame([], table.schema)
        empty.write.format("delta").partitionBy(*table.partitioned_by).save(path)

        def work() -> None:
            written = write_team(self.team_id, inputs.cells, inputs.facts, plan)
            added = [written.file] if written.file else []
            commit_files(root, table, added, {}, ("plain sql", 1))

        return timed(work, path)

    def by_sql(self, polls: Sequence[date], path: str) -> Written:
        """Computed by Spark SQL, from inputs that lie in memory."""
        given = given_to_sql(self.job, self.inputs, polls)
        frames = (given.cells, given.facts, given.polls)
        for frame in frames:
            frame.cache().count()
        written = timed(lambda: write_plain_sql(given, path), path)
        for frame in frames:
            frame.unpersist()
        return written

    def _read(self, table: Written) -> pa.Table:
        rows = self.job.run.lake.spark.read.format("delta").load(table.path)
        asked = rows.select(*KEYS, *self.job.catalogue.names).toArrow()
        return asked.sort_by([(key, "ascending") for key in KEYS])


def given_to_sql(job: Job, inputs: TeamInputs, polls: Sequence[date]) -> Given:
    """The same inputs as data frames."""
    spark = job.run.lake.spark
    columns, rows = (inputs.cells.column(name).to_numpy() for name in ("column", "row"))
    latitude = latitude_of(columns, rows, job.settings.grid.crs)
    first = len(inputs.edges) - len(polls)
    of_polls = [
        {"poll": poll, "poll_on": day, "poll_at": int(inputs.edges[poll])}
        | calendar_values(day, latitude)
        for poll, day in enumerate(polls, start=first)
    ]
    return Given(
        indicators=job.catalogue.indicators,
        priorities=list(job.settings.priorities),
        cells=spark.createDataFrame(inputs.cells.select(["cell_id", "column", "row"])),
        facts=spark.createDataFrame(inputs.facts),
        polls=spark.createDataFrame(of_polls),
        calendar_from=job.calendar_from,
        weeks=len(inputs.edges),
        zone=job.settings.zone,
    )


def differences(kernel: pa.Table, sql: pa.Table, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The values of two tables, sorted by KEYS, that are not the same."""
    if not kernel.select(KEYS).equals(sql.select(KEYS)):
        yield {"rows_of_kernel": kernel.num_rows, "rows_of_sql": sql.num_rows, "keys": "differ"}
        return
    for name in names:
        ours, theirs = kernel.column(name).to_numpy(), sql.column(name).to_numpy()
        for place in np.flatnonzero(ours != theirs):
            keys = {key: str(kernel.column(key)[int(place)]) for key in KEYS}
            values = {"kernel": float(ours[place]), "sql": float(theirs[place])}
            yield {**keys, "indicator": name, **values}


def main(
    settings: Annotated[Path, typer.Option()],
    poll: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
) -> None:
    """Measure, compare and print."""
    logging.getLogger("cas_spark").setLevel(logging.WARNING)
    # Before Spark starts, so that it counts as many.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    spark = start_session("bench plain sql")
    job = open_job(spark, settings, poll)
    asked = [i for i in job.catalogue.fast.indicators if i.group != "suspects"]
    job = job.looking_at(Catalogue(tuple(asked)))
    [team] = largest_teams(job, 1)
    common = {
        "bench": "plain_sql",
        "settings": job.settings.name,
        "poll": str(job.poll),
        "team": team,
    }
    comparison = Comparison(job, team, inputs_of(job, team))
    are_equal = True
    for size in SIZES:
        line = comparison.line(size)
        print(json.dumps({**common, **line}), flush=True)
        are_equal &= line["equal"]
    spark.stop()
    if not are_equal:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
