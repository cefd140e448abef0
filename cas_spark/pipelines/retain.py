"""Retain: what is past its term or ordered erased is removed for good, and that is proven.

First the keys go into a journal inside the lake. Then the rows go, and the run is published. Then
the tables that hold keys lose their past, and all remaining bytes are searched for the keys. Last
the journal goes. Wherever that breaks off, the same command completes it.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.retention import (
    IDS,
    ORDERED,
    TERM,
    Facts,
    due,
    ids_ordered_erased,
    keys_of,
    old_extracts,
)
from cas_spark.lake import tables
from cas_spark.lake.erasing import (
    RETAINING,
    Journal,
    end_with_a_commit_without_rows,
    forget_past,
)
from cas_spark.lake.lake import Lake
from cas_spark.lake.lease import Lease
from cas_spark.lake.needles import needles_of
from cas_spark.lake.opening import open_run
from cas_spark.lake.outputs import Outputs
from cas_spark.lake.removing import listed
from cas_spark.lake.run import Run
from cas_spark.lake.scanning import Scan, files_below, scan_files, scan_in_tasks
from cas_spark.lake.table import Table
from cas_spark.pipelines.job import Job
from cas_spark.platform import storage
from cas_spark.platform.progress import silently
from cas_spark.publishing.maps import maps_of, names_of_maps
from cas_spark.settings import Settings
from cas_spark.settings.extracts import Extracts
from cas_spark.sources.files import files_there, sha256_of
from cas_spark.tracking.expiry import forget_polls, old_polls, places_of
from cas_spark.training.outcomes import outcomes_of

log = logging.getLogger(__name__)

RETAIN = "retain"
MAPS, EXTRACTS, MLFLOW = "maps", "extracts", "mlflow"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

_TABLES = {table.name: table for table in tables.STATIC_TABLES if table.name in IDS}
_REPLACED = {table.name: table for _, table in tables.REPLACED if table.name in IDS}
_OF_FACTS = ("incidents", "suspects", "revisions")
_TERMS: Mapping[str, tuple[str, ...]] = {
    "incidents": ("incidents",),
    "suspects": ("incidents", "suspects"),
    "revisions": _OF_FACTS,
    "revision_costs": _OF_FACTS,
    "rejected_rows": (*_OF_FACTS, "rejected_rows"),
    "replaced_incidents": ("incidents",),
    "replaced_suspects": ("incidents", "suspects"),
    "replaced_revisions": _OF_FACTS,
    "replaced_rejected_rows": (*_OF_FACTS, "rejected_rows"),
    EXTRACTS: (EXTRACTS,),
    MAPS: ("exports",),
    MLFLOW: ("exports",),
}
"""Class of what is removed -> the terms by which it may be."""


@dataclass(frozen=True)
class File:
    """A delivered file that is still there, and why it is to go."""

    source: str
    path: str
    sha256: str
    why: str


@dataclass(frozen=True)
class Maps:
    """The maps of a poll that are to be removed.

    Attributes:
        poll: of the forecast.
        outputs: the files, by the list of them.
        names: of the files, where an earlier version kept no list.
    """

    poll: date
    outputs: Outputs
    names: list[str]


@dataclass(frozen=True)
class Outside:
    """What is to be removed beside rows of tables: files and polls."""

    files: list[File]
    maps: list[Maps]
    polls: list[date]

    def __bool__(self) -> bool:
        return bool(self.files or self.maps or self.polls)


@dataclass(frozen=True)
class Retained:
    """What a run of the command left.

    Attributes:
        retention: its number; None where there was nothing to remove.
        scan: of all remaining bytes; None where no key was removed.
        keys: number of keys that were looked for.
        not_scanned: a store that only its server can look at.
        not_deleted: delivered files that hold what is ordered erased, and that the settings do not
            allow to be deleted.
        complete_from: the day from which on all incidents are kept, where not all are.
    """

    retention: int | None
    scan: Scan | None
    keys: int
    not_scanned: str | None
    not_deleted: list[File]
    complete_from: date | None


def retain(lake: Lake, settings: Settings, as_of: date, lease: Lease) -> Retained:
    """Remove what is due, forget that it was there, and prove that it is gone.

    Args:
        lake: of the settings.
        settings: with the terms.
        as_of: day as of which terms are counted.
        lease: of the lake.

    Raises:
        CasError: a key is still found somewhere, or a file cannot be looked into.
    """
    journal = Journal(lake)
    run = _opened(lake, settings, lease)
    rows = _due_rows(run, settings, as_of)
    files, not_deleted = _due_files(run, settings, as_of, rows)
    outside = Outside(files, *_due_exports(run, settings, as_of))
    has_rows = any(not frame.isEmpty() for frame in rows.values())
    if has_rows:
        journal.add(keys_of(rows))
    # What a run that broke off left is put back, and what is put back must be what is published
    # before any table loses its past.
    is_put_back = journal.is_there() and run.versions != dict(run.versions_in)
    if has_rows or outside:
        _remove(run, settings, as_of, rows, outside)
    if has_rows or outside or is_put_back:
        run.publish()
    _remove_outside(run, settings, outside)
    if not journal.is_there():
        retention = _newest_retention(run) if outside else None
        complete_from = Job(run, settings, None, silently).kept_from("incidents")
        return Retained(retention, None, 0, None, not_deleted, complete_from)
    return _prove(Lake(lake.spark, lake.root), settings, journal, not_deleted, lease)


def _opened(lake: Lake, settings: Settings, lease: Lease) -> Run:
    return open_run(lake, RETAIN, None, settings.as_json(), settings.sha256(), lease)


def _facts(run: Run) -> Facts:
    return Facts(
        run.read(tables.INCIDENTS),
        run.read(tables.SUSPECTS),
        run.read(tables.REVISIONS),
        run.read(tables.REVISION_COSTS),
        run.read(tables.REJECTED_ROWS),
        run.read(tables.DATASETS),
        {name: run.read(table) for name, table in _REPLACED.items() if run.holds(table)},
    )


def _due_rows(run: Run, settings: Settings, as_of: date) -> dict[str, DataFrame]:
    with run.stage("what is due"):
        rows = due(_facts(run), settings.retention.cuts(as_of, settings.zone))
        return {name: frame.localCheckpoint() for name, frame in rows.items()}


def _due_files(
    run: Run, settings: Settings, as_of: date, rows: Mapping[str, DataFrame]
) -> tuple[list[File], list[File]]:
    """Delivered files to delete, and those that hold what is ordered erased and have to stay.

    What earlier retentions removed counts too: a file may have been put back.
    """
    cut = settings.retention.cuts(as_of, settings.zone).get(EXTRACTS)
    whys = {
        (row["source"], row["sha256"]): TERM
        for row in old_extracts(run.read(tables.DATASETS), cut).collect()
    }
    ordered = run.read(tables.RETENTIONS).select("reason", "source", "dataset_sha256")
    for name, frame in rows.items():
        if name in (*_OF_FACTS, tables.REJECTED_ROWS.name, *_REPLACED):
            ordered = ordered.union(frame.select("why", "source", "dataset_sha256"))
    for row in ordered.where(F.col("reason") == ORDERED).distinct().collect():
        whys[row["source"], row["dataset_sha256"]] = ORDERED
    if not whys:
        return [], []
    there = [
        File(source.name, path, sha256, whys[source.name, sha256])
        for source, path, sha256 in _delivered(run, settings.sources)
        if (source.name, sha256) in whys
    ]
    return ([], there) if settings.retention.extracts is None else (there, [])


def _delivered(run: Run, sources: Iterable[Extracts]) -> Iterable[tuple[Extracts, str, str]]:
    spark = run.lake.spark
    for source in sources:
        for path in files_there(spark, source):
            yield source, path, sha256_of(spark, path)


def _due_exports(run: Run, settings: Settings, as_of: date) -> tuple[list[Maps], list[date]]:
    """Maps that are to go, and those whose runs and models in MLflow are."""
    first = settings.retention.kept_from("exports", as_of)
    if first is None:
        return [], []
    held = run.read(tables.CELLS).select("team_id").distinct().collect()
    teams = [row["team_id"] for row in held]
    folders = storage.folders(run.lake.spark, run.lake.path(MAPS))
    polls = [date.fromisoformat(name) for name in folders if _DAY.fullmatch(name)]
    found = [Maps(p, maps_of(run.lake, p), names_of_maps(p, teams)) for p in polls if p < first]
    due_maps = [maps for maps in found if maps.outputs.removable(maps.names) is not None]
    return due_maps, old_polls(settings, first)


def _remove(
    run: Run, settings: Settings, as_of: date, rows: Mapping[str, DataFrame], outside: Outside
) -> None:
    """Take the rows away, and keep how many went of which extract and why; nothing is published."""
    with run.stage("remove") as noted:
        retention = 1 + _newest_retention(run)
        _record(run, settings, as_of, rows, outside, retention)
        erased = ids_ordered_erased(rows).select(
            "id_sha256",
            F.lit(retention).alias("retention"),
            F.lit(run.number).cast("long").alias("run_number"),
        )
        run.merge(tables.ERASURES, erased.join(run.read(tables.ERASURES), "id_sha256", "left_anti"))
        for name, table in _TABLES.items():
            if run.holds(table) and name in rows and not rows[name].isEmpty():
                run.merge(table, run.read(table).limit(0), rows[name].select(*table.keys))
                noted[name] = rows[name].count()
        if not rows["incidents"].isEmpty():
            job = Job(run, settings, None, silently)
            run.replace(
                tables.OUTCOMES,
                outcomes_of(job.incidents, settings.zone, settings.polls.weekday_number),
            )
        for table in _holding_keys(run):
            end_with_a_commit_without_rows(run, table)


def _holding_keys(run: Run) -> list[Table]:
    return [table for table in _TABLES.values() if run.holds(table)]


def _newest_retention(run: Run) -> int:
    found = run.read(tables.RETENTIONS).agg(F.max("retention")).first()
    return (found[0] or 0) if found is not None else 0


def _record(
    run: Run,
    settings: Settings,
    as_of: date,
    rows: Mapping[str, DataFrame],
    outside: Outside,
    retention: int,
) -> None:
    nowhere = tables.NO_EXTRACT
    counted: list[tuple[str, str, str, str, int, int]] = []
    for name, frame in rows.items():
        fact = IDS[name][0]
        counts = (
            frame.withColumns(
                {
                    column: F.lit(nowhere)
                    for column in ("source", "dataset_sha256")
                    if column not in frame.columns
                }
            )
            .groupBy("why", "source", "dataset_sha256")
            .agg(F.count("*"), F.countDistinct(fact))
        )
        counted += [(name, *row) for row in counts.collect()]
    counted += [(EXTRACTS, f.why, f.source, f.sha256, 1, 0) for f in outside.files]
    for name, polls in ((MAPS, outside.maps), (MLFLOW, outside.polls)):
        if polls:
            counted.append((name, TERM, nowhere, nowhere, len(polls), 0))
    records = [
        (
            retention,
            as_of,
            name,
            why,
            source,
            sha256,
            number,
            facts,
            _kept_from(settings, as_of, name) if why == TERM else None,
            run.number,
        )
        for name, why, source, sha256, number, facts in counted
    ]
    frame = run.lake.spark.createDataFrame(records, tables.RETENTIONS.schema)
    run.append(tables.RETENTIONS, frame)


def _kept_from(settings: Settings, as_of: date, name: str) -> date | None:
    days = [settings.retention.kept_from(term, as_of) for term in _TERMS[name]]
    return max((day for day in days if day is not None), default=None)


def _remove_outside(run: Run, settings: Settings, outside: Outside) -> None:
    for file in outside.files:
        storage.delete(run.lake.spark, file.path)
    for maps in outside.maps:
        stay = maps.outputs.remove(maps.names)
        if stay:
            log.warning("maps of %s: %s stays, cas-spark did not make it", maps.poll, listed(stay))
    forget_polls(settings, outside.polls)


def _prove(
    lake: Lake, settings: Settings, journal: Journal, not_deleted: list[File], lease: Lease
) -> Retained:
    """Let the tables lose their past, look for the keys in all that is left, and say so.

    Raises:
        CasError: a key is found, or a file cannot be looked into.
    """
    run = _opened(lake, settings, lease)
    with run.stage("forget"):
        for table in _holding_keys(run):
            forget_past(lake, table, run.versions[table.name])
    with run.stage("scan") as noted:
        left = keys_of({name: run.read(table) for name, table in _TABLES.items()})
        keys = [row["key"] for row in journal.keys().join(left, "key", "left_anti").collect()]
        scan, not_scanned = _scan(lake, settings, keys)
        noted.update({"keys": len(keys), "files": scan.files, "bytes": scan.bytes})
    _check(scan)
    retention = _newest_retention(run)
    values = (retention, len(keys), 0, scan.files, scan.bytes, not_scanned, run.number)
    rows = lake.spark.createDataFrame([values], tables.RETENTION_SCANS.schema)
    run.merge(tables.RETENTION_SCANS, rows)
    run.publish()
    journal.delete()
    complete_from = Job(run, settings, None, silently).kept_from("incidents")
    return Retained(retention, scan, len(keys), not_scanned, not_deleted, complete_from)


def _scan(lake: Lake, settings: Settings, keys: Iterable[str]) -> tuple[Scan, str | None]:
    """Look for keys in the lake, and in MLflow's database and artifacts wherever they lie."""
    needles = needles_of(keys)
    inside = files_below(lake.root, leaving_out=RETAINING)
    places, not_scanned = places_of(settings)
    outside = {path for place in places for path in files_below(place)} - set(inside)
    tasks = 4 * lake.spark.sparkContext.defaultParallelism
    scan = scan_in_tasks(lake.spark, inside, needles, tasks)
    return scan + scan_files(sorted(outside), needles), not_scanned


def _check(scan: Scan) -> None:
    problems = [f"{keys} of them in {path}" for path, keys in sorted(scan.found)]
    problems += [f"no way to look into {path}" for path in sorted(scan.unreadable)]
    if problems:
        raise CasError(
            what="the keys of what was removed",
            found="; ".join(problems[:5]),
            expected="none of them in any byte of the lake, MLflow's database and its artifacts",
            do="Remove these files, or what they hold, and run the same command again; until then "
            f"the keys stay in the lake's folder {RETAINING}",
        )
