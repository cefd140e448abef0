"""Revisions: what corrections say of incidents, as versions of facts."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.knowledge.linking import (
    LINKED,
    PENDING,
    REJECTED,
    Correction,
    Record,
    link,
)

OTHER_CODE = "other_code"

DECISION = (
    "revision_id string, status string, kind string, reason string, "
    "linked_incident_id string, effective_micros long"
)
_FIELDS = ("revision_id", "status", "kind", "reason", "incident_id", "effective_at")


def decided(revisions: DataFrame, incidents: DataFrame) -> DataFrame:
    """Revisions with what became of them, decided anew from all facts.

    A source's corrections and the records that may be meant by them pass through one task; that is
    some times as many rows as there are corrections, never all incidents.

    Args:
        revisions: rows of `revisions`, all of each source.
        incidents: rows of `incidents`.

    Returns:
        The same rows with `status`, `kind`, `reason`, `linked_incident_id` and `effective_at`.
    """
    told = (
        "source",
        "incident_id",
        "code",
        "case_key",
        "cell_id",
        F.unix_micros("known_at").alias("known_at"),
        F.unix_micros("occurred_from_at").alias("occurred_at"),
    )
    asked = revisions.select("revision_id", *told)
    records = _that_may_be_meant(incidents, revisions).select(*told)
    decisions = (
        asked.groupBy("source")
        .cogroup(records.groupBy("source"))
        .applyInArrow(_decide, DECISION)
        .withColumn("effective_at", F.timestamp_micros("effective_micros"))
        .drop("effective_micros")
    )
    undecided = revisions.drop("status", "kind", "reason", "linked_incident_id", "effective_at")
    # What a code of no priority takes back is no incident here, so there is nothing to wait for.
    is_vain = (F.col("status") == PENDING) & F.col("priority").isNull()
    return (
        undecided.join(decisions, "revision_id")
        .withColumns(
            {
                "reason": F.when(is_vain, F.lit(OTHER_CODE)).otherwise(F.col("reason")),
                "status": F.when(is_vain, F.lit(REJECTED)).otherwise(F.col("status")),
            }
        )
        .select(*revisions.columns)
    )


def count_by_status(revisions: DataFrame) -> dict[str, int]:
    """How many revisions have which status, in the order of its name."""
    counts = revisions.groupBy("status").count().orderBy("status").collect()
    return {row["status"]: row["count"] for row in counts}


def superseded(incidents: DataFrame, revisions: DataFrame) -> DataFrame:
    """Incidents with `superseded_at`: from when on a linked revision takes them back.

    Args:
        incidents: rows of `incidents`.
        revisions: as `decided` returns them.
    """
    ends = revisions.where(F.col("status") == LINKED).select(
        F.col("linked_incident_id").alias("incident_id"),
        F.col("effective_at").alias("superseded_at"),
    )
    return (
        incidents.drop("superseded_at").join(ends, "incident_id", "left").select(*incidents.columns)
    )


def _that_may_be_meant(incidents: DataFrame, revisions: DataFrame) -> DataFrame:
    """The incidents that share a name, a case, or a time and place with a revision."""
    keys = (["incident_id"], ["source", "case_key"], ["source", "occurred_from_at", "cell_id"])
    sharing = incidents.join(revisions.select(keys[0]), keys[0], "left_semi")
    for key in keys[1:]:
        sharing = sharing.unionByName(incidents.join(revisions.select(key), key, "left_semi"))
    return sharing.dropDuplicates(["incident_id"])


def _decide(asked: pa.Table, records: pa.Table) -> pa.Table:
    corrections = [
        Correction(
            row["revision_id"],
            row["known_at"],
            row["incident_id"],
            row["code"],
            row["case_key"],
            None
            if row["occurred_at"] is None or row["cell_id"] is None
            else (row["occurred_at"], row["cell_id"]),
        )
        for row in _rows(asked)
    ]
    known = [
        Record(
            row["incident_id"],
            row["known_at"],
            row["code"],
            row["case_key"],
            (row["occurred_at"], row["cell_id"]),
        )
        for row in _rows(records)
    ]
    links = link(corrections, known)
    types = (pa.string(),) * 5 + (pa.int64(),)
    columns = {
        name.split()[0]: pa.array([getattr(found, field) for found in links], kind)
        for name, field, kind in zip(DECISION.split(", "), _FIELDS, types, strict=True)
    }
    return pa.table(columns)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches():
        yield from batch.to_pylist()
