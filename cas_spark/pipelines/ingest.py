"""Ingest: extracts that are new to the lake become facts, rejected rows and revisions."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.layers import read_teams
from cas_spark.grid.tessellation import tessellate
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.sources.incidents import Delivery, deliver
from cas_spark.sources.reading import list_files, read_rows, sha256_of
from cas_spark.training.outcomes import outcomes_of

PARTS = (
    (tables.INCIDENTS, "accepted"),
    (tables.REVISIONS, "revisions"),
    (tables.REJECTED_ROWS, "rejected"),
    (tables.DATASETS, "dataset"),
)
"""Where each part of a delivery goes."""


def ingest(job: Job) -> None:
    """Take in every extract that the lake does not hold yet; the same one twice changes nothing."""
    spark = job.run.lake.spark
    held = {
        (row["source"], row["sha256"])
        for row in job.run.read(tables.DATASETS).select("source", "sha256").collect()
    }
    wanted = [
        (source, path) for source in job.settings.incidents for path in list_files(spark, source)
    ]
    new = [
        (source, path, sha256)
        for source, path in wanted
        if (source.name, sha256 := sha256_of(spark, path)) not in held
    ]
    if not new:
        return
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
    with job.run.stage("outcomes") as said:
        settings = job.settings
        incidents = job.run.read(tables.INCIDENTS)
        outcomes = outcomes_of(incidents, settings.zone, settings.polls.weekday_number)
        job.run.replace(tables.OUTCOMES, outcomes)
        said["rows"] = job.run.read(tables.OUTCOMES).count()


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
