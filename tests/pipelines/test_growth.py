"""What a weekly run shuffles, sends to its driver and holds in a task, with more polls and teams.

Nothing that grows with cells x polls is shuffled or reaches the driver, and a task's memory does
not grow with teams. Bytes are counted, by Spark's own counters and inside the Python tasks: they
hardly vary, while times do. Teams are all alike, far from each other and hold so many cells that a
row per cell and a row per team are plainly two things.
"""

import inspect
import json
import os
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
import yaml
from pyspark.cloudpickle import cloudpickle
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas import group_ops

from cas_spark.pipelines import commands
from cas_spark.settings import load_settings
from tests.toy import (
    BOTTOM,
    CELL,
    END,
    LEFT,
    POLL,
    START,
    content_of_toy,
    incident,
    run_quietly,
    write_areas,
    write_extract,
)

pytestmark = [pytest.mark.spark, pytest.mark.slow]

SIDE, FROM_TEAM_TO_TEAM = 32, 96
CELLS = SIDE * SIDE
NAMES = ("Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot")
BURGLARIES, ROBBERIES = 600, 15
FEW_POLLS, MANY_POLLS = 13, 39
FEW_TEAMS, MANY_TEAMS = 2, len(NAMES)
MORE_POLLS, MORE_TEAMS = MANY_POLLS - FEW_POLLS, MANY_TEAMS - FEW_TEAMS

BYTES_OF_A_SLICE = 250
"""Of a team at a poll: its digests. Of a row per cell the id alone would shuffle 1,700 compressed,
and with its poll send 5,600 to the driver."""

LOADED_ONCE = 128 * 1024
"""What a process loads at its first task of a kind, so that counts differ by as much."""


@dataclass
class Counters:
    """Bytes of a run.

    Attributes:
        shuffled, to_driver: by stage of the run.
        held: by kind of task, the most that any held: what it was given, sent and made.
        sent: by kind of task, what each is sent beside its rows.
    """

    shuffled: Counter[str] = field(default_factory=Counter)
    to_driver: Counter[str] = field(default_factory=Counter)
    held: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)


def beyond(
    few: Mapping[str, int],
    many: Mapping[str, int],
    allowed: int,
    others: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """What grew by more than is allowed, where `others` do not allow something else."""
    grew = {name: number - few.get(name, 0) for name, number in many.items()}
    limits = dict.fromkeys(grew, allowed) | dict(others or {})
    return {name: number for name, number in grew.items() if number > limits[name]}


def write_country(folder: Path, polls: int, teams: int) -> Path:
    """Teams of the same cells and incidents; robberies are so few that pooled models stand in."""
    folder.mkdir()
    size, step = SIDE * CELL, FROM_TEAM_TO_TEAM * CELL
    lefts = {name: LEFT + place * step for place, name in enumerate(NAMES[:teams])}
    areas = {
        name: shapely.box(left, BOTTOM, left + size, BOTTOM + size) for name, left in lefts.items()
    }
    write_areas(folder / "teams.gpkg", areas)
    rows = [row for place in range(teams) for row in incidents_of_team(place)]
    write_extract(folder / "incidents_1.csv", rows)
    content = content_of_toy(folder) | {
        "horizons": {"current": 0},
        "polls": {"count": polls},
        "resources": {"task_memory_mb": 1},
    }
    content["training"]["pooled_rows"] = 1000
    del content["grid"]["removal"]
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def incidents_of_team(place: int) -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(1)
    weeks = timedelta(weeks=1)
    for kind, number, first, last in (
        ("B1", BURGLARIES, START, END),
        ("R1", ROBBERIES, POLL - 10 * weeks, POLL - 4 * weeks),
    ):
        for i in range(number):
            column, row = int(random.beta(1, 3) * SIDE), int(random.beta(2, 3) * SIDE)
            day = first + timedelta(days=int(random.integers(0, (last - first).days - 2)))
            moment = datetime.combine(day, time(int(random.integers(0, 22))))
            at = (place * FROM_TEAM_TO_TEAM + column, row)
            yield incident(f"{kind}-{place}-{i}", kind, moment, at)


def measured(
    task: Callable[..., pa.Table], sent: dict[str, int], folder: Path
) -> Callable[..., pa.Table]:
    """A task of grouped rows that writes down its kind and the bytes that it held."""
    # Who made it tells its kind; where it only passes rows on, whoever made the work of a group.
    work: Any = task
    while "work" in (around := inspect.getclosurevars(work).nonlocals):
        work = around["work"]
    kind = work.__qualname__.split(".")[0]
    pickled: Any = cloudpickle.dumps
    sent[kind] = len(pickled(task))

    def measure(*arguments: Any) -> pa.Table:
        import pyarrow.acero  # noqa: F401, PLC0415 - no task's data, and loaded on first use

        usual = pa.default_memory_pool()
        pool = pa.proxy_memory_pool(usual)
        # Rows outlive the task that made them, and need their pool as long.
        vars(pa).setdefault("pools_of_tests", []).append(pool)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        result = task(*arguments)
        _, made = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        pa.set_memory_pool(usual)
        given = sum(rows.nbytes for rows in arguments if isinstance(rows, pa.Table))
        with (folder / str(os.getpid())).open("a") as file:
            file.write(json.dumps([kind, given + made + pool.max_memory()]) + "\n")
        return result

    # Spark looks at how many arguments a task takes.
    vars(measure)["__signature__"] = inspect.signature(task)
    return measure


def measure_tasks(patched: pytest.MonkeyPatch, sent: dict[str, int], folder: Path) -> None:
    for groups in (group_ops.PandasGroupedOpsMixin, group_ops.PandasCogroupedOps):
        usual: Any = groups.applyInArrow

        def apply(self: Any, task: Any, schema: Any, usual: Any = usual) -> DataFrame:
            frame: DataFrame = usual(self, measured(task, sent, folder), schema)
            return frame

        patched.setattr(groups, "applyInArrow", apply)


def stages_of(spark: SparkSession) -> list[Any]:
    """What Spark tells of the stages that it remembers, the newest first."""
    gateway: Any = spark.sparkContext._gateway
    context = spark._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    no_quantiles = gateway.new_array(gateway.jvm.double, 0)
    of_any_status = gateway.jvm.java.util.ArrayList()
    found = context.statusStore().stageList(None, False, False, no_quantiles, of_any_status)
    return [found.apply(place) for place in range(found.size())]


def run_week(spark: SparkSession, folder: Path, polls: int, teams: int) -> Counters:
    """A weekly run up to what it publishes; maps and MLflow come after it."""
    path, counters = write_country(folder, polls, teams), Counters()
    tasks = folder / "tasks"
    tasks.mkdir()
    spark.sparkContext.setJobDescription("weekly: start")
    before = max((stage.stageId() for stage in stages_of(spark)), default=-1)
    with pytest.MonkeyPatch.context() as patched:
        measure_tasks(patched, counters.sent, tasks)
        patched.setattr(commands, "draw_maps", lambda *_: None)
        patched.setattr(commands, "track", lambda *_: None)
        job = run_quietly(spark, "weekly", load_settings(path), POLL)
    stages = [stage for stage in stages_of(spark) if stage.stageId() > before]
    assert min(stage.stageId() for stage in stages) == before + 1, "Spark forgot some"
    for stage in stages:
        if stage.status().toString() == "COMPLETE":  # others were skipped
            name = re.search(r"weekly: ([^:]+)", stage.description().get())
            assert name is not None
            counters.shuffled[name[1]] += stage.shuffleWriteBytes()
            counters.to_driver[name[1]] += stage.resultSize()
    assert set(counters.shuffled) - {"start"} <= set(job.run.stages)
    for file in tasks.iterdir():
        for kind, held in map(json.loads, file.read_text().splitlines()):
            most = counters.held.get(kind, 0)
            counters.held[kind] = max(most, held + counters.sent[kind])
    return counters


@pytest.fixture(scope="module")
def base(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Counters:
    folder = tmp_path_factory.mktemp("growth") / "base"
    return run_week(spark, folder, FEW_POLLS, FEW_TEAMS)


@pytest.fixture(scope="module")
def more_polls(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Counters:
    folder = tmp_path_factory.mktemp("growth") / "polls"
    return run_week(spark, folder, MANY_POLLS, FEW_TEAMS)


@pytest.fixture(scope="module")
def more_teams(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Counters:
    folder = tmp_path_factory.mktemp("growth") / "teams"
    return run_week(spark, folder, FEW_POLLS, MANY_TEAMS)


def test_every_kind_of_task_that_takes_groups_of_rows_is_measured(base: Counters) -> None:
    of_a_team = {"write_snapshots", "fit_teams", "forecast", "baseline_scores"}
    assert set(base.held) == of_a_team | {"_fit_pools", "measure", "digest_of_table"}
    assert {"snapshots", "train", "forecast", "evaluate", "digests"} <= set(base.to_driver)


def test_more_polls_add_no_row_per_cell_to_what_is_shuffled_or_reaches_the_driver(
    base: Counters, more_polls: Counters
) -> None:
    allowed = FEW_TEAMS * MORE_POLLS * BYTES_OF_A_SLICE
    assert beyond(base.shuffled, more_polls.shuffled, allowed) == {}
    assert beyond(base.to_driver, more_polls.to_driver, allowed) == {}


def test_more_polls_add_to_a_task_less_than_their_rows(
    base: Counters, more_polls: Counters
) -> None:
    rows = CELLS * MORE_POLLS
    # Of a row's 200 bytes those of a column at work, and of which rows are positive or chosen: the
    # rest lies in a scratch file, or was not chosen.
    others = {"fit_teams": rows * 20}
    assert beyond(base.held, more_polls.held, LOADED_ONCE, others) == {}
    # Dates, told more than once.
    assert beyond(base.sent, more_polls.sent, MORE_POLLS * 200) == {}


def test_more_teams_shuffle_no_more_each(base: Counters, more_teams: Counters) -> None:
    of_as_many = {name: number * MANY_TEAMS // FEW_TEAMS for name, number in base.shuffled.items()}
    slack = {name: number // 10 for name, number in of_as_many.items()}
    assert beyond(of_as_many, more_teams.shuffled, 0, slack) == {}


def test_more_teams_add_only_figures_and_models_to_what_reaches_the_driver(
    base: Counters, more_teams: Counters
) -> None:
    # What Spark tells of each task (4 kB), and what is small enough for a join to send around.
    figures = MORE_TEAMS * 25_000
    # Two models, most of them their draws: from tasks, and on their way to the table.
    models = {"train": MORE_TEAMS * 60_000}
    assert beyond(base.to_driver, more_teams.to_driver, figures, models) == {}


def test_more_teams_add_nothing_to_a_task_of_one_team(base: Counters, more_teams: Counters) -> None:
    cells = CELLS * MORE_TEAMS
    others = {
        # Who ranks the whole country's cells holds them: six methods, 16 bytes each, three times.
        "measure": cells * 360,
        # A sixteenth of a table.
        "digest_of_table": cells * 90,
        # Every incident of a pool's teams, 700 bytes each.
        "_fit_pools": LOADED_ONCE + MORE_TEAMS * ROBBERIES * 1_000,
    }
    assert beyond(base.held, more_teams.held, LOADED_ONCE, others) == {}
    # Where a team's snapshots lie.
    assert beyond(base.sent, more_teams.sent, MORE_TEAMS * 200) == {}
