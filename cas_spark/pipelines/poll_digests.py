"""What a weekly run recorded of its own week, so that the week can be held against it later.

The manifest's digests are of whole tables, which later weeks add to; these are of the run's poll.
"""

from pyspark.sql import functions as F

from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_parts, schema_text
from cas_spark.pipelines.job import Job

FACTS = tuple(
    table.name
    for table in (
        tables.DATASETS,
        tables.REJECTED_ROWS,
        tables.INCIDENTS,
        tables.SUSPECTS,
        tables.REVISIONS,
        tables.OUTCOMES,
    )
)
"""Tables of which a run's digest is of all that was taken in by then."""

POLL_DIGESTS = "poll_digests"
"""Name among a manifest's facts."""


def note_poll_digests(job: Job) -> None:
    """Record the digests of the run's week with the run's facts."""
    with job.run.stage("poll digests"):
        job.run.facts[POLL_DIGESTS] = digests_of_poll(job)


def digests_of_poll(job: Job) -> dict[str, str]:
    """Part of the run's week -> its digest.

    Cells and slow indicators of the grid version; the snapshots of all polls of the run; the models
    and the forecast of its poll.
    """
    run = job.run
    slices = run.read(tables.SNAPSHOT_SLICES)
    polls = F.col("poll_on").isin(list(job.schedule.snapshot_polls))
    parts = [
        (f"{row['team_id']} {row['poll_on']}", row["sha256"])
        for row in slices.where(polls).select("team_id", "poll_on", "sha256").collect()
    ]
    version = job.settings.grid.version
    return {
        tables.CELLS.name: run.digest_of_slice(tables.CELLS, version),
        job.cell_context.name: run.digest_of_slice(job.cell_context, version),
        job.snapshots.name: digest_of_parts(schema_text(job.snapshots), parts),
        tables.MODELS.name: run.digest_of_slice(tables.MODELS, job.poll),
        tables.FORECASTS.name: run.digest_of_slice(tables.FORECASTS, job.poll),
    }
