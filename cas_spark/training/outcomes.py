"""Outcomes: how many incidents of a priority a cell had in a week, versioned by when it was known.

A label is a fact like any other, so it obeys the same time rule: a model trained at a moment learns
from the outcomes that were known at that moment.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from cas_spark.knowledge.visibility import week_on


def outcomes_of(incidents: DataFrame, zone: ZoneInfo, weekday: int) -> DataFrame:
    """The rows of `outcomes`: every number that was ever known of a cell, week and priority.

    Each version of an incident adds one when it becomes known and takes one away when it is
    superseded.

    Args:
        incidents: versions of incidents.
        zone: in which weeks begin at midnight.
        weekday: of the polls, Monday 0.
    """
    place = ["priority", "cell_id", "week_on"]
    counted = incidents.select("*", week_on(zone, weekday).alias("week_on"))
    added = counted.select(*place, "known_at", F.lit(1).alias("step"))
    taken = counted.where(F.col("superseded_at").isNotNull()).select(
        *place, F.col("superseded_at").alias("known_at"), F.lit(-1).alias("step")
    )
    steps = added.unionByName(taken).groupBy(*place, "known_at").agg(F.sum("step").alias("step"))
    in_time = Window.partitionBy(*place).orderBy("known_at")
    so_far = in_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return steps.where(F.col("step") != 0).select(
        *place,
        "known_at",
        F.lead("known_at").over(in_time).alias("superseded_at"),
        F.sum("step").over(so_far).cast("int").alias("incidents"),
    )


def labels_of(
    known_outcomes: DataFrame, horizons: Mapping[str, int], polls: Sequence[date]
) -> DataFrame:
    """Which horizons' target weeks had an incident, per priority, cell and poll.

    Args:
        known_outcomes: the outcomes as known at the training moment.
        horizons: name -> weeks from the poll to the start of the target week.
        polls: that models learn from.

    Returns:
        priority, cell_id, poll_on, horizons (array of names); only rows with at least one.
    """
    positive = known_outcomes.where(F.col("incidents") > 0)
    per_horizon = [
        positive.select(
            "priority",
            "cell_id",
            F.date_sub("week_on", 7 * weeks).alias("poll_on"),
            F.lit(name).alias("horizon"),
        )
        for name, weeks in horizons.items()
    ]
    together = per_horizon[0]
    for frame in per_horizon[1:]:
        together = together.unionByName(frame)
    return (
        together.where(F.col("poll_on").between(polls[0], polls[-1]))
        .groupBy("priority", "cell_id", "poll_on")
        .agg(F.sort_array(F.collect_set("horizon")).alias("horizons"))
    )
