"""Baselines: plain counting, which a model has to beat. They see what the model saw."""

from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ALL_HISTORY = "all_history_count"
DECAYED = "decayed_count"
BASELINES = (ALL_HISTORY, DECAYED)

WEIGHT_BITS = 30
OLDEST_WEEKS = 1040
"""Older incidents weigh as much as incidents of this age."""


def decay_weights(half_life_weeks: float) -> list[int]:
    """2^(-age / half life) in units of 2^-30 for ages of 0, 1, 2 … weeks.

    Whole numbers, computed in decimals, so that sums are exact and the same on every machine.
    """
    half_life = Decimal(str(half_life_weeks))
    scale = Decimal(1 << WEIGHT_BITS)
    return [
        int((Decimal(2) ** (-Decimal(age) / half_life) * scale).to_integral_value())
        for age in range(OLDEST_WEEKS + 1)
    ]


def baseline_scores(known: DataFrame, age_weeks: Column, half_life_weeks: float) -> DataFrame:
    """What each baseline thinks of each cell in which anything happened.

    Args:
        known: versions of incidents as known at the forecast's poll: priority, cell_id, instants.
        age_weeks: weeks from the start of the week in which an incident counts to the poll.
        half_life_weeks: of the decayed count.

    Returns:
        priority, cell_id, method, score (long).
    """
    weights = F.array(*[F.lit(weight) for weight in decay_weights(half_life_weeks)])
    age = F.least(F.greatest(age_weeks, F.lit(0)), F.lit(OLDEST_WEEKS)).cast("int")
    counts = known.groupBy("priority", "cell_id", age.alias("age")).count()
    sums = counts.groupBy("priority", "cell_id").agg(
        F.sum("count").alias(ALL_HISTORY),
        F.sum(F.col("count") * weights[F.col("age")]).cast("long").alias(DECAYED),
    )
    return sums.unpivot(["priority", "cell_id"], list(BASELINES), "method", "score")
