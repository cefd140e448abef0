"""What was removed for good is not taken in again, whichever extract brings it.

| reason | the row |
| --- | --- |
| `erased` | is, or is about, a fact that was erased on order |
| `past_term` | became known before the day from which on facts of its class are kept |

These come before every check that compares a row with others. No value of such a row is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.sources.keyed_ids import digest_of_id

ERASED, PAST_TERM = "erased", "past_term"


@dataclass(frozen=True)
class Removed:
    """What the lake no longer holds.

    Attributes:
        erased: `id_sha256` of the facts that were erased on order.
        kept_from: instant before which what became known was removed; None where nothing was.
    """

    erased: DataFrame
    kept_from: datetime | None


def without_removed(
    rows: DataFrame, removed: Removed | None, ids: Sequence[str], comparing: Sequence[str]
) -> DataFrame:
    """Give rows that were removed the reason for it, without what was found.

    Args:
        rows: with `reason`, `found` and `known_at`.
        removed: what the lake no longer holds; None for a lake that holds all.
        ids: columns with ids of facts that a row is, or is about; may be null.
        comparing: reasons that follow from comparing a row with others.
    """
    if removed is None:
        return rows
    is_past_term = F.lit(False)
    if removed.kept_from is not None:
        is_past_term = F.col("known_at") < F.lit(removed.kept_from)
    listed = F.broadcast(removed.erased.select(F.col("id_sha256").alias("listed")).distinct())
    is_erased = F.lit(False)
    for number, column in enumerate(ids):
        listed_as = f"listed_{number}"
        rows = rows.join(
            listed.withColumnRenamed("listed", listed_as),
            digest_of_id(F.col(column)) == F.col(listed_as),
            "left",
        )
        is_erased |= F.col(listed_as).isNotNull()
    is_open = F.col("reason").isNull() | F.col("reason").isin(*comparing)
    reason = F.when(is_open & is_erased, ERASED).when(is_open & is_past_term, PAST_TERM)
    return (
        rows.withColumn("removed_for", reason)
        .withColumn("found", F.when(F.col("removed_for").isNull(), F.col("found")))
        .withColumn("reason", F.coalesce("removed_for", "reason"))
        .drop("removed_for", *(f"listed_{number}" for number in range(len(ids))))
    )
