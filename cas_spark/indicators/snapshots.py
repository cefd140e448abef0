"""Snapshots: every indicator of every kept cell at every poll, computed team by team in parallel.

A snapshot is a pure function of the facts that its poll saw, the cells and the catalogue. A task
takes one team with the facts in a halo around it, so that no border cuts a window, and writes its
rows itself (`lake.arrow_door`). Each slice (a team at a poll) keeps the digest of what it was
computed from; only slices whose basis changed, or that are missing, are computed again.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.cells import column_of, row_of
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.kernels import Ints
from cas_spark.indicators.suspects import SUSPECT_COLUMNS
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.indicators.weights import HALO_CELLS
from cas_spark.knowledge.calendar import instant_of, polls_between
from cas_spark.knowledge.visibility import NEVER, counts_at, polls_that_see
from cas_spark.lake.arrow_door import WrittenFile, write_file
from cas_spark.lake.spread import task_per_group_of_two

TILE_CELLS = 16
"""Facts find the teams near them by tiles of this many cells; at least as wide as the halo."""

if TILE_CELLS < HALO_CELLS:
    message = f"tiles of {TILE_CELLS} cells are narrower than the halo of {HALO_CELLS}"
    raise ValueError(message)


@dataclass(frozen=True)
class Plan:
    """What the tasks need to know; sent to each of them.

    Attributes:
        catalogue: the indicators; the fast ones are computed.
        priorities: in the settings' order.
        grid_version: of the cells.
        crs: of the grid.
        edges: instants of the polls, microseconds UTC, from the calendar's first to the run's poll.
        polls: dates of the polls to compute, consecutive; the last is that of the last edge.
        existing: team -> poll -> basis of the slices that the lake holds.
        root: the lake's root.
        table: name of the table.
        task_memory_bytes: that a task may use for the rows of its team; no value depends on it.
    """

    catalogue: Catalogue
    priorities: tuple[str, ...]
    grid_version: str
    crs: str
    edges: Ints
    polls: tuple[date, ...]
    existing: Mapping[str, Mapping[date, str]]
    root: str
    table: str
    task_memory_bytes: int

    @property
    def first_poll(self) -> int:
        """Index into `edges` of the first poll to compute."""
        return len(self.edges) - len(self.polls)


@dataclass(frozen=True)
class Slice:
    """A team's rows at a poll, as written."""

    poll_on: date
    basis: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class WrittenTeam:
    """What a task did for a team.

    Attributes:
        team_id: the team.
        is_replacing: whether the team's older files are superseded as a whole.
        file: what was written; None where every slice was there already.
        slices: what the file holds.
    """

    team_id: str
    is_replacing: bool
    file: WrittenFile | None
    slices: tuple[Slice, ...]


def edges_until(poll: date, calendar_from: date, zone: ZoneInfo) -> Ints:
    """The instants of all polls of the calendar up to one, microseconds UTC, shape (polls,)."""
    polls = polls_between(calendar_from, poll)
    return np.array([_micros(instant_of(day, zone)) for day in polls], dtype=np.int64)


def write_snapshots(
    cells: DataFrame, incidents: DataFrame, plan: Plan, suspects: DataFrame | None = None
) -> list[WrittenTeam]:
    """Compute and write the missing and outdated slices of every team; nothing is committed yet.

    Args:
        cells: kept cells: cell_id, column, row, team_id.
        incidents: versions of incidents: cell_id, priority and their instants.
        plan: what to compute.
        suspects: versions of links of suspects: rows of `suspects`; None where the group is off.
    """
    has_suspects = suspects is not None

    def work(team: str, cells: pa.Table, facts: pa.Table) -> pa.Table:
        links = None
        if has_suspects:
            is_link = facts.column("suspect_key").is_valid()
            links, facts = facts.filter(is_link), facts.filter(pc.invert(is_link))
        written = write_team(team, cells, facts, plan, links)
        return pa.table({"team_id": [written.team_id], "written": [_to_json(written)]})

    kept = cells.select("team_id", "cell_id", "column", "row")
    facts = facts_near_teams(kept, incidents)
    if suspects is not None:
        links = suspects_near_teams(kept, suspects)
        facts = facts.unionByName(links, allowMissingColumns=True)
    facts = facts.withColumnRenamed("near_team_id", "team_id")
    schema = "team_id string, written string"
    rows = task_per_group_of_two(work, schema, "team_id", kept, facts).collect()
    return [_from_json(row["written"]) for row in sorted(rows, key=lambda row: row["team_id"])]


def facts_near_teams(cells: DataFrame, incidents: DataFrame) -> DataFrame:
    """Each version of an incident once per team that it may matter to, as numbers."""
    facts = incidents.select(
        "priority",
        column_of(F.col("cell_id")).alias("column"),
        row_of(F.col("cell_id")).alias("row"),
        F.unix_micros(counts_at()).alias("counts_at"),
        *_instants(),
    )
    return near_teams(cells, facts).select("near_team_id", *FACT_COLUMNS)


def suspects_near_teams(cells: DataFrame, suspects: DataFrame) -> DataFrame:
    """Each version of a link once per team near the suspect's home, as numbers."""
    links = suspects.select(
        "priority",
        "suspect_key",
        column_of(F.col("home_cell_id")).alias("column"),
        row_of(F.col("home_cell_id")).alias("row"),
        *_instants(),
    )
    return near_teams(cells, links).select("near_team_id", *SUSPECT_COLUMNS)


def _instants() -> list[Column]:
    return [
        F.unix_micros("known_at").alias("known_at"),
        F.coalesce(F.unix_micros("superseded_at"), F.lit(NEVER)).alias("superseded_at"),
    ]


def near_teams(cells: DataFrame, facts: DataFrame) -> DataFrame:
    """Add `near_team_id`: each fact once per team whose tiles it lies in or next to.

    Args:
        cells: kept cells: team_id, column, row.
        facts: column, row of their cell, and whatever else.
    """
    tile = [F.floor(F.col(axis) / TILE_CELLS).cast("int") for axis in ("column", "row")]
    around = F.array(*[F.lit(step) for step in (-1, 0, 1)])
    tiles = (
        cells.select("team_id", tile[0].alias("tile_column"), tile[1].alias("tile_row"))
        .distinct()
        .select("team_id", F.explode(around).alias("right"), "tile_column", "tile_row")
        .select("team_id", "right", F.explode(around).alias("up"), "tile_column", "tile_row")
        .select(
            F.col("team_id").alias("near_team_id"),
            (F.col("tile_column") + F.col("right")).alias("tile_column"),
            (F.col("tile_row") + F.col("up")).alias("tile_row"),
        )
        .distinct()
    )
    tiled = facts.select("*", tile[0].alias("tile_column"), tile[1].alias("tile_row"))
    return tiled.join(F.broadcast(tiles), ["tile_column", "tile_row"], "inner")


def write_team(
    team_id: str, cells: pa.Table, facts: pa.Table, plan: Plan, suspects: pa.Table | None = None
) -> WrittenTeam:
    """Compute and write what the lake lacks of one team; the work of one task.

    Args:
        team_id: the team.
        cells: cell_id, column, row.
        facts: FACT_COLUMNS of the versions in and around the team.
        plan: what to compute.
        suspects: SUSPECT_COLUMNS of the links in and around the team; None where the group is off.
    """
    cells = cells.sort_by("cell_id")
    facts = _sorted(facts, FACT_COLUMNS)
    if suspects is not None:
        suspects = _sorted(suspects, SUSPECT_COLUMNS)
    bases = bases_of(cells, facts, plan, suspects)
    existing = plan.existing.get(team_id, {})
    is_replacing = any(existing[poll] != bases[poll] for poll in bases if poll in existing)
    wanted = [poll for poll in plan.polls if is_replacing or poll not in existing]
    if not wanted or cells.num_rows == 0:
        return WrittenTeam(team_id, is_replacing, None, ())
    # Values of a poll do not depend on which polls are computed beside it; a gap costs only time.
    polls = plan.polls[plan.polls.index(wanted[0]) :]
    team = team_of(cells, facts, plan.priorities, plan.edges, plan.catalogue, plan.crs, suspects)
    blocks = team.blocks(polls, len(plan.edges) - len(polls), plan.task_memory_bytes)
    asked = _only(blocks, set(wanted), cells.num_rows)
    file, digests = write_file(plan.root, plan.table, team_id, asked, team.catalogue.names)
    return WrittenTeam(
        team_id,
        is_replacing,
        file,
        tuple(
            Slice(poll, bases[poll], cells.num_rows, sha256)
            for poll, sha256 in zip(wanted, digests, strict=True)
        ),
    )


def _only(
    blocks: Iterable[tuple[Sequence[date], pa.Table]], wanted: set[date], cells: int
) -> Iterator[pa.Table]:
    """Of blocks of polls the rows of those that are wanted."""
    for days, rows in blocks:
        parts = [rows.slice(i * cells, cells) for i, day in enumerate(days) if day in wanted]
        if len(parts) == len(days):
            yield rows
        elif parts:
            yield pa.concat_tables(parts)


def bases_of(
    cells: pa.Table, facts: pa.Table, plan: Plan, suspects: pa.Table | None = None
) -> dict[date, str]:
    """What each poll's slice follows from: a sha256 over cells, catalogue and the facts it saw.

    A version enters at the first poll that sees it and leaves at the first that no longer does, so
    each poll's digest continues the one before.
    """
    state = hashlib.sha256(f"{plan.grid_version}\n{plan.catalogue.fast.version}\n".encode())
    state.update(cells.column("cell_id").to_numpy().astype("<i8").tobytes())
    state.update(str(int(plan.edges[0])).encode())
    events: list[tuple[int, str, bytes]] = []
    for rows, columns in ((facts, FACT_COLUMNS), (suspects, SUSPECT_COLUMNS)):
        if rows is not None:
            known_at, superseded_at = _numbers(rows, "known_at"), _numbers(rows, "superseded_at")
            first, until = polls_that_see(known_at, superseded_at, plan.edges)
            # Told as if it never ended, so that a later end changes no earlier poll's basis.
            told = [name for name in columns if name != "superseded_at"]
            seen = np.flatnonzero(first < until)
            values = zip(*(rows.column(name).take(seen).to_pylist() for name in told), strict=True)
            for place, row in zip(seen, values, strict=True):
                text = repr((*row, NEVER)).encode()
                events.append((int(first[place]), "enters", text))
                events.append((int(until[place]), "leaves", text))
    events.sort()
    bases, done = {}, 0
    for index, poll in enumerate(plan.polls, start=plan.first_poll):
        while done < len(events) and events[done][0] <= index:
            state.update(events[done][1].encode() + events[done][2])
            done += 1
        bases[poll] = state.copy().hexdigest()
    return bases


def _sorted(rows: pa.Table, columns: tuple[str, ...]) -> pa.Table:
    return rows.select(columns).sort_by([(name, "ascending") for name in columns])


def _numbers(rows: pa.Table, name: str) -> Ints:
    return np.asarray(rows.column(name).to_numpy(), dtype=np.int64)


def _micros(instant: datetime) -> int:
    return int(instant.timestamp()) * 1_000_000


def _to_json(written: WrittenTeam) -> str:
    return json.dumps(
        {
            "team_id": written.team_id,
            "is_replacing": written.is_replacing,
            "file": vars(written.file) if written.file else None,
            "slices": [[s.poll_on.isoformat(), s.basis, s.rows, s.sha256] for s in written.slices],
        }
    )


def _from_json(text: str) -> WrittenTeam:
    values = json.loads(text)
    return WrittenTeam(
        team_id=values["team_id"],
        is_replacing=values["is_replacing"],
        file=WrittenFile(**values["file"]) if values["file"] else None,
        slices=tuple(
            Slice(date.fromisoformat(poll), basis, rows, sha256)
            for poll, basis, rows, sha256 in values["slices"]
        ),
    )
