"""What revisions cost: the teams that they touched, and what was recomputed for them."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.cells import column_of, row_of
from cas_spark.indicators.nearby import near_teams
from cas_spark.knowledge.linking import LINKED
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job


def note_polls_recomputed(job: Job, recomputed: Mapping[str, int]) -> None:
    """Keep, for each new revision, the teams it touched and their recomputed polls.

    Args:
        job: at work.
        recomputed: team -> polls that were recomputed since facts of before had changed.
    """
    run = job.run
    if not run.holds(tables.REVISIONS):
        return
    linked = run.read(tables.REVISIONS).where(F.col("status") == LINKED)
    noted = run.read(tables.REVISION_COSTS).select("revision_id")
    due = linked.join(noted, "revision_id", "left_anti")
    if due.isEmpty():
        return
    places = _places(job).join(due.select("revision_id", "linked_id"), "linked_id")
    cells = job.cells().where("is_kept").select("team_id", "cell_id", "column", "row")
    touched = near_teams(cells, places).select("revision_id", "near_team_id").distinct()
    rows = [(team, polls) for team, polls in sorted(recomputed.items())]
    polls = run.lake.spark.createDataFrame(rows, "near_team_id string, polls_recomputed long")
    costs = touched.join(F.broadcast(polls), "near_team_id", "left").select(
        "revision_id",
        F.col("near_team_id").alias("team_id"),
        F.coalesce("polls_recomputed", F.lit(0)).cast("long").alias("polls_recomputed"),
        F.lit(0).cast("long").alias("models_retrained"),
        F.lit(run.number).cast("long").alias("run_number"),
    )
    run.merge(tables.REVISION_COSTS, costs.localCheckpoint())


def note_models_retrained(job: Job, models: Mapping[str, int]) -> None:
    """Keep how many models of the teams that were recomputed have learned from that since.

    Args:
        job: at work.
        models: team -> models that were trained.
    """
    run = job.run
    if not run.holds(tables.REVISION_COSTS):
        return
    rows = [(team, number) for team, number in sorted(models.items())]
    trained = run.lake.spark.createDataFrame(rows, "team_id string, trained long")
    due = run.read(tables.REVISION_COSTS).where("polls_recomputed > 0 AND models_retrained = 0")
    costs = due.join(F.broadcast(trained), "team_id").withColumn(
        "models_retrained", F.col("trained")
    )
    run.merge(tables.REVISION_COSTS, costs.drop("trained").localCheckpoint())


def _places(job: Job) -> DataFrame:
    """Where facts lie, wherever a version of them did: linked_id, column, row."""
    incidents = job.run.read(tables.INCIDENTS)
    places = incidents.select(F.col("incident_id").alias("linked_id"), "cell_id")
    if job.settings.suspects:
        links = job.run.read(tables.SUSPECTS)
        homes = links.select(F.col("link_id").alias("linked_id"), F.col("home_cell_id"))
        places = places.union(homes)
    return places.select(
        "linked_id",
        column_of(F.col("cell_id")).alias("column"),
        row_of(F.col("cell_id")).alias("row"),
    )
