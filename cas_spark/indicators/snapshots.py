"""Snapshots: every indicator of every kept cell at every poll, computed team by team in parallel.

A snapshot is a pure function of the facts that its poll saw, the cells and the catalogue. A task
takes one team with the facts in a halo around it, so that no border cuts a window, and writes its
rows itself (`lake.arrow_access`). Each slice (a team at a poll) keeps the digest of what it was
computed from; only slices whose basis changed, or that are missing, are computed again.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StringType, StructField, StructType

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.kernels import Ints
from cas_spark.indicators.nearby import facts_near_teams, suspects_near_teams
from cas_spark.indicators.suspect_kernels import SUSPECT_COLUMNS
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.knowledge.calendar import instant_of, polls_between
from cas_spark.knowledge.visibility import NEVER, polls_that_see
from cas_spark.lake.arrow_access import WrittenFile, checked, write_file
from cas_spark.lake.digest import bytes_of
from cas_spark.lake.table import Table
from cas_spark.platform.spread import largest_first, task_per_group_of_two


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
        slices: what was computed; none where every slice was there already.
        file: that the task wrote with these slices; None where there are none, or Spark writes.
    """

    team_id: str
    is_replacing: bool
    slices: tuple[Slice, ...] = ()
    file: WrittenFile | None = None


REPORT = "report"
"""Beside the columns of `snapshots`: what a task did for its team, in a row of its own."""


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

    def work(team: str, cells: pa.Table, facts: pa.Table, links: pa.Table | None) -> pa.Table:
        return pa.table({REPORT: [_to_json(write_team(team, cells, facts, plan, links))]})

    return reported_teams(_task_per_team(work, f"{REPORT} string", cells, incidents, suspects))


def computed_snapshots(
    cells: DataFrame, incidents: DataFrame, plan: Plan, suspects: DataFrame | None, table: Table
) -> DataFrame:
    """Return rows of the table for Spark to write, among them those that `reported_teams` reads.

    A partition holds one team.
    """
    report = StructField(REPORT, StringType())
    schema = StructType([*(StructField(f.name, f.dataType) for f in table.schema), report])
    arrow = to_arrow_schema(schema)

    def work(team: str, cells: pa.Table, facts: pa.Table, links: pa.Table | None) -> pa.Table:
        wanted = _wanted(team, cells, facts, plan, links)
        rows, digests = [arrow.empty_table()], []
        for block, of_block in checked(wanted.blocks, plan.catalogue.fast.names):
            rows.append(block.append_column("team_id", pa.repeat(team, len(block))))
            digests += of_block
        report = _to_json(wanted.computed(digests))
        rows.append(pa.table({"team_id": [team], REPORT: [report]}))
        return pa.concat_tables(rows, promote_options="default")

    return _task_per_team(work, schema, cells, incidents, suspects)


def reported_teams(rows: DataFrame) -> list[WrittenTeam]:
    """Return what the tasks report of their teams, in order of the teams."""
    reports = [_from_json(row[REPORT]) for row in rows.where(F.col(REPORT).isNotNull()).collect()]
    return sorted(reports, key=lambda team: team.team_id)


def _task_per_team(
    work: Callable[[str, pa.Table, pa.Table, pa.Table | None], pa.Table],
    schema: StructType | str,
    cells: DataFrame,
    incidents: DataFrame,
    suspects: DataFrame | None,
) -> DataFrame:
    """What `work` makes of each team's cells, facts and, where the group is on, suspects' links."""
    has_suspects = suspects is not None

    def of_team(team: str, cells: pa.Table, facts: pa.Table) -> pa.Table:
        links = None
        if has_suspects:
            is_link = facts.column("suspect_key").is_valid()
            links, facts = facts.filter(is_link), facts.filter(pc.invert(is_link))
        return work(team, cells, facts, links)

    kept = cells.select("team_id", "cell_id", "column", "row")
    facts = facts_near_teams(kept, incidents)
    if suspects is not None:
        links = suspects_near_teams(kept, suspects)
        facts = facts.unionByName(links, allowMissingColumns=True)
    facts = facts.withColumnRenamed("near_team_id", "team_id")
    teams = largest_first(kept, "team_id")
    return task_per_group_of_two(of_team, schema, "team_id", teams, kept, facts)


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
    wanted = _wanted(team_id, cells, facts, plan, suspects)
    if not wanted.bases:
        return wanted.computed([])
    columns = plan.catalogue.fast.names
    file, digests = write_file(plan.root, plan.table, team_id, wanted.blocks, columns)
    return replace(wanted.computed(digests), file=file)


@dataclass(frozen=True)
class _Wanted:
    """What the lake lacks of one team.

    Attributes:
        team_id: the team.
        is_replacing: whether the team's older files are superseded as a whole.
        cells: how many it has.
        bases: poll -> basis of the slices that are missing or outdated, oldest first.
        blocks: their rows, some polls at a time, computed as they are asked for.
    """

    team_id: str
    is_replacing: bool
    cells: int
    bases: Mapping[date, str]
    blocks: Iterator[pa.Table]

    def computed(self, digests: Sequence[str]) -> WrittenTeam:
        """Return what the task reports, once it knows the digest of each slice."""
        slices = zip(self.bases.items(), digests, strict=True)
        return WrittenTeam(
            self.team_id,
            self.is_replacing,
            tuple(Slice(poll, basis, self.cells, sha256) for (poll, basis), sha256 in slices),
        )


def _wanted(
    team_id: str, cells: pa.Table, facts: pa.Table, plan: Plan, suspects: pa.Table | None
) -> _Wanted:
    cells = cells.sort_by("cell_id")
    facts = _sorted(facts, FACT_COLUMNS)
    if suspects is not None:
        suspects = _sorted(suspects, SUSPECT_COLUMNS)
    bases = bases_of(cells, facts, plan, suspects)
    existing = plan.existing.get(team_id, {})
    is_replacing = any(existing[poll] != bases[poll] for poll in bases if poll in existing)
    wanted = {poll: bases[poll] for poll in plan.polls if is_replacing or poll not in existing}
    if not wanted or cells.num_rows == 0:
        return _Wanted(team_id, is_replacing, cells.num_rows, {}, iter(()))
    # Values of a poll do not depend on which polls are computed beside it; a gap costs only time.
    polls = plan.polls[plan.polls.index(next(iter(wanted))) :]
    team = team_of(cells, facts, plan.priorities, plan.edges, plan.catalogue, plan.crs, suspects)
    blocks = team.blocks(polls, len(plan.edges) - len(polls), plan.task_memory_bytes)
    asked = _only(blocks, set(wanted), cells.num_rows)
    return _Wanted(team_id, is_replacing, cells.num_rows, wanted, asked)


def _only(
    blocks: Iterable[tuple[Sequence[date], pa.Table]], wanted: set[date], cells: int
) -> Iterator[pa.Table]:
    """Of blocks of polls the rows of those that are wanted; the newest poll is a block of its own.

    A forecast reads the newest and no other.
    """
    newest = max(wanted)
    for days, rows in blocks:
        older = len(days) - (days[-1] == newest)
        parts = [rows.slice(i * cells, cells) for i in range(older) if days[i] in wanted]
        if parts:
            yield rows.slice(0, older * cells) if len(parts) == older else pa.concat_tables(parts)
        if older < len(days):
            yield rows.slice(older * cells)


def bases_of(
    cells: pa.Table, facts: pa.Table, plan: Plan, suspects: pa.Table | None = None
) -> dict[date, str]:
    """What each poll's slice follows from: a sha256 over cells, catalogue and the facts it saw.

    A version enters at the first poll that sees it and leaves at the first that no longer does, so
    each poll's digest continues the one before.
    """
    state = hashlib.sha256(f"{plan.grid_version}\n{plan.catalogue.fast.version}\n".encode())
    of_any = set(plan.priorities) - {i.of for i in plan.catalogue.fast.indicators}
    if of_any:  # which priorities count in indicators of any crime; the catalogue names the others
        state.update(repr(sorted(of_any)).encode())
    state.update(cells.column("cell_id").to_numpy().astype("<i8").tobytes())
    state.update(str(int(plan.edges[0])).encode())
    kinds = [_events(facts, FACT_COLUMNS, plan.edges)]
    if suspects is not None:
        kinds.append(_events(suspects, SUSPECT_COLUMNS, plan.edges))
    order = [("place", "ascending"), ("event", "ascending")]
    events = pa.concat_tables(kinds).sort_by(order).combine_chunks()
    places, texts = _numbers(events, "place"), events.column("event").combine_chunks()
    bases, done = {}, 0
    for index, poll in enumerate(plan.polls, start=plan.first_poll):
        until = int(np.searchsorted(places, index, side="right"))
        state.update(bytes_of(texts.slice(done, until - done)))
        bases[poll] = state.copy().hexdigest()
        done = until
    return bases


def _events(rows: pa.Table, columns: Sequence[str], edges: Ints) -> pa.Table:
    """When versions enter what polls see and when they leave it.

    Each is written as if it never ended, so that a later end changes no earlier poll's basis.

    Args:
        rows: versions of facts.
        columns: theirs.
        edges: instants of the polls.

    Returns:
        `place` among the edges, and `event`: "enters" or "leaves" and the values, as Python's
        `repr` of a tuple of them.
    """
    first, until = polls_that_see(
        _numbers(rows, "known_at"), _numbers(rows, "superseded_at"), edges
    )
    seen = np.flatnonzero(first < until)
    texts = [_reprs(rows.column(name).take(seen)) for name in columns if name != "superseded_at"]
    values = pc.binary_join_element_wise(*texts, _text(str(NEVER)), _text(", "))
    first, until = first[seen], until[seen]
    # What leaves after the last edge changes no poll.
    parts = [("enters(", first, np.ones(len(seen), bool)), ("leaves(", until, until < len(edges))]
    return pa.concat_tables(
        pa.table(
            {
                "place": places[is_told],
                "event": pc.binary_join_element_wise(
                    _text(step), values.filter(pa.array(is_told)), _text(")"), _text("")
                ),
            }
        )
        for step, places, is_told in parts
    )


def _text(value: str) -> pa.LargeStringScalar:
    return pa.scalar(value, pa.large_string())


def _reprs(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers or texts as Python's `repr` has them."""
    if not pa.types.is_string(values.type):
        return values.cast(pa.large_string())
    encoded = values.combine_chunks().dictionary_encode()
    texts = [repr(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.large_string()).take(encoded.indices)


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
        slices=tuple(
            Slice(date.fromisoformat(poll), basis, rows, sha256)
            for poll, basis, rows, sha256 in values["slices"]
        ),
        file=WrittenFile(**values["file"]) if values["file"] else None,
    )
