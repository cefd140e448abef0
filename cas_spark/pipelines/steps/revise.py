"""Revise: what revisions say of facts is applied, before anything else looks at the facts."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.knowledge.revisions import count_by_status, decided, ended, revised
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.training.outcomes import outcomes_of


def revise(job: Job, *, is_any_new: bool) -> None:
    """Link what revisions there are to what they are about; versions and outcomes follow.

    New facts may be what an earlier revision waits for, a lake of an older schema version has
    decided nothing, and the settings may have given a kind another effect; else everything stands.
    """
    run = job.run
    if not is_any_new and _is_decided(job):
        return
    with run.stage("revisions") as noted:
        incidents, suspects = run.read(tables.INCIDENTS), run.read(tables.SUSPECTS)
        effects = job.settings.effects.of_kinds()
        revisions = decided(
            run.read(tables.REVISIONS), incidents, suspects, effects, run.number
        ).localCheckpoint()
        versions = revised(incidents, revisions).localCheckpoint()
        gone = _no_longer_there(incidents, versions)
        run.merge(tables.INCIDENTS, versions, gone)
        if run.holds(tables.SUSPECTS):
            run.merge(tables.SUSPECTS, ended(suspects, revisions).localCheckpoint())
        run.merge(tables.REVISIONS, revisions)
        noted.update(count_by_status(revisions))
    with run.stage("outcomes") as noted:
        settings = job.settings
        run.replace(
            tables.OUTCOMES,
            outcomes_of(job.incidents, settings.zone, settings.polls.weekday_number),
        )
        noted["rows"] = run.read(tables.OUTCOMES).count()


def _is_decided(job: Job) -> bool:
    """Whether every revision is decided, by the effects of the settings."""
    effects = job.settings.effects.of_kinds()
    revisions = job.run.read(tables.REVISIONS)
    return all(
        row["kind"] is not None and row["effect"] in (None, effects[row["kind"]])
        for row in revisions.select("kind", "effect").distinct().collect()
    )


def _no_longer_there(incidents: DataFrame, versions: DataFrame) -> DataFrame:
    """Versions that a revision made which, by what is known now, another came before."""
    keys = list(tables.INCIDENTS.keys)
    later = incidents.where(F.col("version") > 1).select(*keys)
    return later.join(versions.select(*keys), keys, "left_anti")
