"""What a weekly run recorded of its own week, so that the week can be held against it later.

The manifest's digests are of whole tables, which later weeks add to; these are of the run's poll.
"""

from pyspark.sql import functions as F

from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_parts, digest_of_table, schema_text
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
    version = F.col("grid_version") == job.settings.grid.version
    at_poll = F.col("poll_on") == F.lit(job.poll)
    slices = run.read(tables.SNAPSHOT_SLICES)
    polls = F.col("poll_on").isin(list(job.schedule.snapshot_polls))
    parts = [
        (f"{row['team_id']} {row['poll_on']}", row["sha256"])
        for row in slices.where(polls).select("team_id", "poll_on", "sha256").collect()
    ]
    return {
        tables.CELLS.name: digest_of_table(run.read(tables.CELLS).where(version), tables.CELLS),
        job.cell_context.name: digest_of_table(
            run.read(job.cell_context).where(version), job.cell_context
        ),
        job.snapshots.name: digest_of_parts(schema_text(job.snapshots), parts),
        **{
            table.name: digest_of_table(run.read(table).where(at_poll), table)
            for table in (tables.MODELS, tables.FORECASTS)
        },
    }
