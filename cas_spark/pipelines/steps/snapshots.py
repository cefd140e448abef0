"""Snapshots: the missing and outdated slices are computed by tasks and committed at once."""

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.indicators.snapshots import (
    REPORT,
    Plan,
    WrittenTeam,
    computed_snapshots,
    edges_until,
    reported_teams,
    write_snapshots,
)
from cas_spark.lake import tables
from cas_spark.lake.arrow_access import commit_files
from cas_spark.lake.digest import digest_of_parts, schema_text
from cas_spark.lake.spark_access import SliceOfFile, commit_rows
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.revision_costs import note_polls_recomputed
from cas_spark.platform import storage
from cas_spark.platform.progress import following_tasks

log = logging.getLogger(__name__)


def snapshots(job: Job) -> None:
    """Bring `snapshots` up to date for every poll of the run.

    Raises:
        CasError: the tasks wrote other rows than every kept cell at every poll.
    """
    update_snapshots(job, job.schedule.snapshot_polls)


def update_snapshots(job: Job, polls: Sequence[date]) -> None:
    """Bring `snapshots` up to date for some polls.

    Args:
        job: whose catalogue and grid are used.
        polls: consecutive.

    Raises:
        CasError: the tasks wrote other rows than every kept cell at every poll, or the extracts
            have a gap between the polls.
    """
    run = job.run
    holds_files = run.prepare_files(job.snapshots)
    held = run.read(tables.SNAPSHOT_SLICES).collect() if holds_files else []
    missing = _missing_files(job, held)
    if missing and job.settings.resources.storage_access == "spark":  # Spark reads all it changes
        run.overwrite(job.snapshots, run.lake.spark.createDataFrame([], job.snapshots.schema))
        held = []
    there = [row for row in held if row["file"] not in missing]
    existing: dict[str, dict[date, str]] = {}
    for row in there:
        existing.setdefault(row["team_id"], {})[row["poll_on"]] = row["basis"]
    plan = Plan(
        catalogue=job.catalogue,
        priorities=tuple(job.settings.priorities),
        grid_version=job.settings.grid.version,
        crs=job.settings.grid.crs,
        edges=edges_until(polls[-1], job.history_from(polls), job.settings.zone),
        polls=tuple(polls),
        existing=existing,
        root=run.lake.root,
        table=job.snapshots.name,
        task_memory_bytes=job.settings.resources.task_memory_bytes,
    )
    cells = job.cells().where("is_kept")
    with run.stage("snapshots") as noted:
        kept = {row["team_id"]: row["count"] for row in cells.groupBy("team_id").count().collect()}
        with (
            job.show_progress("teams", len(kept)) as advance,
            following_tasks(run.lake.spark, len(kept), advance, len(kept)),
        ):
            written, rows_to_write = _computed(job, cells, plan)
        stays = _stays(there, written, polls)
        _check([*stays, *_slices(written)], kept, polls)
        _compare_with_recorded([row for row in held if row["file"] in missing], written)
        files = _commit(job, held, stays, written, rows_to_write)
        slices = [
            *stays,
            *(
                part | _place_of(files[part["team_id"], part["poll_on"]])
                for part in _slices(written)
            ),
        ]
        rows = run.lake.spark.createDataFrame(slices, tables.SNAPSHOT_SLICES.schema)
        run.replace(tables.SNAPSHOT_SLICES, rows)
        parts = [(f"{row['team_id']} {row['poll_on']}", row["sha256"]) for row in slices]
        run.note_change(job.snapshots, digest_of_parts(schema_text(job.snapshots), parts))
        noted["teams"] = len(kept)
        noted["polls"] = len(polls)
        noted["rows written"] = sum(part["rows"] for part in _slices(written))
        noted["indicators"] = len(job.catalogue.fast.indicators)
        recomputed = {team.team_id: len(team.slices) for team in written if team.is_replacing}
        noted["teams recomputed"] = len(recomputed)
        run.facts["teams_computed_anew"] = recomputed
        note_polls_recomputed(job, recomputed)


def _missing_files(job: Job, held: Sequence[Row]) -> set[str]:
    """The files of slices that are no longer there, such as damaged ones that a person deleted."""
    if not held:
        return set()
    lake = job.run.lake
    found = storage.files(lake.spark, lake.path(job.snapshots.name), recursive=True)
    names = {path.rsplit("/", 1)[-1] for path in found}
    missing = {row["file"] for row in held if row["file"].rsplit("/", 1)[-1] not in names}
    if missing:
        log.warning(
            "%d files of snapshots are missing, such as %s: their slices are computed again",
            len(missing),
            min(missing),
        )
    return missing


def _compare_with_recorded(lost: Sequence[Row], written: Sequence[WrittenTeam]) -> None:
    """Say where slices of missing files, computed again from the same facts, have other values."""
    recorded = {(row["team_id"], row["poll_on"]): (row["basis"], row["sha256"]) for row in lost}
    for part in _slices(written):
        basis, sha256 = recorded.get((part["team_id"], part["poll_on"]), (None, None))
        if part["basis"] == basis and part["sha256"] != sha256:
            log.warning(
                "snapshots of team %s at %s: computed again with other values than were recorded",
                part["team_id"],
                part["poll_on"],
            )


def _place_of(part: SliceOfFile) -> dict[str, str]:
    return {"file": part.file, "file_sha256": part.sha256}


def _computed(job: Job, cells: DataFrame, plan: Plan) -> tuple[list[WrittenTeam], DataFrame | None]:
    """What tasks did, and where they cannot write themselves the rows that Spark is to write."""
    if job.settings.resources.storage_access == "arrow":
        return write_snapshots(cells, job.incidents, plan, job.suspects), None
    rows = computed_snapshots(cells, job.incidents, plan, job.suspects, job.snapshots)
    rows.persist(StorageLevel.DISK_ONLY)
    return reported_teams(rows), rows


def _stays(
    held: Sequence[Row], written: Sequence[WrittenTeam], polls: Sequence[date]
) -> list[dict[str, Any]]:
    """The slices of files that stay.

    A file stays while any of its slices is needed, unless its team was recomputed or is gone.
    """
    recomputed = {team.team_id for team in written if team.is_replacing}
    teams = {team.team_id for team in written}
    needed = {
        row["file"]
        for row in held
        if row["poll_on"] in polls and row["team_id"] in teams - recomputed
    }
    return [row.asDict() for row in held if row["file"] in needed]


def _slices(written: Sequence[WrittenTeam]) -> list[dict[str, Any]]:
    """The slices that were computed, without their files."""
    return [{"team_id": team.team_id, **vars(part)} for team in written for part in team.slices]


def _commit(
    job: Job,
    held: Sequence[Row],
    stays: Sequence[dict[str, Any]],
    written: Sequence[WrittenTeam],
    rows: DataFrame | None,
) -> dict[tuple[str, date], SliceOfFile]:
    """Make what was computed part of the table, and take out what is superseded.

    Returns:
        team and poll -> where that slice lies, at least for those that were computed.

    Raises:
        CasError: Spark wrote other rows than tasks had computed.
    """
    run, live = job.run, {row["file"] for row in stays}
    gone = [row for row in held if row["file"] not in live]
    if rows is None:
        files = {team.team_id: team.file for team in written if team.file is not None}
        removed = {row["file"]: row["team_id"] for row in gone}
        commit_files(
            run.lake.root,
            job.snapshots,
            list(files.values()),
            removed,
            (f"run {run.number}", run.number),
        )
        return {
            (team.team_id, part.poll_on): SliceOfFile(file.name, file.sha256, part.rows)
            for team in written
            if (file := team.file) is not None
            for part in team.slices
        }
    polls: dict[str, list[date]] = {}
    for row in gone:
        polls.setdefault(row["team_id"], []).append(row["poll_on"])
    wanted = rows.where(F.col(REPORT).isNull()).drop(REPORT)
    recorded = {row["file"]: row["file_sha256"] for row in held if row["file_sha256"]}
    there = commit_rows(run.lake.root, job.snapshots, wanted, polls, recorded)
    rows.unpersist()
    slices = [*stays, *_slices(written)]
    expected = {(part["team_id"], part["poll_on"]): part["rows"] for part in slices}
    if {key: part.rows for key, part in there.items()} != expected:
        raise CasError(
            what="snapshots as Spark wrote them",
            found=f"{sum(part.rows for part in there.values())} rows",
            expected=f"the {sum(expected.values())} that tasks computed",
            do="Run the same command again; where it stays, report it with this message",
        )
    return there


def _check(slices: Sequence[dict[str, Any]], kept: dict[str, int], polls: Sequence[date]) -> None:
    """Check that every kept cell of every team has a row at every poll, and none has two."""
    found: dict[tuple[object, object], object] = {}
    problems = []
    for row in slices:
        key = (row["team_id"], row["poll_on"])
        if key in found:
            problems.append(f"team {key[0]} twice at {key[1]}")
        found[key] = row["rows"]
    for team, cells in kept.items():
        wrong = [poll for poll in polls if found.get((team, poll)) != cells]
        if wrong:
            rows = found.get((team, wrong[0]), "no")
            problems.append(f"team {team}: {rows} rows at {wrong[0]} for {cells} kept cells")
    if problems:
        raise CasError(
            what="snapshots",
            found="; ".join(problems[:5]),
            expected="one row per kept cell and poll",
            do="Run the same command again; where it stays, report it with this message",
        )
