"""Snapshots: every indicator of every kept cell at every poll, computed team by team in parallel.

A snapshot is a pure function of the facts that its poll saw, the cells and the catalogue. A task
takes one team with the facts in a halo around it, so that no border cuts a window, and writes its
rows itself (`lake.arrow_door`). Each slice (a team at a poll) keeps the digest of what it was
computed from; only slices whose basis changed, or that are missing, are computed again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.cells import column_of, row_of
from cas_spark.indicators import kernels
from cas_spark.indicators.catalogue import ANY, Catalogue, Indicator
from cas_spark.indicators.kernels import Block, Facts, Ints
from cas_spark.indicators.season import season
from cas_spark.indicators.weights import HALO_CELLS
from cas_spark.knowledge.calendar import Schedule
from cas_spark.knowledge.visibility import NEVER, counts_at, polls_that_see
from cas_spark.lake.arrow_door import WrittenFile, digest_of_slice, write_file

TILE_CELLS = 16
"""Facts find the teams near them by tiles of this many cells; at least as wide as the halo."""

if TILE_CELLS < HALO_CELLS:
    message = f"tiles of {TILE_CELLS} cells are narrower than the halo of {HALO_CELLS}"
    raise ValueError(message)

FACT_COLUMNS = ("priority", "column", "row", "counts_at", "known_at", "superseded_at")


@dataclass(frozen=True)
class Plan:
    """What the tasks need to know; sent to each of them.

    Attributes:
        catalogue: the indicators to compute.
        priorities: in the settings' order.
        grid_version: of the cells.
        edges: instants of the polls, microseconds UTC, from the calendar's first to the run's poll.
        polls: dates of the polls to compute, consecutive; the last is that of the last edge.
        existing: team -> poll -> basis of the slices that the lake holds.
        root: the lake's root.
        table: name of the table.
    """

    catalogue: Catalogue
    priorities: tuple[str, ...]
    grid_version: str
    edges: Ints
    polls: tuple[date, ...]
    existing: Mapping[str, Mapping[date, str]]
    root: str
    table: str

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


def edges_of(schedule: Schedule) -> Ints:
    """The instants of the schedule's polls, microseconds UTC, shape (polls,)."""
    return np.array([_micros(edge) for edge in schedule.edges], dtype=np.int64)


def write_snapshots(cells: DataFrame, incidents: DataFrame, plan: Plan) -> list[WrittenTeam]:
    """Compute and write the missing and outdated slices of every team; nothing is committed yet.

    Args:
        cells: kept cells: cell_id, column, row, team_id.
        incidents: versions of incidents: cell_id, priority and their instants.
        plan: what to compute.
    """

    def task(key: tuple[pa.Scalar, ...], cells: pa.Table, facts: pa.Table) -> pa.Table:
        written = write_team(key[0].as_py(), cells, facts, plan)
        return pa.table({"team_id": [written.team_id], "written": [_to_json(written)]})

    kept = cells.select("team_id", "cell_id", "column", "row")
    facts = _facts_near_teams(kept, incidents)
    rows = (
        kept.groupBy("team_id")
        .cogroup(facts.groupBy("near_team_id"))
        .applyInArrow(task, "team_id string, written string")
        .collect()
    )
    return [_from_json(row["written"]) for row in sorted(rows, key=lambda row: row["team_id"])]


def _facts_near_teams(cells: DataFrame, incidents: DataFrame) -> DataFrame:
    """Each version of an incident once per team that it may matter to, as numbers."""
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
    facts = incidents.select(
        "priority",
        column_of(F.col("cell_id")).alias("column"),
        row_of(F.col("cell_id")).alias("row"),
        F.unix_micros(counts_at()).alias("counts_at"),
        F.unix_micros("known_at").alias("known_at"),
        F.coalesce(F.unix_micros("superseded_at"), F.lit(NEVER)).alias("superseded_at"),
    ).select("*", tile[0].alias("tile_column"), tile[1].alias("tile_row"))
    return facts.join(F.broadcast(tiles), ["tile_column", "tile_row"], "inner").select(
        "near_team_id", *FACT_COLUMNS
    )


def write_team(team_id: str, cells: pa.Table, facts: pa.Table, plan: Plan) -> WrittenTeam:
    """Compute and write what the lake lacks of one team; the work of one task.

    Args:
        team_id: the team.
        cells: cell_id, column, row.
        facts: FACT_COLUMNS of the versions in and around the team.
        plan: what to compute.
    """
    cells = cells.sort_by("cell_id")
    facts = facts.select(FACT_COLUMNS).sort_by([(name, "ascending") for name in FACT_COLUMNS])
    bases = bases_of(cells, facts, plan)
    existing = plan.existing.get(team_id, {})
    is_replacing = any(existing[poll] != bases[poll] for poll in bases if poll in existing)
    wanted = [poll for poll in plan.polls if is_replacing or poll not in existing]
    if not wanted or cells.num_rows == 0:
        return WrittenTeam(team_id, is_replacing, None, ())
    # Values of a poll do not depend on which polls are computed beside it; a gap costs only time.
    first = plan.polls.index(wanted[0])
    values = dict(team_snapshots(cells, facts, plan, first))
    rows = [values[poll] for poll in wanted]
    file = write_file(plan.root, plan.table, team_id, rows, plan.catalogue.names)
    slices = tuple(
        Slice(poll, bases[poll], part.num_rows, digest_of_slice(part))
        for poll, part in zip(wanted, rows, strict=True)
    )
    return WrittenTeam(team_id, is_replacing, file, slices)


def bases_of(cells: pa.Table, facts: pa.Table, plan: Plan) -> dict[date, str]:
    """What each poll's slice follows from: a sha256 over cells, catalogue and the facts it saw.

    A version enters at the first poll that sees it and leaves at the first that no longer does, so
    each poll's digest continues the one before.
    """
    state = hashlib.sha256(f"{plan.grid_version}\n{plan.catalogue.version}\n".encode())
    state.update(cells.column("cell_id").to_numpy().astype("<i8").tobytes())
    state.update(str(int(plan.edges[0])).encode())
    known_at, superseded_at = _numbers(facts, "known_at"), _numbers(facts, "superseded_at")
    first, until = polls_that_see(known_at, superseded_at, plan.edges)
    texts = [repr(row).encode() for row in zip(*facts.to_pydict().values(), strict=True)]
    events: list[tuple[int, str, bytes]] = sorted(
        [(int(poll), "enters", text) for poll, text in zip(first, texts, strict=True)]
        + [(int(poll), "leaves", text) for poll, text in zip(until, texts, strict=True)]
    )
    bases, done = {}, 0
    for index, poll in enumerate(plan.polls, start=plan.first_poll):
        while done < len(events) and events[done][0] <= index:
            state.update(events[done][1].encode() + events[done][2])
            done += 1
        bases[poll] = state.copy().hexdigest()
    return bases


def team_snapshots(
    cells: pa.Table, facts: pa.Table, plan: Plan, first: int = 0
) -> Iterator[tuple[date, pa.Table]]:
    """The rows of one team per poll, from `plan.polls[first]` on, sorted by cell.

    Args:
        cells: cell_id, column, row; sorted by cell_id.
        facts: FACT_COLUMNS of the versions in and around the team.
        plan: what to compute.
        first: place in `plan.polls` of the first poll to compute.

    Yields:
        (poll, rows with poll_on, cell_id and one float column per indicator).
    """
    columns, rows = _numbers(cells, "column"), _numbers(cells, "row")
    left, bottom, size = kernels.halo_of(columns, rows)
    block = Block(size.columns, size.rows, plan.first_poll + first, len(plan.edges) - 1)
    by_kind = _facts_by_priority(facts, plan, left, bottom, block)
    polls = plan.polls[first:]
    at_cells = (rows - bottom, columns - left)
    values = np.empty((block.polls, len(plan.catalogue.indicators), cells.num_rows), np.float32)
    for place, indicator in enumerate(plan.catalogue.indicators):
        values[:, place, :] = _values(indicator, by_kind, block, polls, at_cells)
    schema = pa.schema(
        [
            pa.field("poll_on", pa.date32(), nullable=False),
            pa.field("cell_id", pa.int64(), nullable=False),
            *(pa.field(name, pa.float32(), nullable=False) for name in plan.catalogue.names),
        ]
    )
    cell_ids = cells.column("cell_id").combine_chunks()
    for index, poll in enumerate(polls):
        arrays = [pa.array([poll] * cells.num_rows, pa.date32()), cell_ids]
        arrays += [pa.array(values[index, place]) for place in range(values.shape[1])]
        yield poll, pa.table(arrays, schema=schema)


def _facts_by_priority(
    facts: pa.Table, plan: Plan, left: int, bottom: int, block: Block
) -> dict[str, Facts]:
    """Facts inside the rectangle per priority, and of all together."""
    numbers = {name: _numbers(facts, name) for name in FACT_COLUMNS if name != "priority"}
    numbers["column"] = numbers["column"] - left
    numbers["row"] = numbers["row"] - bottom
    inside = (
        (numbers["column"] >= 0)
        & (numbers["column"] < block.columns)
        & (numbers["row"] >= 0)
        & (numbers["row"] < block.rows)
    )
    priority = np.array(facts.column("priority").to_pylist(), dtype=object)
    chosen = {of: inside & (priority == of) for of in plan.priorities}
    chosen[ANY] = inside & np.isin(priority, plan.priorities)
    return {
        of: kernels.as_facts(
            **{name: values[choice] for name, values in numbers.items()}, edges=plan.edges
        )
        for of, choice in chosen.items()
    }


def _values(
    indicator: Indicator,
    by_kind: Mapping[str, Facts],
    block: Block,
    polls: Sequence[date],
    at_cells: tuple[Ints, Ints],
) -> kernels.Floats:
    """One indicator's values, shape (polls, cells)."""
    if indicator.kind == "season":
        wave = np.array([season(poll)[indicator.name] for poll in polls], dtype=np.float32)
        return np.broadcast_to(wave[:, None], (len(polls), len(at_cells[0])))
    facts = by_kind[indicator.of or ANY]
    if indicator.kind == "weeks_since":
        dense = kernels.weeks_since(facts, block).astype(np.float32)
    else:
        counts = kernels.window_counts(facts, block, indicator.window_weeks or 0)
        if indicator.kind == "density":
            dense = kernels.density(counts, indicator.bandwidth_m or 0)
        else:
            dense = counts.astype(np.float32)
    return dense[at_cells].T


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
