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
from cas_spark.knowledge.revisions import count_by_status, decided, superseded
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.settings.extracts import Extracts, IncidentExtracts
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.sources.incidents import Delivery, deliver
from cas_spark.sources.reading import list_files, read_rows, sha256_of
from cas_spark.sources.suspects import (
    SuspectDelivery,
    deliver_suspects,
    ended_by_later_versions,
)
from cas_spark.training.outcomes import outcomes_of

PARTS = (
    (tables.INCIDENTS, "accepted"),
    (tables.REVISIONS, "revisions"),
    (tables.REJECTED_ROWS, "rejected"),
    (tables.DATASETS, "dataset"),
)
"""Where each part of a delivery goes."""

SAID_OF_A_LINK = ("link_id", "known_at", "priority", "home_cell_id")

AnyExtracts = TypeVar("AnyExtracts", bound=Extracts)


def ingest(job: Job) -> None:
    """Take in every extract that the lake does not hold yet; the same one twice changes nothing."""
    key = job.settings.pseudonym_key
    secret = key.read() if key is not None else None
    incidents = _new_files(job, job.settings.incidents)
    suspects = _new_files(job, job.settings.suspects)
    if incidents:
        _take_in_incidents(job, incidents)
    _decide_revisions(job, is_any_new=bool(incidents))
    if suspects and secret is not None:
        _take_in_suspects(job, suspects, secret)


def _new_files(job: Job, sources: Sequence[AnyExtracts]) -> list[tuple[AnyExtracts, str, str]]:
    """Source, path and sha256 of every extract that the lake does not hold."""
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


def _take_in_incidents(job: Job, new: Sequence[tuple[IncidentExtracts, str, str]]) -> None:
    deliveries: list[Delivery] = []
    with job.show_progress("extracts", len(new)) as advance:
        for source, path, sha256 in new:
            deliveries.append(_deliver_file(job, source, path, sha256, deliveries))
            advance(1)
    with job.run.stage("facts") as said:
        run_number = F.lit(job.run.number).cast("long").alias("run_number")
        for table, part in PARTS:
            rows = reduce(DataFrame.unionByName, [getattr(d, part) for d in deliveries])
            job.run.append(table, rows.select("*", run_number))
            said[table.name] = job.run.read(table).count()


def _decide_revisions(job: Job, *, is_any_new: bool) -> None:
    """Link what revisions there are to the incidents they take back; outcomes follow.

    New incidents may be what an earlier revision waits for, and a lake of an older schema version
    has decided nothing; else everything stands.
    """
    run = job.run
    if not is_any_new and run.read(tables.REVISIONS).where("kind IS NULL").isEmpty():
        return
    with run.stage("revisions") as said:
        incidents = run.read(tables.INCIDENTS)
        revisions = decided(run.read(tables.REVISIONS), incidents).localCheckpoint()
        run.replace(tables.INCIDENTS, superseded(incidents, revisions).localCheckpoint())
        run.replace(tables.REVISIONS, revisions)
        said.update(count_by_status(revisions))
    with run.stage("outcomes") as said:
        settings = job.settings
        outcomes = outcomes_of(
            run.read(tables.INCIDENTS), settings.zone, settings.polls.weekday_number
        )
        run.replace(tables.OUTCOMES, outcomes)
        said["rows"] = run.read(tables.OUTCOMES).count()


def _take_in_suspects(
    job: Job, new: Sequence[tuple[SuspectExtracts, str, str]], secret: bytes
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
                    secret,
                    sha256,
                    name,
                    land_cells(job).select("cell_id"),
                    reduce(DataFrame.unionByName, already),
                )
                said.update(delivery.counts)
            deliveries.append(delivery)
            advance(1)
    with run.stage("suspects") as said:
        run_number = F.lit(run.number).cast("long").alias("run_number")
        parts = {
            part: reduce(DataFrame.unionByName, [getattr(d, part) for d in deliveries])
            for part in ("accepted", "rejected", "dataset")
        }
        accepted = parts["accepted"].select("*", run_number)
        # Any version may end an earlier one; the table is small, and written as a whole.
        run.replace(tables.SUSPECTS, ended_by_later_versions(held.unionByName(accepted)))
        run.append(tables.REJECTED_ROWS, parts["rejected"].select("*", run_number))
        run.append(tables.DATASETS, parts["dataset"].select("*", run_number))
        said["versions of links"] = run.read(tables.SUSPECTS).count()


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


def _deliver_file(
    job: Job, source: IncidentExtracts, path: str, sha256: str, before: Sequence[Delivery]
) -> Delivery:
    """Sort the rows of one extract, after those `before` it in the same run; nothing is written."""
    run = job.run
    incident_ids = run.read(tables.INCIDENTS).select("incident_id")
    revision_ids = run.read(tables.REVISIONS).select("revision_id")
    for delivery in before:
        incident_ids = incident_ids.union(delivery.accepted.select("incident_id"))
        revision_ids = revision_ids.union(delivery.revisions.select("revision_id"))
    name = path.rsplit("/", 1)[-1]
    with run.stage(f"read {name}") as said:
        delivery = deliver(
            read_rows(run.lake.spark, source, path),
            source,
            job.settings,
            sha256,
            name,
            land_cells(job).select("cell_id"),
            incident_ids,
            revision_ids,
        )
        said.update(delivery.counts)
    return delivery
