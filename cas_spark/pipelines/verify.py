"""Verify: every published digest is recomputed from the tables and compared with the manifest.

It reads the versions that the last complete run published, takes no lease and writes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Row
from pyspark.sql.types import StructType

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.arrow_access import digests_of_slices
from cas_spark.lake.digest import digest_of_parts, schema_text
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import read_published
from cas_spark.lake.run import Run
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.lake.table import Column, Table
from cas_spark.platform.failures import SNAPSHOTS, UnreadableFileError, damaged, explained_failure
from cas_spark.platform.spread import task_per_group
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings.resources import StorageAccess

EQUAL, DIFFERS, UNREADABLE, NOT_CHECKED = "equal", "differs", "unreadable", "not checked"
SHOWN = 16
"""Digits of a digest that are shown."""

FOUND = "team_id string, poll_on date, sha256 string, file string, reason string"
"""What a task finds: a digest per poll of its team, or what is wrong with a file."""

DECLARED = {
    table.name: table
    for table in (*tables.STATIC_TABLES, tables.snapshots([]), tables.cell_context([]))
}
WIDE = (SNAPSHOTS, tables.cell_context([]).name)
"""Tables whose columns follow from the settings."""


@dataclass(frozen=True)
class Verdict:
    """What became of a table's digest.

    Attributes:
        table: its name.
        version: that was published.
        recorded: the digest in the manifest.
        recomputed: from the rows; None where they could not be read.
        result: EQUAL, DIFFERS, UNREADABLE or NOT_CHECKED.
        problems: what is wrong, each with the file where it is known.
    """

    table: str
    version: int
    recorded: str
    recomputed: str | None
    result: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verified:
    """The verdict on every published table.

    Attributes:
        root: of the lake.
        number: of the run whose manifest was compared with.
        verdicts: by table.
        is_superseded: whether another run was published meanwhile.
    """

    root: str
    number: int
    verdicts: tuple[Verdict, ...]
    is_superseded: bool

    @property
    def is_equal(self) -> bool:
        """Whether every table holds what the manifest says."""
        return all(verdict.result == EQUAL for verdict in self.verdicts)


def verify(lake: Lake, access: StorageAccess) -> Verified:
    """Recompute every digest of the last complete run from the tables at their published versions.

    Args:
        lake: that is read.
        access: how tasks reach the files of `snapshots`.

    Raises:
        CasError: no run is complete.
    """
    last = lake.last_manifest
    run = read_published(lake, (last.poll_on if last else None) or date.min)
    verdicts = []
    for name in sorted(run.versions):
        with run.stage(f"verify {name}") as noted:
            verdicts.append(_verdict_on(run, name, access))
            noted["result"] = verdicts[-1].result
    newest = Lake(lake.spark, lake.root).last_manifest
    return Verified(
        root=lake.root,
        number=run.number,
        verdicts=tuple(verdicts),
        is_superseded=newest is not None and newest.number != run.number,
    )


def verify_report(verified: Verified) -> Report:
    """The verdicts as a table, with every problem below it."""
    rows = [
        [
            verdict.table,
            str(verdict.version),
            verdict.recorded[:SHOWN],
            (verdict.recomputed or "")[:SHOWN],
            verdict.result,
        ]
        for verdict in verified.verdicts
    ]
    columns = ["table", "version", "recorded digest", "recomputed", "result"]
    lines = [f"{v.table}: {problem}" for v in verified.verdicts for problem in v.problems]
    if verified.is_equal:
        lines.append("Every table holds what its run recorded.")
    if verified.is_superseded:
        lines.append("Another run was published meanwhile: verify again.")
    title = f"{verified.root}, run {verified.number}"
    return Report([ReportTable(title, columns, rows)], lines)


def _verdict_on(run: Run, name: str, access: StorageAccess) -> Verdict:
    verdict = Verdict(name, run.versions[name], run.digests[name], None, NOT_CHECKED)
    try:
        held = run.lake.read_version(name, run.versions[name]).schema
        table = _as_held(name, held)
        missing = _missing(table, held) if table is not None else []
        if table is None or missing:
            why = f"without the columns {', '.join(missing)}" if missing else "unknown to this code"
            return replace(verdict, problems=(f"{why}: verify with the code that wrote it",))
        if name == SNAPSHOTS:
            recomputed, problems = _digest_of_snapshots(run, table, access)
        else:
            recomputed, problems = run.digest_of(table), []
    except (CasError, Py4JJavaError, PySparkException) as error:
        return replace(verdict, result=UNREADABLE, problems=(_reason_of(error, run.lake.root),))
    if recomputed is None:
        return replace(verdict, result=UNREADABLE, problems=tuple(problems))
    is_equal = recomputed == verdict.recorded and not problems
    return replace(
        verdict,
        recomputed=recomputed,
        result=EQUAL if is_equal else DIFFERS,
        problems=tuple(problems),
    )


def _as_held(name: str, held: StructType) -> Table | None:
    """A table's declaration, with the columns that the lake holds where settings decide on them."""
    table = DECLARED.get(name)
    if table is None or name not in WIDE:
        return table
    columns = tuple(Column(field.name, field.dataType, "", field.nullable) for field in held)
    return replace(table, columns=columns)


def _missing(table: Table, held: StructType) -> list[str]:
    """The columns under the digest that an older version of this code did not write."""
    types = {field.name: field.dataType.simpleString() for field in held}
    return [
        f"{column.name} {column.type.simpleString()}"
        for column in table.columns
        if column.is_in_digest and types.get(column.name) != column.type.simpleString()
    ]


def _reason_of(error: Exception, root: str) -> str:
    explained = error if isinstance(error, CasError) else explained_failure(error, root)
    return str(error).strip().splitlines()[0] if explained is None else _one_line(explained)


def _one_line(error: CasError) -> str:
    return f"{error.what}: {error.found}. {error.do}"


def _digest_of_snapshots(
    run: Run, table: Table, access: StorageAccess
) -> tuple[str | None, list[str]]:
    """The digest of `snapshots` from its files, and what is wrong with them."""
    slices = run.read(tables.SNAPSHOT_SLICES).collect()
    found = _found_in_files(run, table, slices, access)
    root = run.lake.root
    problems = [
        _one_line(damaged(root, SNAPSHOTS, row["file"], row["reason"]))
        for row in found
        if row["reason"] is not None
    ]
    if problems:
        return None, problems
    recomputed = {(row["team_id"], row["poll_on"]): row["sha256"] for row in found}
    recorded = {(row["team_id"], row["poll_on"]): row for row in slices}
    wrong = sorted(
        f"{root}/{SNAPSHOTS}/{row['file']}"
        for key, row in recorded.items()
        if recomputed.get(key) != row["sha256"]
    )
    reason = "other rows than `snapshot_slices` records"
    problems += [_one_line(damaged(root, SNAPSHOTS, file, reason)) for file in sorted(set(wrong))]
    named = {_base_name(row["file"]) for row in slices}
    version = run.versions[SNAPSHOTS]
    of_delta = set(map(_base_name, run.lake.read_version(SNAPSHOTS, version).inputFiles()))
    if named != of_delta:
        problems.append(
            f"its log names {len(of_delta)} files, `snapshot_slices` {len(named)} of which "
            f"{len(named & of_delta)} are the same"
        )
    parts = [(f"{team} {poll}", sha256) for (team, poll), sha256 in recomputed.items()]
    return digest_of_parts(schema_text(table), parts), problems


def _base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _found_in_files(
    run: Run, table: Table, slices: Sequence[Row], access: StorageAccess
) -> list[Row]:
    """The digest of each slice as its team's files hold it, and what is wrong with files: FOUND."""
    of_team: dict[str, set[str]] = {}
    for row in slices:
        of_team.setdefault(row["team_id"], set()).add(row["file"])
    recorded = [row for row in slices if "file_sha256" in row and row["file_sha256"] is not None]
    files = SnapshotFiles(
        root=run.lake.root,
        table=table.name,
        of_team={team: tuple(sorted(names)) for team, names in of_team.items()},
        access=access,
        sha256={row["file"]: row["file_sha256"] for row in recorded},
    )
    columns = [column.name for column in table.columns if column.name not in table.keys]
    polls = [row["poll_on"] for row in slices]
    first, last = min(polls, default=date.max), max(polls, default=date.min)

    def work(team: str, rows: pa.Table) -> pa.Table:
        of_task, _ = files.received(rows)
        found = list(_found_of_team(team, of_task, columns, first, last))
        return pa.Table.from_pylist(found, schema=_ARROW_FOUND)

    teams = sorted(of_team)
    if not teams:
        return []
    frame = run.lake.spark.createDataFrame([(team,) for team in teams], "team_id string")
    return task_per_group(work, FOUND, "team_id", teams, files.sent_with(frame)).collect()


_ARROW_FOUND = pa.schema(
    [
        ("team_id", pa.string()),
        ("poll_on", pa.date32()),
        ("sha256", pa.string()),
        ("file", pa.string()),
        ("reason", pa.string()),
    ]
)


def _found_of_team(
    team: str, files: SnapshotFiles, columns: Sequence[str], first: date, last: date
) -> Iterator[dict[str, Any]]:
    """What a task finds in a team's files; no digests where one of them cannot be read."""
    bad = []
    for name in files.of_team[team]:
        try:
            files.check(name)
        except UnreadableFileError as error:
            bad.append(error)
    found: list[dict[str, Any]] = []
    try:
        for rows in files.blocks(team, columns, first, last) if not bad else ():
            polls = sorted(set(rows.column("poll_on").to_pylist()))
            pairs = zip(polls, digests_of_slices(rows), strict=True)
            found += [{"team_id": team, "poll_on": poll, "sha256": d} for poll, d in pairs]
    except UnreadableFileError as error:
        bad.append(error)
    if bad:
        found = [{"team_id": team, "file": error.path, "reason": error.reason} for error in bad]
    yield from found
