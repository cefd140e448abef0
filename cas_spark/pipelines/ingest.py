"""Ingest: extracts that are new to the lake become facts, rejected rows and revisions."""

import logging

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.layers import read_teams
from cas_spark.grid.tessellation import tessellate
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.sources.incidents import deliver
from cas_spark.sources.reading import list_files, read_rows, sha256_of
from cas_spark.training.outcomes import outcomes_of

log = logging.getLogger(__name__)


def ingest(job: Job) -> None:
    """Take in every extract that the lake does not hold yet; the same one twice changes nothing."""
    spark = job.run.lake.spark
    held = {
        (row["source"], row["sha256"])
        for row in job.run.read(tables.DATASETS).select("source", "sha256").collect()
    }
    wanted = [
        (source, path)
        for source in job.settings.incidents
        for path in list_files(spark, source)
    ]
    new = [
        (source, path, sha256)
        for source, path in wanted
        if (source.name, sha256 := sha256_of(spark, path)) not in held
    ]
    with job.show_progress("extracts", len(new)) as advance:
        for source, path, sha256 in new:
            _ingest_file(job, source, path, sha256)
            advance(1)
    if new:
        with job.run.stage("outcomes"):
            incidents = job.run.read(tables.INCIDENTS)
            settings = job.settings
            outcomes = outcomes_of(incidents, settings.zone, settings.polls.weekday_number)
            job.run.replace(tables.OUTCOMES, outcomes)


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


def _ingest_file(job: Job, source: IncidentExtracts, path: str, sha256: str) -> None:
    """Take in one extract."""
    run = job.run
    name = path.rsplit("/", 1)[-1]
    with run.stage(f"ingest {name}") as said:
        delivery = deliver(
            read_rows(run.lake.spark, source, path),
            source,
            job.settings,
            sha256,
            name,
            land_cells(job).select("cell_id"),
            run.read(tables.INCIDENTS).select("incident_id"),
            run.read(tables.REVISIONS).select("revision_id"),
        )
        run_number = F.lit(run.number).cast("long").alias("run_number")
        run.append(tables.INCIDENTS, delivery.accepted.select("*", run_number))
        run.append(tables.REVISIONS, delivery.revisions.select("*", run_number))
        run.append(tables.REJECTED_ROWS, delivery.rejected.select("*", run_number))
        run.append(tables.DATASETS, delivery.dataset.select("*", run_number))
        delivery.release()
        said.update(delivery.counts)
