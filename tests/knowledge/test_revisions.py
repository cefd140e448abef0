"""Revisions become the ends and the next versions of incidents, and the ends of suspects' links."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from cas_spark.knowledge.revisions import decided, ended, revised
from cas_spark.lake.table import Table
from cas_spark.lake.tables import INCIDENTS, REVISIONS, SUSPECTS
from cas_spark.settings.effects import Effects

pytestmark = pytest.mark.spark
EFFECTS = Effects().of_kinds()


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def incident(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "incident_id": name,
        "version": 1,
        "known_at": day(10),
        "superseded_at": None,
        "purged_at": None,
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


def link(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "link_id": name,
        "known_at": day(10),
        "superseded_at": None,
        "purged_at": None,
        "suspect_key": "s",
        "priority": "burglary",
        "home_cell_id": 7,
        "incident_id": "i",
        "case_key": None,
        "source": "known",
        "dataset_sha256": "e",
        "row_number": 1,
        "run_number": 1,
        **changes,
    }


def revision(name: str, **changes: Any) -> dict[str, Any]:
    """As delivered; a correction of an extract unless a kind is told."""
    nothing = {c.name: None for c in REVISIONS.columns if c.is_nullable}
    told = {} if "told_kind" in changes else {"code": "51", "priority": "burglary"}
    return {
        **nothing,
        "revision_id": name,
        "source": "register",
        "dataset_sha256": "d",
        "row_number": 2,
        "about": "incident",
        "about_source": "register",
        "known_at": day(20),
        "occurred_from_at": None if told == {} else day(1),
        "cell_id": None if told == {} else 7,
        "status": "pending",
        "run_number": 4,
        **told,
        **changes,
    }


def frame(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    names = [column.name for column in table.columns]
    return spark.createDataFrame([tuple(row[n] for n in names) for row in rows], table.schema)


def same(found: DataFrame, expected: DataFrame) -> None:
    assert_df_equality(
        found, expected, ignore_row_order=True, ignore_nullable=True, ignore_metadata=True
    )


def test_each_revision_is_decided(spark: SparkSession) -> None:
    incidents = frame(
        spark,
        INCIDENTS,
        incident("by_place"),
        incident("by_name", occurred_from_at=day(2), code="R1"),
        incident("of_another_source", source="other"),
        incident("untouched", cell_id=8),
    )
    suspects = frame(spark, SUSPECTS, link("a_link"), link("a_link", known_at=day(25)))
    about_link = {"about": "suspect", "about_source": "known", "named_id": "a_link"}
    given = (
        revision("a"),
        revision("b", named_id="by_name", occurred_from_at=None, cell_id=None),
        revision("c", occurred_from_at=day(5)),
        revision("d", code="Z9", priority=None, cell_id=None),
        revision("e", named_id="not_used", code="Z9", priority=None, cell_id=None),
        revision("f", told_kind="unlawful", named_id="by_place", source="court"),
        revision("g", told_kind="unlawful", named_id="nobody's"),
        revision("h", told_kind="dismissed", **about_link),
        # A key of the one kind of fact is none of the other.
        revision("i", told_kind="unlawful", named_id="a_link"),
    )
    found = decided(frame(spark, REVISIONS, *given), incidents, suspects, EFFECTS, 5)
    linked = {"status": "linked", "effective_at": day(20), "processed_run": 5}
    withdrawn = {"kind": "withdrawn", "effect": "from_known"}
    vain = {"status": "rejected", "reason": "other_code", "kind": "withdrawn", "processed_run": 5}
    expected = (
        given[0] | linked | withdrawn | {"linked_id": "by_place"},
        given[1] | linked | withdrawn | {"linked_id": "by_name"},
        given[2] | {"kind": "withdrawn"},
        given[3] | vain,
        given[4] | vain,
        given[5] | linked | {"kind": "unlawful", "effect": "purge", "linked_id": "by_place"},
        given[6] | {"kind": "unlawful"},
        given[7] | linked | {"kind": "dismissed", "effect": "purge", "linked_id": "a_link"},
        given[8] | {"kind": "unlawful"},
    )
    same(found, frame(spark, REVISIONS, *expected))
    # Decided anew from what it has decided, by a later run, it says the same of the same run.
    versions = incidents.where("version > 1").unionByName(revised(incidents, found))
    again = decided(
        found, incidents.unionByName(versions.where("version > 1")), suspects, EFFECTS, 6
    )
    same(again, found)


def test_versions_follow_from_revisions_and_none_of_another_incident(spark: SparkSession) -> None:
    incidents = frame(spark, INCIDENTS, incident("a"), incident("b"), incident("c"), incident("d"))
    moved = {"told_kind": "relocated", "new_cell_id": 9}
    revisions = decided(
        frame(
            spark,
            REVISIONS,
            revision("1", named_id="a", **moved),
            revision("2", named_id="a", told_kind="unfounded", known_at=day(25)),
            revision("3", named_id="b", told_kind="unlawful"),
            revision(
                "4",
                named_id="c",
                told_kind="reclassified",
                new_code="31",
                new_priority="robbery",
                known_at=day(5),
            ),
        ),
        incidents,
        frame(spark, SUSPECTS),
        EFFECTS,
        5,
    )
    expected = frame(
        spark,
        INCIDENTS,
        incident("a", superseded_at=day(20)),
        incident("a", version=2, known_at=day(20), superseded_at=day(25), cell_id=9, run_number=4),
        incident("b", superseded_at=day(20), purged_at=day(20)),
        incident("c", superseded_at=day(10)),
        incident("c", version=2, code="31", priority="robbery", run_number=4),
    )
    same(revised(incidents, revisions), expected)
    # From versions that were made before, the same follow; without their revisions none do.
    made = incidents.where("incident_id = 'd'").unionByName(expected)
    same(revised(made, revisions), expected)
    undone = revised(made, revisions.where("revision_id = '3'"))
    same(
        undone,
        frame(
            spark,
            INCIDENTS,
            *(
                incident("a"),
                incident("b", superseded_at=day(20), purged_at=day(20)),
                incident("c"),
            ),
        ),
    )


def test_a_decision_ends_a_link_and_all_its_later_versions(spark: SparkSession) -> None:
    suspects = frame(
        spark,
        SUSPECTS,
        link("moved"),
        link("moved", known_at=day(15)),
        link("ended"),
        link("ended", known_at=day(25)),
        link("acquitted"),
        link("acquitted", known_at=day(25)),
    )
    about = {"about": "suspect", "about_source": "known"}
    effects = {**EFFECTS, "dismissed": "from_known"}
    revisions = decided(
        frame(
            spark,
            REVISIONS,
            revision("1", told_kind="dismissed", named_id="ended", **about),
            revision("2", told_kind="acquitted", named_id="acquitted", **about),
        ),
        frame(spark, INCIDENTS, incident("i")),
        suspects,
        effects,
        5,
    )
    purged = {"purged_at": day(20)}
    expected = (
        link("moved", superseded_at=day(15)),
        link("moved", known_at=day(15)),
        link("ended", superseded_at=day(20)),
        link("ended", known_at=day(25), superseded_at=day(25)),
        link("acquitted", superseded_at=day(20), **purged),
        link("acquitted", known_at=day(25), superseded_at=day(25), **purged),
    )
    same(ended(suspects, revisions), frame(spark, SUSPECTS, *expected))
    # A version that is delivered later is ended too, and what was ended before stays so.
    late = link("acquitted", known_at=day(28))
    both = ended(suspects, revisions).unionByName(frame(spark, SUSPECTS, late))
    found = ended(both, revisions)
    same(found, frame(spark, SUSPECTS, *expected, late | purged | {"superseded_at": day(28)}))


def test_no_revision_of_a_suspect_changes_an_incident(spark: SparkSession) -> None:
    incidents = frame(spark, INCIDENTS, incident("i"))
    about = {"about": "suspect", "about_source": "known", "named_id": "a"}
    revisions = decided(
        frame(
            spark,
            REVISIONS,
            revision("1", told_kind="erased", decided_on=date(2024, 1, 2), **about),
        ),
        incidents,
        frame(spark, SUSPECTS, link("a")),
        EFFECTS,
        5,
    )
    assert [row["status"] for row in revisions.collect()] == ["linked"]
    assert revised(incidents, revisions).isEmpty()
