"""Ingest: extracts that are new to the lake become facts, rejected rows and revisions.

Suspects are taken in apart from incidents: where settings have none, nothing shows that they exist;
where they do, no byte of the incidents and outcomes differs.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import TypeVar

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cas_spark.grid.layers import read_teams
from cas_spark.grid.tessellation import tessellate
from cas_spark.knowledge.calendar import instant_of
from cas_spark.lake import tables
from cas_spark.lake.table import Table
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.keys import PSEUDONYM_CHECK, key_of
from cas_spark.pipelines.reread import check_reading, held_extracts, set_aside
from cas_spark.pipelines.steps.area_statistics import read_editions
from cas_spark.pipelines.steps.revise import revise
from cas_spark.pipelines.steps.unusual import note_unusual
from cas_spark.platform.spread import shuffle_partitions
from cas_spark.settings.extracts import Extracts, IncidentExtracts
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.sources.coordinates import Land
from cas_spark.sources.decisions import RevisionDelivery, deliver_revisions
from cas_spark.sources.files import list_files, sha256_of
from cas_spark.sources.incidents import Delivery, deliver
from cas_spark.sources.keyed_ids import check_of_key
from cas_spark.sources.reading import read_rows
from cas_spark.sources.removed import Removed
from cas_spark.sources.suspect_links import SuspectDelivery, deliver_suspects

log = logging.getLogger(__name__)

SAID_OF_A_LINK = ("link_id", "known_at", "priority", "home_cell_id")

AnyExtracts = TypeVar("AnyExtracts", bound=Extracts)
File = tuple[AnyExtracts, str, str]
"""A source, and the path and sha256 of one of its extracts."""


def ingest(job: Job) -> None:
    """Take in every extract that the lake does not hold yet; the same one twice changes nothing."""
    key = key_of(job.run.lake, job.settings)
    job.run.facts[PSEUDONYM_CHECK] = check_of_key(key)
    there, held = listed_files(job, job.settings.sources), held_extracts(job)
    check_reading(job, there, held)
    set_aside(job, held)
    new = new_files(job, there, held)
    incidents = _of_kind(new, IncidentExtracts)
    suspects = _of_kind(new, SuspectExtracts)
    revisions = _of_kind(new, RevisionExtracts)
    if new:
        land = Land.of(land_cells(job), job.operations)
        if incidents:
            _take_in_incidents(job, incidents, key, land)
        if suspects:
            _take_in_suspects(job, suspects, key, land)
        if revisions:
            _take_in_revisions(job, revisions, key, land)
        land.ids.unpersist()
    revise(job, is_any_new=bool(new))
    if new:
        note_unusual(job, land_cells(job))


def listed_files(job: Job, sources: Sequence[Extracts]) -> list[File[Extracts]]:
    """Every extract that the settings name, each content of a source once."""
    spark = job.run.lake.spark
    return without_copies(
        (source, path, sha256_of(spark, path))
        for source in sources
        for path in list_files(spark, source)
    )


def without_copies(files: Iterable[File[AnyExtracts]]) -> list[File[AnyExtracts]]:
    """Return the first file of each content of a source; the log names the others."""
    first: dict[tuple[str, str], File[AnyExtracts]] = {}
    for source, path, sha256 in files:
        kept = first.setdefault((source.name, sha256), (source, path, sha256))
        if kept[1] != path:
            log.warning("%s: the same file as %s, which is read once", path, kept[1])
    return list(first.values())


def new_files(
    job: Job, there: Sequence[File[Extracts]], held: Mapping[str, Sequence[Row]]
) -> list[File[Extracts]]:
    """Every extract that the lake does not hold, or is to read again.

    Args:
        job: at work.
        there: all extracts that the settings name.
        held: source -> the extracts that the lake holds.
    """
    taken_in = {
        (name, row["sha256"])
        for name, rows in held.items()
        if name not in job.reread
        for row in rows
    }
    return [file for file in there if (file[0].name, file[2]) not in taken_in]


def _of_kind(files: Sequence[File[Extracts]], kind: type[AnyExtracts]) -> list[File[AnyExtracts]]:
    return [(source, path, sha) for source, path, sha in files if isinstance(source, kind)]


def _take_in_incidents(
    job: Job, new: Sequence[File[IncidentExtracts]], key: bytes, land: Land
) -> None:
    deliveries: list[Delivery] = []
    with job.show_progress("extracts", len(new)) as advance:
        for source, path, sha256 in new:
            deliveries.append(
                _deliver_incidents(job, (source, path, sha256), key, land, deliveries)
            )
            advance(1)
    with job.run.stage("facts") as noted:
        parts = {
            tables.INCIDENTS.name: [delivery.accepted for delivery in deliveries],
            tables.REVISIONS.name: [delivery.revisions for delivery in deliveries],
            tables.REJECTED_ROWS.name: [delivery.rejected for delivery in deliveries],
            tables.DATASETS.name: [delivery.dataset for delivery in deliveries],
        }
        _append(job, parts)
        noted.update({name: job.run.read(_TABLES[name]).count() for name in parts})


_TABLES: dict[str, Table] = {table.name: table for table in tables.STATIC_TABLES}


def _append(job: Job, parts: dict[str, list[DataFrame]]) -> None:
    run_number = F.lit(job.run.number).cast("long").alias("run_number")
    partitions = shuffle_partitions(job.run.lake.spark)
    for name, frames in parts.items():
        rows = reduce(DataFrame.unionByName, frames).select("*", run_number)
        # Else every extract would bring tasks and files of its own, however few its rows.
        job.run.append(_TABLES[name], rows.coalesce(partitions))


def _deliver_incidents(
    job: Job, file: File[IncidentExtracts], key: bytes, land: Land, before: Sequence[Delivery]
) -> Delivery:
    """Sort the rows of one extract, after those `before` it in the same run; nothing is written."""
    source, path, sha256 = file
    run, name = job.run, path.rsplit("/", 1)[-1]
    incident_ids = run.read(tables.INCIDENTS).where("version = 1").select("incident_id")
    revision_ids = run.read(tables.REVISIONS).select("revision_id")
    for delivery in before:
        incident_ids = incident_ids.union(delivery.accepted.select("incident_id"))
        revision_ids = revision_ids.union(delivery.revisions.select("revision_id"))
    with run.stage(f"read {name}") as noted:
        delivery = deliver(
            read_rows(run.lake.spark, source, path),
            source,
            job.settings,
            key,
            sha256,
            name,
            land,
            incident_ids,
            revision_ids,
            _removed(job, tables.INCIDENTS),
        )
        noted.update(delivery.counts)
    return delivery


def _take_in_suspects(
    job: Job, new: Sequence[File[SuspectExtracts]], key: bytes, land: Land
) -> None:
    run, deliveries = job.run, list[SuspectDelivery]()
    held = run.read(tables.SUSPECTS)
    with job.show_progress("extracts of suspects", len(new)) as advance:
        for source, path, sha256 in new:
            name = path.rsplit("/", 1)[-1]
            before = [held, *(delivery.accepted for delivery in deliveries)]
            already = [versions.select(*SAID_OF_A_LINK) for versions in before]
            with run.stage(f"read {name}") as noted:
                delivery = deliver_suspects(
                    read_rows(run.lake.spark, source, path),
                    source,
                    job.settings,
                    key,
                    sha256,
                    name,
                    land,
                    reduce(DataFrame.unionByName, already),
                    _removed(job, tables.SUSPECTS),
                )
                noted.update(delivery.counts)
            deliveries.append(delivery)
            advance(1)
    with run.stage("suspects") as noted:
        parts = {
            tables.SUSPECTS.name: [delivery.accepted for delivery in deliveries],
            tables.REJECTED_ROWS.name: [delivery.rejected for delivery in deliveries],
            tables.DATASETS.name: [delivery.dataset for delivery in deliveries],
        }
        _append(job, parts)
        noted["versions of links"] = run.read(tables.SUSPECTS).count()


def _take_in_revisions(
    job: Job, new: Sequence[File[RevisionExtracts]], key: bytes, land: Land
) -> None:
    run, deliveries = job.run, list[RevisionDelivery]()
    for source, path, sha256 in new:
        name = path.rsplit("/", 1)[-1]
        already = run.read(tables.REVISIONS).select("revision_id")
        for delivery in deliveries:
            already = already.union(delivery.revisions.select("revision_id"))
        with run.stage(f"read {name}") as noted:
            delivery = deliver_revisions(
                read_rows(run.lake.spark, source, path),
                source,
                job.settings,
                key,
                sha256,
                name,
                land,
                already,
                _removed(job, tables.REVISIONS),
            )
            noted.update(delivery.counts)
        deliveries.append(delivery)
    parts = {
        tables.REVISIONS.name: [delivery.revisions for delivery in deliveries],
        tables.REJECTED_ROWS.name: [delivery.rejected for delivery in deliveries],
        tables.DATASETS.name: [delivery.dataset for delivery in deliveries],
    }
    with run.stage("facts"):
        _append(job, parts)


def _removed(job: Job, table: Table) -> Removed | None:
    """What was removed for good of a table; None where nothing ever was of any."""
    if not job.run.holds(tables.RETENTIONS):
        return None
    day = job.kept_from(table.name)
    kept_from = None if day is None else instant_of(day, job.settings.zone)
    return Removed(job.run.read(tables.ERASURES), kept_from)


def land_cells(job: Job) -> DataFrame:
    """All land cells of the settings' grid version, from the lake or else from the polygons.

    Raises:
        CasError: polygons of teams or areas that overlap; and as `read_teams` and `read_areas`.
    """
    grid = job.settings.grid
    cells = job.run.read(tables.CELLS).where(F.col("grid_version") == grid.version)
    if not cells.isEmpty():
        return cells
    if job.tessellation is None:
        read_editions(job)  # so that a wrong polygon is reported before extracts
        teams = read_teams(job.run.lake.spark, grid.teams, grid.crs, job.operations)
        job.tessellation = tessellate(teams).persist()
    return job.tessellation
