"""Revisions: what they are about, and what they make of the versions of facts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from cas_spark.knowledge.linking import (
    LINKED,
    PENDING,
    REJECTED,
    Record,
    Revision,
    link,
    order_of,
)
from cas_spark.knowledge.versions import (
    RECLASSIFIED,
    RELOCATED,
    Change,
    Version,
    versions_of,
)
from cas_spark.lake.tables import INCIDENTS
from cas_spark.settings.effects import CHANGING, PURGE

INCIDENT, SUSPECT = "incident", "suspect"
OTHER_CODE = "other_code"

DECIDED = ("status", "kind", "effect", "reason", "linked_id", "effective_at", "processed_run")
"""Columns of `revisions` that `decided` gives."""

_ORDER = ("former_order", "dataset_sha256", "row_number")
"""Columns of `revisions` that `order_of` looks at."""

_DECISION = (
    "revision_id string, status string, inferred_kind string, reason string, "
    "linked_id string, effective_micros long"
)
_FIELDS = ("revision_id", "status", "inferred_kind", "reason", "fact_id", "effective_at")


def decided(
    revisions: DataFrame,
    incidents: DataFrame,
    suspects: DataFrame,
    effects: Mapping[str, str],
    run_number: int,
) -> DataFrame:
    """Return revisions with their outcome, decided again from all facts.

    The revisions about a source's facts and the records that may be meant by them pass through one
    task; that is some times as many rows as there are revisions, never all incidents.

    Args:
        revisions: rows of `revisions`, all of each source.
        incidents: rows of `incidents`.
        suspects: rows of `suspects`.
        effects: kind -> purge or from_known.
        run_number: of the run that decides; it stands at what was not decided so before.

    Returns:
        The same rows with the columns of DECIDED.
    """
    asked = revisions.select(
        "revision_id",
        "about_source",
        "named_id",
        "code",
        "case_key",
        "cell_id",
        _micros("known_at"),
        _micros("occurred_from_at").alias("occurred_at"),
        _is_taking_back().alias("is_taking_back"),
        *_ORDER,
    )
    decisions = (
        asked.groupBy("about_source")
        .cogroup(_records(revisions, incidents, suspects).groupBy("source"))
        .applyInArrow(_decide, _DECISION)
    )
    before = {name: F.col(name).alias(f"{name}_before") for name in DECIDED}
    undecided = revisions.withColumnsRenamed({name: f"{name}_before" for name in before})
    found = undecided.join(decisions, "revision_id").withColumn(
        "kind", F.coalesce("told_kind", "inferred_kind")
    )
    # What a code of no priority takes back is no incident here, so there is nothing to wait for.
    is_vain = (F.col("status") == PENDING) & F.col("code").isNotNull() & F.col("priority").isNull()
    effect = F.create_map(*[F.lit(part) for pair in effects.items() for part in pair])
    found = found.withColumns(
        {
            "reason": F.when(is_vain, F.lit(OTHER_CODE)).otherwise(F.col("reason")),
            "status": F.when(is_vain, F.lit(REJECTED)).otherwise(F.col("status")),
            "effective_at": F.timestamp_micros("effective_micros"),
        }
    ).withColumn("effect", F.when(F.col("status") == LINKED, effect[F.col("kind")]))
    decided_columns = [name for name in DECIDED if name != "processed_run"]
    is_as_before = F.col("processed_run_before").isNotNull()
    for name in decided_columns:
        is_as_before &= F.col(name).eqNullSafe(F.col(f"{name}_before"))
    processed = F.when(is_as_before, F.col("processed_run_before")).otherwise(F.lit(run_number))
    return found.withColumn(
        "processed_run", F.when(F.col("status") != PENDING, processed.cast("long"))
    ).select(*revisions.columns)


def count_by_status(revisions: DataFrame) -> dict[str, int]:
    """How many revisions have which status, in the order of its name."""
    counts = revisions.groupBy("status").count().orderBy("status").collect()
    return {row["status"]: row["count"] for row in counts}


def revised(incidents: DataFrame, revisions: DataFrame) -> DataFrame:
    """All versions of the incidents that a revision is linked to, or once was.

    Args:
        incidents: rows of `incidents`.
        revisions: as `decided` returns them.
    """
    linked = revisions.where((F.col("status") == LINKED) & (F.col("about") == INCIDENT))
    was_revised = (F.col("version") > 1) | F.col("superseded_at").isNotNull()
    touched = (
        linked.select(F.col("linked_id").alias("incident_id"))
        .union(incidents.where(was_revised).select("incident_id"))
        .distinct()
    )
    delivered = incidents.where("version = 1").join(touched, "incident_id", "left_semi")
    changes = linked.select(
        "about_source",
        "linked_id",
        "revision_id",
        _micros("effective_at"),
        "kind",
        "effect",
        "new_code",
        "new_priority",
        _micros("new_occurred_from_at"),
        _micros("new_occurred_until_at"),
        "new_cell_id",
        "run_number",
        _micros("known_at"),
        *_ORDER,
    )
    instants = [c.name for c in INCIDENTS.columns if c.name.endswith("_at")]
    as_micros = delivered.withColumns({name: F.unix_micros(name) for name in instants})
    schema = as_micros.select(*incidents.columns).schema
    return (
        as_micros.groupBy("source")
        .cogroup(changes.groupBy("about_source"))
        .applyInArrow(_revise(to_arrow_schema(schema)), schema)
        .withColumns({name: F.timestamp_micros(name) for name in instants})
        .select(*incidents.columns)
    )


def ended(suspects: DataFrame, revisions: DataFrame) -> DataFrame:
    """Versions of links with `superseded_at` and `purged_at`.

    A version holds until the next becomes known, or a decision ends its link: then no later version
    of the link counts either.

    Args:
        suspects: rows of `suspects`, all of each link.
        revisions: as `decided` returns them.
    """
    about = revisions.where((F.col("status") == LINKED) & (F.col("about") == SUSPECT))
    ends = about.groupBy(F.col("linked_id").alias("link_id")).agg(
        F.min("effective_at").alias("ended_at"),
        F.min(F.when(F.col("effect") == PURGE, F.col("effective_at"))).alias("end_purged_at"),
    )
    next_known_at = F.lead("known_at").over(Window.partitionBy("link_id").orderBy("known_at"))
    no_sooner_than_known = F.when(F.col("ended_at").isNotNull(), F.greatest("ended_at", "known_at"))
    return (
        suspects.join(ends, "link_id", "left")
        .withColumns(
            {
                # Null counts for nothing in `least`.
                "superseded_at": F.least(next_known_at, no_sooner_than_known),
                "purged_at": F.col("end_purged_at"),
            }
        )
        .select(*suspects.columns)
    )


def _micros(name: str) -> Column:
    return F.unix_micros(name).alias(name)


def _is_taking_back() -> Column:
    """Whether nothing follows what a revision is about, so that no other can take that back."""
    kind = F.col("told_kind")
    is_changing = kind.isin(*CHANGING)
    leads_nowhere = ((kind == RECLASSIFIED) & F.col("new_priority").isNull()) | (
        (kind == RELOCATED) & F.col("new_cell_id").isNull()
    )
    return F.coalesce(~is_changing | leads_nowhere, F.lit(True))


def _records(revisions: DataFrame, incidents: DataFrame, suspects: DataFrame) -> DataFrame:
    """The facts that may be meant: they share a name, a case, or time and place with a revision."""
    first = incidents.where("version = 1").select(
        "source",
        F.col("incident_id").alias("named_id"),
        "code",
        "case_key",
        "cell_id",
        "occurred_from_at",
        "known_at",
    )
    links = suspects.groupBy("source", F.col("link_id").alias("named_id")).agg(
        F.min("known_at").alias("known_at")
    )
    asked = revisions.select(
        F.col("about_source").alias("source"), "named_id", "case_key", "occurred_from_at", "cell_id"
    )
    keys = (
        ["source", "named_id"],
        ["source", "case_key"],
        ["source", "occurred_from_at", "cell_id"],
    )
    meant = links.join(asked.select(*keys[0]), keys[0], "left_semi")
    for key in keys:
        sharing = first.join(asked.select(*key), key, "left_semi").select(*first.columns)
        meant = meant.unionByName(sharing, allowMissingColumns=True)
    return meant.dropDuplicates(["source", "named_id"]).select(
        "source",
        "named_id",
        "code",
        "case_key",
        "cell_id",
        _micros("known_at"),
        F.unix_micros("occurred_from_at").alias("occurred_at"),
    )


def _decide(asked: pa.Table, records: pa.Table) -> pa.Table:
    revisions = [
        Revision(
            row["revision_id"],
            row["known_at"],
            row["named_id"],
            row["code"],
            row["case_key"],
            None
            if row["occurred_at"] is None or row["cell_id"] is None
            else (row["occurred_at"], row["cell_id"]),
            row["is_taking_back"],
            order_of(row),
        )
        for row in _rows(asked)
    ]
    known = [
        Record(
            row["named_id"],
            row["known_at"],
            row["code"],
            row["case_key"],
            (row["occurred_at"], row["cell_id"]),
        )
        for row in _rows(records)
    ]
    links = link(revisions, known)
    types = (pa.string(),) * 5 + (pa.int64(),)
    columns = {
        name.split()[0]: pa.array([getattr(found, field) for found in links], kind)
        for name, field, kind in zip(_DECISION.split(", "), _FIELDS, types, strict=True)
    }
    return pa.table(columns)


def _revise(schema: pa.Schema) -> Any:
    """What makes versions of delivered incidents and the changes to them; in a task."""

    def revise(delivered: pa.Table, changes: pa.Table) -> pa.Table:
        of_incident: dict[str, list[Change]] = defaultdict(list)
        loaded_by: dict[str, int] = {}
        for row in _rows(changes):
            loaded_by[row["revision_id"]] = row["run_number"]
            change = Change(
                row["revision_id"],
                row["effective_at"],
                row["kind"],
                row["effect"],
                row["new_code"],
                row["new_priority"],
                row["new_occurred_from_at"],
                row["new_occurred_until_at"],
                row["new_cell_id"],
                (row["known_at"], *order_of(row)),
            )
            of_incident[row["linked_id"]].append(change)
        rows = []
        for row in _rows(delivered):
            first = Version(
                row["known_at"],
                row["occurred_from_at"],
                row["occurred_until_at"],
                row["code"],
                row["priority"],
                row["cell_id"],
            )
            versions = versions_of(first, of_incident[row["incident_id"]])
            for number, version in enumerate(versions, start=1):
                run_number = loaded_by.get(version.revision_id or "", row["run_number"])
                rows.append(
                    row | _values_of(version) | {"version": number, "run_number": run_number}
                )
        return pa.Table.from_pylist(rows, schema=schema)

    return revise


def _values_of(version: Version) -> dict[str, Any]:
    return {
        "known_at": version.known_at,
        "superseded_at": version.superseded_at,
        "purged_at": version.purged_at,
        "occurred_from_at": version.occurred_from,
        "occurred_until_at": version.occurred_until,
        "code": version.code,
        "priority": version.priority,
        "cell_id": version.cell_id,
    }


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches():
        yield from batch.to_pylist()
