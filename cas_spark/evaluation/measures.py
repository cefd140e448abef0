"""Measures: the share of all incidents that fell in the cells chosen, for models and baselines.

Every share is of *all* land cells and of *all* incidents of the week, also those in cells that the
grid removed, so that removing cells can never flatter a measure.
"""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

MODEL = "model"
GROUP = ["team_id", "priority", "horizon"]


def measure_name(share: float) -> str:
    """`caught_share_at_3_percent` for 0.03."""
    percent = f"{share * 100:g}".replace(".", "_")
    return f"caught_share_at_{percent}_percent"


def rank_land_cells(scores: DataFrame, land: DataFrame) -> DataFrame:
    """Rank all land cells of each team by a baseline's score; ties by cell id.

    Args:
        scores: priority, cell_id, method, score; cells without a row score 0.
        land: cell_id, team_id of all land cells.

    Returns:
        team_id, priority, method, cell_id, rank.
    """
    kinds = scores.select("priority", "method").distinct()
    every = land.select("cell_id", "team_id").crossJoin(F.broadcast(kinds))
    scored = every.join(scores, ["priority", "method", "cell_id"], "left")
    best_first = Window.partitionBy("team_id", "priority", "method").orderBy(
        F.coalesce("score", F.lit(0)).desc(), "cell_id"
    )
    return scored.select(
        "team_id", "priority", "method", "cell_id", F.row_number().over(best_first).alias("rank")
    )


def caught_shares(
    ranks: DataFrame,
    incidents: DataFrame,
    land: DataFrame,
    shares: Sequence[float],
    scored_as_of: datetime,
    run_number: int,
) -> DataFrame:
    """The rows of `evaluations` for one poll.

    Args:
        ranks: poll_on, team_id, priority, horizon, target_week_on, method, cell_id, rank.
        incidents: priority, cell_id, week_on, incidents: the outcomes that count.
        land: cell_id, team_id of all land cells.
        shares: of the land cells that are chosen.
        scored_as_of: what was known by then counted.
        run_number: kept with the rows.
    """
    land_cells = land.groupBy("team_id").agg(F.count("*").alias("land_cells"))
    per_team = incidents.join(land, "cell_id", "inner")
    all_incidents = per_team.groupBy("team_id", "priority", "week_on").agg(
        F.sum("incidents").alias("all_incidents")
    )
    methods = ranks.select("poll_on", *GROUP, "target_week_on", "method").distinct()
    limits = methods.join(land_cells, "team_id", "inner").select(
        "*",
        F.explode(
            F.array(
                *[
                    F.struct(
                        F.lit(measure_name(share)).alias("measure"),
                        # The same rounding as forecasting.cells_to_choose.
                        F.greatest(
                            F.lit(1), F.floor(F.lit(share) * F.col("land_cells") + F.lit(0.5))
                        ).alias("cells"),
                    )
                    for share in shares
                ]
            )
        ).alias("limit"),
    )
    # Few cells have an incident in a week, so their ranks are all that is needed.
    hits = ranks.join(
        incidents.select(
            "priority", "cell_id", F.col("week_on").alias("target_week_on"), "incidents"
        ),
        ["priority", "cell_id", "target_week_on"],
        "inner",
    ).select(*GROUP, "method", "target_week_on", "rank", "incidents")
    caught = (
        limits.join(hits, [*GROUP, "method", "target_week_on"], "left")
        .groupBy("poll_on", *GROUP, "target_week_on", "method", "limit")
        .agg(
            F.sum(
                F.when(F.col("rank") <= F.col("limit.cells"), F.col("incidents")).otherwise(0)
            ).alias("caught")
        )
        .join(
            all_incidents.withColumnRenamed("week_on", "target_week_on"),
            ["team_id", "priority", "target_week_on"],
            "left",
        )
    )
    incidents_of_week = F.coalesce("all_incidents", F.lit(0)).cast("long")
    return caught.select(
        "poll_on",
        *GROUP,
        "target_week_on",
        "method",
        F.col("limit.measure").alias("measure"),
        F.when(incidents_of_week > 0, F.col("caught") / incidents_of_week).alias("value"),
        F.col("limit.cells").cast("long").alias("cells"),
        F.col("caught").cast("long").alias("caught"),
        incidents_of_week.alias("incidents"),
        F.lit(scored_as_of).alias("scored_as_of_at"),
        F.lit(run_number).cast("long").alias("run_number"),
    )
