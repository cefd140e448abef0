"""Ingest: extracts that are new to the lake become facts, rejected rows and revisions.

Suspects are taken in apart from incidents: where settings have none, nothing tells that they exist;
where they do, no byte of the incidents and outcomes differs.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TypeVar

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.layers import read_teams
from cas_spark.grid.tessellation import tessellate
from cas_spark.knowledge.calendar import instant_of
from cas_spark.lake import tables
from cas_spark.lake.spread import shuffle_partitions
from cas_spark.lake.table import Table
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.keys import key_of
from cas_spark.pipelines.revise import revise
from cas_spark.settings.extracts import Extracts, IncidentExtracts
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.sources.coordinates import Land
from cas_spark.sources.incidents import Delivery, deliver
from cas_spark.sources.keyed_ids import check_of_key
from cas_spark.sources.reading import list_files, read_rows, sha256_of
from cas_spark.sources.removed import Removed
from cas_spark.sources.revisions import RevisionDelivery, deliver_revisions
from cas_spark.sources.suspects import SuspectDelivery, deliver_suspects

SAID_OF_A_LINK = ("link_id", "known_at", "priority", "home_cell_id")

AnyExtracts = TypeVar("AnyExtracts", bound=Extracts)
File = tuple[AnyExtracts, str, str]
"""A source, and the path and sha256 of one of its extracts."""


def ingest(job: Job) -> None:
    """Take in every extract that the lake does not hold yet; the same one twice changes nothing."""
    key = key_of(job.run.lake, job.settings)
    job.run.facts["pseudonym_check"] = check_of_key(key)
    incidents = new_files(job, job.settings.incidents)
    suspects = new_files(job, job.settings.suspects)
    revisions = new_files(job, job.settings.revisions)
    if incidents or suspects or revisions:
        land = Land.of(land_cells(job))
        if incidents:
            _take_in_incidents(job, incidents, key, land)
        if suspects:
            _take_in_suspects(job, suspects, key, land)
        if revisions:
            _take_in_revisions(job, revisions, key, land)
        land.ids.unpersist()
    revise(job, is_any_new=bool(incidents or suspects or revisions))


def new_files(job: Job, sources: Sequence[AnyExtracts]) -> list[File[AnyExtracts]]:
    """Every extract that the lake does not hold."""
    spark = job.run.lake.spark
    held = {
        (row["source"], row["sha256"])
        for row in job.run.read(tables.DATASETS).select("source", "sha256").collect()
    }
    wanted = [(source, path) for source in sources for path in list_files(spark, source)]
    return [
        (source, path, sha256)
        for source, path in wanted
        if (source.name, sha256 := sha256_of(spark, path)) not in held
    ]


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
    with job.run.stage("facts") as said:
        parts = {
            tables.INCIDENTS.name: [delivery.accepted for delivery in deliveries],
            tables.REVISIONS.name: [delivery.revisions for delivery in deliveries],
            tables.REJECTED_ROWS.name: [delivery.rejected for delivery in deliveries],
            tables.DATASETS.name: [delivery.dataset for delivery in deliveries],
        }
        _append(job, parts)
        said.update({name: job.run.read(_TABLES[name]).count() for name in parts})


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
    with run.stage(f"read {name}") as said:
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
        said.update(delivery.counts)
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
            with run.stage(f"read {name}") as said:
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
                said.update(delivery.counts)
            deliveries.append(delivery)
            advance(1)
    with run.stage("suspects") as said:
        parts = {
            tables.SUSPECTS.name: [delivery.accepted for delivery in deliveries],
            tables.REJECTED_ROWS.name: [delivery.rejected for delivery in deliveries],
            tables.DATASETS.name: [delivery.dataset for delivery in deliveries],
        }
        _append(job, parts)
        said["versions of links"] = run.read(tables.SUSPECTS).count()


def _take_in_revisions(
    job: Job, new: Sequence[File[RevisionExtracts]], key: bytes, land: Land
) -> None:
    run, deliveries = job.run, list[RevisionDelivery]()
    for source, path, sha256 in new:
        name = path.rsplit("/", 1)[-1]
        already = run.read(tables.REVISIONS).select("revision_id")
        for delivery in deliveries:
            already = already.union(delivery.revisions.select("revision_id"))
        with run.stage(f"read {name}") as said:
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
            said.update(delivery.counts)
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
    """All land cells of the settings' grid version, from the lake or else from the polygons."""
    grid = job.settings.grid
    cells = job.run.read(tables.CELLS).where(F.col("grid_version") == grid.version)
    if not cells.isEmpty():
        return cells
    if job.tessellation is None:
        teams = read_teams(job.run.lake.spark, grid.teams, grid.crs)
        job.tessellation = tessellate(teams).persist()
    return job.tessellation
