"""What goes by term or order, and what goes with it."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cas_spark.knowledge.retention import Facts, due
from cas_spark.lake import tables
from cas_spark.lake.table import Table

pytestmark = pytest.mark.spark

CUT = datetime(2022, 1, 1, tzinfo=UTC)
BEFORE, AFTER = datetime(2021, 6, 1, tzinfo=UTC), datetime(2022, 6, 1, tzinfo=UTC)
VERSION = "known_at timestamp, superseded_at timestamp, purged_at timestamp"
PLACE = "dataset_sha256 string, row_number long"
SCHEMAS = {
    "incidents": f"incident_id string, case_key string, source string, cell_id long, "
    f"occurred_from_at timestamp, {VERSION}, {PLACE}",
    "suspects": f"link_id string, incident_id string, case_key string, {VERSION}, source string, "
    f"{PLACE}",
    "revisions": "revision_id string, status string, about string, kind string, linked_id string, "
    "named_id string, case_key string, about_source string, cell_id long, "
    "occurred_from_at timestamp, known_at timestamp, effective_at timestamp, source string, "
    f"{PLACE}",
    "revision_costs": "revision_id string",
    "rejected_rows": "source string, dataset_sha256 string, row_number long, found string",
    "datasets": "source string, sha256 string, known_until_at timestamp",
}


def facts(spark: SparkSession, **rows: list[dict[str, Any]]) -> Facts:
    def frame(name: str) -> Any:
        columns = [column.split()[0] for column in SCHEMAS[name].split(", ")]
        values = [tuple(row.get(column) for column in columns) for row in rows.get(name, [])]
        return spark.createDataFrame(values, SCHEMAS[name])

    return Facts(**{name: frame(name) for name in SCHEMAS})


def incident(identity: str, known: datetime, **more: Any) -> dict[str, Any]:
    told = {"source": "s", "cell_id": 1, "occurred_from_at": known}
    return {"incident_id": identity, "known_at": known, **told, **more}


def link(identity: str, known: datetime, **more: Any) -> dict[str, Any]:
    return {"link_id": identity, "known_at": known, **more}


def revision(identity: str, status: str, **more: Any) -> dict[str, Any]:
    told = {"about": "incident", "about_source": "s", "kind": "withdrawn", "known_at": AFTER}
    return {"revision_id": identity, "status": status, **told, **more}


def went(found: Facts, table: str, **cuts: datetime) -> dict[str, str]:
    rows = due(found, cuts)[table].collect()
    assert len(rows) == len({row[0] for row in rows})
    key = {"incidents": "incident_id", "suspects": "link_id", "revisions": "revision_id"}[table]
    return {row[key]: row["why"] for row in rows}


def test_a_term_runs_from_the_last_that_became_known_about_an_incident(
    spark: SparkSession,
) -> None:
    found = facts(
        spark,
        incidents=[
            incident("long past", BEFORE),
            incident("of late", AFTER),
            incident("revised of late", BEFORE, superseded_at=AFTER),
            incident("decided on of late", BEFORE),
            incident("with a suspect of late", BEFORE),
            incident("whose case has a suspect of late", BEFORE, case_key="case"),
            incident("on the day itself", CUT),
        ],
        revisions=[
            revision("r", "linked", linked_id="decided on of late", effective_at=AFTER),
        ],
        suspects=[
            link("a", AFTER, incident_id="with a suspect of late"),
            link("b", AFTER, case_key="case"),
        ],
    )
    assert went(found, "incidents", incidents=CUT) == {"long past": "term"}
    assert went(found, "incidents") == {}


def test_with_an_incident_goes_all_that_is_or_may_be_about_it(spark: SparkSession) -> None:
    order = revision("order", "linked", kind="erased", linked_id="i", effective_at=AFTER)
    same = {"occurred_from_at": AFTER, "cell_id": 1}
    found = facts(
        spark,
        incidents=[
            incident("i", AFTER, case_key="shared"),
            incident("bare", BEFORE, case_key="alone"),
            incident("stays", AFTER, case_key="shared"),
        ],
        suspects=[
            link("of i", AFTER, incident_id="i"),
            link("of the case that is left", AFTER, case_key="shared"),
            link("of the case of which nothing is left", BEFORE, case_key="alone"),
        ],
        revisions=[
            order,
            revision("waits for i", "pending", named_id="i"),
            revision("ambiguous in its case", "rejected", case_key="shared"),
            revision("ambiguous in its place and time", "rejected", **same),
            revision("linked to another of the case", "linked", linked_id="stays",
                     case_key="shared", effective_at=AFTER),
            revision("of another source", "pending", **same | {"about_source": "t"}),
            revision("of nothing, long ago", "pending", known_at=BEFORE),
        ],
    )  # fmt: skip
    assert went(found, "incidents", incidents=CUT) == {"i": "ordered", "bare": "term"}
    assert went(found, "suspects", incidents=CUT) == {
        "of i": "ordered",
        "of the case of which nothing is left": "term",
    }
    of_i = {
        "order": "ordered",
        "waits for i": "ordered",
        "ambiguous in its case": "ordered",
        "ambiguous in its place and time": "ordered",
    }
    assert went(found, "revisions", incidents=CUT) == of_i
    old = {"of nothing, long ago": "term"}
    assert went(found, "revisions", incidents=CUT, revisions=CUT) == of_i | old


def test_a_link_goes_alone_and_an_order_about_it_does_not_touch_the_incident(
    spark: SparkSession,
) -> None:
    about = {"about": "suspect", "kind": "erased", "effective_at": AFTER}
    found = facts(
        spark,
        incidents=[incident("i", AFTER)],
        suspects=[
            link("erased", AFTER, incident_id="i"),
            link("long past", BEFORE, incident_id="i"),
            link("stays", BEFORE, incident_id="i", superseded_at=AFTER),
        ],
        revisions=[revision("order", "linked", linked_id="erased", **about)],
    )
    assert went(found, "suspects", suspects=CUT) == {"erased": "ordered", "long past": "term"}
    assert went(found, "incidents", suspects=CUT) == {}
    assert went(found, "revisions", suspects=CUT) == {"order": "ordered"}


def test_rejected_rows_go_with_what_they_tell_or_with_their_extracts(spark: SparkSession) -> None:
    row = {"source": "s", "dataset_sha256": "new"}
    found = facts(
        spark,
        incidents=[incident("s:i", BEFORE)],
        rejected_rows=[
            row | {"row_number": 1, "found": "s:i"},
            row | {"row_number": 2, "found": "s:other"},
            row | {"row_number": 3, "dataset_sha256": "old"},
        ],
        datasets=[
            {"source": "s", "sha256": "new", "known_until_at": AFTER},
            {"source": "s", "sha256": "old", "known_until_at": BEFORE},
            {"source": "s", "sha256": "of which no row was used"},
        ],
    )

    def numbers(**cuts: datetime) -> list[int]:
        return sorted(row["row_number"] for row in due(found, cuts)["rejected_rows"].collect())

    assert numbers(incidents=CUT) == [1]
    assert numbers(rejected_rows=CUT) == [3]
    assert numbers(incidents=CUT, rejected_rows=CUT) == [1, 3]


def replaced(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    """Rows of a table of replaced facts, with nothing in the columns that they do not tell."""
    told = [tuple(row.get(c.name) for c in table.columns) for row in rows]
    schema = ", ".join(f"{c.name} {c.type.simpleString()}" for c in table.columns)
    return spark.createDataFrame(told, schema)


def test_replaced_rows_go_with_the_facts_that_they_were(spark: SparkSession) -> None:
    place = {"source": "s", "dataset_sha256": "d"}
    found = facts(
        spark,
        incidents=[
            incident("s:old", BEFORE, row_number=1, **place),
            incident("s:new", AFTER, row_number=2, **place),
        ],
        datasets=[
            {"source": "s", "sha256": "d", "known_until_at": AFTER},
            {"source": "s", "sha256": "past", "known_until_at": BEFORE},
        ],
    )
    incidents = [
        {"incident_id": "s:old", "known_at": AFTER, "row_number": 1},
        {"incident_id": "s:called otherwise", "known_at": AFTER, "row_number": 1},
        {"incident_id": "s:new", "known_at": AFTER, "row_number": 2},
        {"incident_id": "s:not one now, old", "known_at": BEFORE, "row_number": 3},
        {"incident_id": "s:not one now", "known_at": AFTER, "row_number": 4},
        # Misread as known in the future: its extract tells that it is old.
        {
            "incident_id": "s:of long ago",
            "known_at": AFTER + timedelta(days=9999),
            "row_number": 1,
            "dataset_sha256": "past",
        },
    ]
    rejected = [
        {"row_number": 9, "found": "s:called otherwise"},
        {"row_number": 10, "found": "s:new"},
    ]
    tables_of = {
        table.name: replaced(spark, table, *({"replacement": 1, **place, **row} for row in rows))
        for table, rows in (
            (tables.REPLACED_INCIDENTS, incidents),
            (tables.REPLACED_REJECTED_ROWS, rejected),
        )
    }
    gone = due(dataclasses.replace(found, replaced=tables_of), {"incidents": CUT})
    assert {row["incident_id"]: row["why"] for row in gone["replaced_incidents"].collect()} == {
        "s:old": "term",
        "s:called otherwise": "term",
        "s:not one now, old": "term",
        "s:of long ago": "term",
    }
    assert [row["row_number"] for row in gone["replaced_rejected_rows"].collect()] == [9]
