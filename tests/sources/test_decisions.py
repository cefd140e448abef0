"""Extracts of decisions: each row is a revision of what it names, or rejected with its reason."""

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pyspark.sql import SparkSession

from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.sources.decisions import RevisionDelivery, deliver_revisions
from cas_spark.sources.reading import read_rows
from tests.sources.deliveries import KEY, land_of, settings_of, utc

HEADER = ("number", "said", "decided", "known", "code", "began", "ended", "x", "y", "person")
FINE = {
    "number": "7",
    "said": "unlawful",
    "decided": "2020-01-02",
    "known": "2020-01-06 09:00",
    "code": "",
    "began": "",
    "ended": "",
    "x": "",
    "y": "",
    "person": "P-0001",
}
FORMATS = ["yyyy-MM-dd HH:mm"]
SOURCE = {
    "name": "decisions",
    "files": "decisions.csv",
    "format": "csv",
    "provenance": {"source": "someone", "purpose": "tests", "legal_basis": "none needed"},
    "complete_from": "2020-01-01",
    "incident": {"source": "register", "key": ["number"]},
    "kinds": {
        "column": "said",
        "values": {kind: [kind] for kind in ("unlawful", "reclassified", "relocated", "retimed")},
    },
    "decided": {"column": "decided", "formats": ["yyyy-MM-dd"]},
    "known": {"column": "known", "formats": FORMATS},
    "code": "code",
    "occurred": {"start": "began", "end": "ended", "formats": FORMATS},
    "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
}
ABOUT_SUSPECTS = {
    **{
        name: value
        for name, value in SOURCE.items()
        if name not in ("code", "occurred", "location")
    },
    "kinds": {"column": "said", "values": {"dismissed": ["sepot"]}},
    "suspect": {"source": "known", "person": "person"},
}


def row(**changes: str) -> dict[str, str]:
    return FINE | changes


def delivered(
    spark: SparkSession,
    folder: Path,
    rows: Sequence[dict[str, str]],
    about: dict[str, Any] = SOURCE,
    already: Sequence[str] = (),
) -> RevisionDelivery:
    path = folder / "decisions.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    source = RevisionExtracts.model_validate(about)
    held = spark.createDataFrame([(id_,) for id_ in already], "revision_id string")
    return deliver_revisions(
        read_rows(spark, source.model_copy(update={"files": str(path)}), str(path)),
        source,
        settings_of(folder).model_copy(update={"revisions": [source]}),
        KEY,
        "f00d",
        "decisions.csv",
        land_of(spark),
        held,
    )


BAD = [
    ({"said": "promoted"}, "unknown_kind", "promoted"),
    ({"known": "?"}, "known_unreadable", "?"),
    ({"number": ""}, "key_missing", None),
    ({"said": "reclassified", "code": "??"}, "unknown_code", "??"),
    ({"said": "relocated", "x": "100010"}, "coordinates_missing", "100010"),
    ({"said": "retimed", "began": "?"}, "occurred_unreadable", "?"),
    (
        {"said": "retimed", "began": "2020-01-05 10:00", "ended": "2020-01-04 10:00"},
        "interval_backwards",
        "2020-01-05 10:00 to 2020-01-04 10:00",
    ),
    (
        {"said": "retimed", "began": "2020-02-05 10:00"},
        "occurred_after_known",
        "2020-02-05 10:00, known 2020-01-06 09:00",
    ),
]


@pytest.mark.spark
def test_every_row_is_a_revision_or_rejected_with_its_first_reason(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [row(number=str(i)) | changes for i, (changes, _, _) in enumerate(BAD, start=100)]
    delivery = delivered(spark, tmp_path, [row(), *rows, row()])
    found = delivery.rejected.orderBy("row_number").collect()
    assert [(r["reason"], r["found"]) for r in found] == [
        *((reason, value) for _, reason, value in BAD),
        ("duplicate", None),
    ]
    assert dict(delivery.counts) == {"read": 10, "revisions": 1, "rejected": 9}
    [kept] = delivery.revisions.collect()
    again = delivered(spark, tmp_path, [row()], already=[kept["revision_id"]])
    assert again.revisions.isEmpty()


@pytest.mark.spark
def test_a_revision_tells_what_is_right_from_then_on_and_names_its_incident(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        row(),
        row(said="reclassified", code="R11"),
        row(said="reclassified", code="Z1", x="100010", y="400010"),
        row(said="relocated", x="100010", y="400010"),
        row(said="relocated", x="900000", y="400010"),
        row(said="retimed", began="2020-01-05 10:00", ended="2020-01-05 12:00"),
        row(said="retimed", began="2020-01-05 10:00"),
    ]
    found = delivered(spark, tmp_path, rows).revisions.orderBy("row_number").collect()
    new = ("code", "priority", "occurred_from_at", "occurred_until_at", "cell_id")
    assert [tuple(r[f"new_{name}"] for name in new) for r in found] == [
        (None, None, None, None, None),
        ("R11", "robbery", None, None, None),
        ("Z1", None, None, None, None),
        (None, None, None, None, 503_200_500_800),
        (None, None, None, None, None),
        (None, None, utc(5, 9), utc(5, 11), None),
        (None, None, utc(5, 9), utc(5, 9), None),
    ]
    assert {r["named_id"] for r in found} == {found[0]["named_id"]}
    assert found[0]["named_id"].startswith("register:")
    assert {(r["about"], r["about_source"], r["status"]) for r in found} == {
        ("incident", "register", "pending")
    }
    assert found[0]["decided_on"] == date(2020, 1, 2)
    assert found[0]["known_at"] == utc(6, 8)


@pytest.mark.spark
def test_a_revision_about_a_suspect_keeps_nothing_of_the_person(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        row(said="sepot", person="P-SECRET-1"),
        row(said="sepot", person=""),
        row(said="P-SECRET-2"),
        row(said="sepot", person="P-SECRET-3", number=""),
    ]
    delivery = delivered(spark, tmp_path, rows, ABOUT_SUSPECTS)
    assert [r["reason"] for r in delivery.rejected.orderBy("row_number").collect()] == [
        *("person_missing", "unknown_kind", "key_missing")
    ]
    for frame in (delivery.revisions, delivery.rejected):
        assert "SECRET" not in str(frame.collect())
    [kept] = delivery.revisions.collect()
    assert kept["named_id"].startswith("known:")
    assert (kept["about"], kept["about_source"]) == ("suspect", "known")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"code": None}, "code is needed for, and only for, kind reclassified"),
        ({"location": None}, "location is needed for, and only for, kind relocated"),
        ({"kinds": {"column": "said", "values": {"dismissed": ["x"]}}}, "expected of an incident"),
        ({"suspect": {"source": "known", "person": "p"}}, "expected of a suspect's link"),
        (
            {"kinds": {"column": "said", "values": {"unlawful": ["x"], "erased": ["x"]}}},
            r"values \['x'\] mean two kinds",
        ),
    ],
)
def test_settings_that_contradict_themselves_are_refused(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        RevisionExtracts.model_validate({**SOURCE, **changes})
