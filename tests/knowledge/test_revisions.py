"""Corrections become the ends of versions of incidents."""

from datetime import UTC, datetime
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from cas_spark.knowledge.revisions import decided, superseded
from cas_spark.lake.tables import INCIDENTS, REVISIONS

pytestmark = pytest.mark.spark


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def incident(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "incident_id": name,
        "known_at": day(10),
        "superseded_at": None,
        "occurred_from_at": day(1),
        "occurred_until_at": day(1),
        "priority": "burglary",
        "code": "51",
        "cell_id": 7,
        "case_key": None,
        "reported_by": None,
        "source": "register",
        "dataset_sha256": "d",
        "row_number": 1,
        "run_number": 1,
        **changes,
    }


def revision(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "revision_id": name,
        "source": "register",
        "dataset_sha256": "d",
        "row_number": 2,
        "known_at": day(20),
        "incident_id": None,
        "case_key": None,
        "code": "51",
        "priority": "burglary",
        "occurred_from_at": day(1),
        "cell_id": 7,
        "status": "pending",
        "kind": None,
        "reason": None,
        "linked_incident_id": None,
        "effective_at": None,
        "run_number": 1,
        **changes,
    }


def rows_of(*rows: dict[str, Any], like: Any) -> list[tuple[Any, ...]]:
    return [tuple(row[column.name] for column in like.columns) for row in rows]


def test_each_revision_is_decided_and_ends_what_it_takes_back(spark: SparkSession) -> None:
    incidents = spark.createDataFrame(
        rows_of(
            incident("by_place"),
            incident("by_name", occurred_from_at=day(2), code="R1"),
            incident("of_another_source", source="other"),
            incident("untouched", cell_id=8),
            like=INCIDENTS,
        ),
        INCIDENTS.schema,
    )
    given = (
        revision("a"),
        revision("b", incident_id="by_name", occurred_from_at=None, cell_id=None),
        revision("c", occurred_from_at=day(5)),
        revision("d", code="Z9", priority=None, cell_id=None),
        revision("e", incident_id="not_used", code="Z9", priority=None, cell_id=None),
    )
    revisions = decided(
        spark.createDataFrame(rows_of(*given, like=REVISIONS), REVISIONS.schema), incidents
    )
    linked = {"status": "linked", "kind": "withdrawn", "effective_at": day(20)}
    expected = (
        given[0] | linked | {"linked_incident_id": "by_place"},
        given[1] | linked | {"linked_incident_id": "by_name"},
        given[2] | {"kind": "withdrawn"},
        *(
            r | {"status": "rejected", "kind": "withdrawn", "reason": "other_code"}
            for r in given[3:]
        ),
    )
    assert_df_equality(
        revisions,
        spark.createDataFrame(rows_of(*expected, like=REVISIONS), REVISIONS.schema),
        ignore_row_order=True,
        ignore_nullable=True,
        ignore_metadata=True,
    )
    ended = superseded(incidents, revisions)
    assert {row["incident_id"] for row in ended.where("superseded_at IS NOT NULL").collect()} == {
        "by_place",
        "by_name",
    }
    assert ended.columns == incidents.columns
    # Decided anew from what it has decided, it says the same.
    again = decided(revisions, ended)
    assert_df_equality(
        again, revisions, ignore_row_order=True, ignore_nullable=True, ignore_metadata=True
    )
