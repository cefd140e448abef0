"""Every row of an extract ends in exactly one frame, with the first check it failed."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import SparkSession

from cas_spark.lake.tables import DATASETS, INCIDENTS, REJECTED_ROWS, REVISIONS
from tests.sources.deliveries import (
    BOTTOM,
    HEADER,
    LEFT,
    delivered,
    ids_of,
    reasons_of,
    row,
    settings_of,
    utc,
    write,
)

pytestmark = pytest.mark.spark

# What a row is changed to, the reason it is rejected with, and the value told with it.
REJECTED: list[tuple[dict[str, str], str, str | None]] = [
    ({"note": "test"}, "a_test", "test"),
    ({"note": " test ", "code": "??"}, "a_test", "test"),
    ({"kind": "undo", "note": "test"}, "a_test", "test"),
    ({"code": "Q"}, "unknown_code", "Q"),
    ({"code": "b1"}, "unknown_code", "b1"),
    ({"code": "R1"}, "unknown_code", "R1"),
    ({"code": ""}, "unknown_code", None),
    ({"code": "Z9", "began": "?"}, "other_code", "Z9"),
    ({"known": "soon"}, "known_unreadable", "soon"),
    ({"known": "2020-02-30 10:00"}, "known_unreadable", "2020-02-30 10:00"),
    ({"known": "", "began": "?"}, "known_unreadable", None),
    ({"kind": "undo", "known": "?"}, "known_unreadable", "?"),
    ({"began": "", "ended": ""}, "occurred_unreadable", ""),
    ({"began": "5 Jan"}, "occurred_unreadable", "5 Jan to 2020-01-05 12:00"),
    ({"ended": "2020-01-05 24:10"}, "occurred_unreadable", "2020-01-05 10:00 to 2020-01-05 24:10"),
    ({"began": "1900-01-01 00:00", "ended": ""}, "occurred_too_early", "1900-01-01 00:00"),
    (
        {"began": "2018-12-31 23:59"},
        "occurred_too_early",
        "2018-12-31 23:59 to 2020-01-05 12:00",
    ),
    (
        {"ended": "2020-01-05 09:59"},
        "interval_backwards",
        "2020-01-05 10:00 to 2020-01-05 09:59",
    ),
    (
        {"ended": "2020-01-06 09:01"},
        "occurred_after_known",
        "2020-01-05 10:00 to 2020-01-06 09:01, known 2020-01-06 09:00",
    ),
    ({"number": ""}, "key_missing", None),
    ({"number": " ", "x": "0"}, "key_missing", None),
    ({"x": "0"}, "coordinates_missing", "0, 400010"),
    ({"x": "0.0", "y": "0.00"}, "coordinates_missing", "0.0, 0.00"),
    ({"x": "", "y": ""}, "coordinates_missing", ""),
    ({"y": "abc"}, "coordinates_missing", "100010, abc"),
    ({"y": "NaN"}, "coordinates_missing", "100010, NaN"),
    ({"x": "400010", "y": "100010"}, "outside_teams", "400010, 100010"),
    ({"x": "1e12"}, "outside_teams", "1e12, 400010"),
    ({"x": "1e308", "y": "-1e308"}, "outside_teams", "1e308, -1e308"),
    ({"x": "Infinity"}, "coordinates_missing", "Infinity, 400010"),
    ({"x": "100010d"}, "coordinates_missing", "100010d, 400010"),
    ({"x": "99999.99"}, "outside_teams", "99999.99, 400010"),
]


def test_a_rejected_row_tells_the_first_check_it_failed_and_the_value(
    spark: SparkSession, tmp_path: Path
) -> None:
    fine = [row(number=f"fine {i}") for i in range(len(REJECTED))]
    broken = [
        row(**{"number": f"broken {i}", **changes}) for i, (changes, _, _) in enumerate(REJECTED)
    ]
    path = write(tmp_path / "extract.csv", [*fine, *broken, ["too", "few"]])
    delivery = delivered(spark, settings_of(tmp_path), path)
    expected = [
        ("register", "f00d", len(fine) + i, reason, found, changes.get("kind") == "undo")
        for i, (changes, reason, found) in enumerate(REJECTED, start=1)
    ]
    expected.append(("register", "f00d", 2 * len(fine) + 1, "malformed", "2 fields, not 11", False))
    columns = ", ".join(f"{c.name} {c.type.simpleString()}" for c in REJECTED_ROWS.columns[:-1])
    assert_df_equality(
        delivery.rejected,
        spark.createDataFrame(expected, columns),
        ignore_nullable=True,
        ignore_row_order=True,
    )
    assert delivery.accepted.count() == len(fine)


def test_an_accepted_row_is_an_incident_in_utc_in_its_cell(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        row(),
        row(number="8", case="", code="R12", ended="", by="P", x="100499.99", y="400125"),
        row(number="9", began="5/7/2020 1:05", ended="", known="2020-07-05 01:05", by="?"),
    ]
    path = write(tmp_path / "extract.csv", rows)
    delivery = delivered(spark, settings_of(tmp_path), path)
    unsaid = ["incident_id", "version", "purged_at", "case_key"]
    found = delivery.accepted.drop(*unsaid).orderBy("row_number")
    summer = datetime(2020, 7, 4, 23, 5)  # noqa: DTZ001  # Spark hands out instants as naive UTC
    expected = [
        (
            *(utc(6, 8), None, utc(5, 9), utc(5, 11), "burglary", "B1"),
            *(503_200_500_800, "citizen", "register", "f00d", 1),
        ),
        (
            *(utc(6, 8), None, utc(5, 9), utc(5, 9), "robbery", "R12"),
            *(503_201_500_803, "police", "register", "f00d", 2),
        ),
        (
            *(summer, None, summer, summer, "burglary", "B1"),
            *(503_200_500_800, None, "register", "f00d", 3),
        ),
    ]
    columns = ", ".join(
        f"{c.name} {c.type.simpleString()}"
        for c in INCIDENTS.columns
        if c.name not in {*unsaid, "run_number"}
    )
    assert_df_equality(found, spark.createDataFrame(expected, columns), ignore_nullable=True)


def test_the_dataset_adds_up_and_tells_when_its_rows_became_known(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        row(number="1"),
        row(number="2", known="2020-03-01 00:00"),
        row(number="3", known="2020-04-01 00:00", kind="undo", code="?", x="", began="?"),
        row(number="4", known="2020-05-01 00:00", x=""),
    ]
    path = write(tmp_path / "extract.csv", rows)
    delivery = delivered(spark, settings_of(tmp_path), path)
    assert dict(delivery.counts) == {"read": 4, "accepted": 2, "revisions": 1, "rejected": 1}
    [found] = delivery.dataset.collect()
    told = found.asDict()
    assert len(told.pop("source_sha256")) == 64
    assert told == {
        "source": "register",
        "sha256": "f00d",
        "name": "extract.csv",
        "rows_read": 4,
        "rows_accepted": 2,
        "rows_revisions": 1,
        "rows_rejected": 1,
        "complete_from_on": date(2020, 1, 1),
        "known_from_at": utc(6, 8),
        "known_until_at": datetime(2020, 3, 31, 22),  # noqa: DTZ001  # naive UTC
        "is_known_at_assumed": False,
        "origin": "someone",
        "purpose": "tests",
        "legal_basis": "none needed",
        "delivered_on": None,
    }
    for table, frame in [
        (INCIDENTS, delivery.accepted),
        (REVISIONS, delivery.revisions),
        (REJECTED_ROWS, delivery.rejected),
        (DATASETS, delivery.dataset),
    ]:
        declared = [(c.name, c.type.simpleString()) for c in table.columns]
        assert frame.dtypes == [column for column in declared if column[0] != "run_number"]


def test_an_extract_without_a_usable_row_has_no_moments(
    spark: SparkSession, tmp_path: Path
) -> None:
    delivery = delivered(
        spark, settings_of(tmp_path), write(tmp_path / "extract.csv", [row(code="Z9")])
    )
    [found] = delivery.dataset.collect()
    assert (found["known_from_at"], found["known_until_at"]) == (None, None)


def test_a_correction_is_a_revision_of_the_incident_its_key_names(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        row(),
        row(kind="undo", known="2020-02-01 00:00"),
        row(number="", kind="undo", code="Z1", began="?", x="0", case=""),
    ]
    delivery = delivered(spark, settings_of(tmp_path), write(tmp_path / "extract.csv", rows))
    [incident] = delivery.accepted.collect()
    full, bare = delivery.revisions.orderBy("row_number").collect()
    assert full["named_id"] == incident["incident_id"]
    assert full["about"] == bare["about"] == "incident"
    assert full["case_key"] == incident["case_key"] is not None
    assert (full["code"], full["priority"]) == ("B1", "burglary")
    assert full["occurred_from_at"] == incident["occurred_from_at"]
    assert full["cell_id"] == incident["cell_id"]
    assert full["known_at"] > incident["known_at"]
    nothing = ("named_id", "case_key", "priority", "occurred_from_at", "cell_id")
    assert [bare[name] for name in nothing] == [None] * len(nothing)
    assert (bare["code"], bare["status"], full["status"]) == ("Z1", "pending", "pending")


def test_ids_hold_nothing_of_the_row(spark: SparkSession, tmp_path: Path) -> None:
    secret = row(number="SECRET123", case="SECRET456")
    path = write(tmp_path / "extract.csv", [secret, [*secret[:9], "undo", ""]])
    delivery = delivered(spark, settings_of(tmp_path), path)
    for frame in (delivery.accepted, delivery.revisions):
        assert "SECRET" not in str(frame.collect())


def test_with_a_key_the_first_row_that_is_fine_counts(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        row(number="1", x="0"),  # not fine, so it keeps nobody out
        row(number="1"),
        row(number="2"),
        row(number="1", x="100020", known="2020-01-09 00:00"),
        row(number="1", kind="undo"),
        row(number="1", kind="undo", known="2020-02-09 00:00"),
        row(number="1", kind="undo"),
    ]
    path = write(tmp_path / "extract.csv", rows)
    settings = settings_of(tmp_path)
    delivery = delivered(spark, settings, path)
    assert list(reasons_of(delivery).values()) == [
        "coordinates_missing",
        "accepted",
        "accepted",
        "duplicate",
        "revision",
        "revision",
        "duplicate",
    ]
    later = write(
        tmp_path / "later.csv", [row(number="3"), row(number="2", code="R12"), rows[4], rows[0]]
    )
    second = delivered(spark, settings, later, earlier=ids_of(delivery))
    assert list(reasons_of(second).values()) == [
        "accepted",
        "duplicate",
        "duplicate",
        "coordinates_missing",
    ]


def test_without_a_key_equal_rows_are_incidents_and_later_equals_are_duplicates(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, key=[])
    same, other, undo = row(), row(x="100020"), row(kind="undo")
    path = write(tmp_path / "extract.csv", [same, same, other, undo, undo])
    delivery = delivered(spark, settings, path)
    assert list(reasons_of(delivery).values()) == ["accepted"] * 3 + ["revision"] * 2
    assert delivery.accepted.select("incident_id").distinct().count() == 3
    later = write(tmp_path / "later.csv", [row(x="100030"), same, same, same, undo, undo, undo])
    second = delivered(spark, settings, later, earlier=ids_of(delivery))
    assert list(reasons_of(second).values()) == [
        *("accepted", "duplicate", "duplicate", "accepted"),
        *("duplicate", "duplicate", "revision"),
    ]


def test_a_geopackage_is_delivered_like_any_extract(spark: SparkSession, tmp_path: Path) -> None:
    rows = pd.DataFrame([row(number=str(i)) for i in range(3)], columns=list(HEADER))
    places = [shapely.Point(LEFT + 130, BOTTOM + 10), None, shapely.Point(LEFT - 1, BOTTOM)]
    frame = gpd.GeoDataFrame(rows, geometry=places, crs="EPSG:28992")
    frame.to_file(tmp_path / "extract.gpkg", layer="incidents", driver="GPKG")
    settings = settings_of(
        tmp_path,
        format="geopackage",
        layer="incidents",
        location={"geometry": "geom", "crs": "EPSG:28992"},
    )
    delivery = delivered(spark, settings, tmp_path / "extract.gpkg")
    assert list(reasons_of(delivery).values()) == [
        *("accepted", "coordinates_missing", "outside_teams")
    ]
    [incident] = delivery.accepted.collect()
    assert incident["cell_id"] == 503_200_500_801


def oracle(key: list[str]) -> Callable[[list[list[str]]], list[str]]:
    """What becomes of the rows of one extract after the other, by a program without Spark."""
    seen: Counter[tuple[str, ...]] = Counter()

    def judge(rows: list[list[str]]) -> list[str]:
        now: Counter[tuple[str, ...]] = Counter()
        outcomes = [outcome(fields, now) for fields in rows]
        seen.update(now)
        return outcomes

    def outcome(fields: list[str], now: Counter[tuple[str, ...]]) -> str:
        if len(fields) != 11:
            return "malformed"
        number, _, code, began, ended, known, x, _, _, kind, note = fields
        reason = first_fault(number, code, began, ended or began, known, x)
        if note == "test":
            return "a_test"
        if kind == "undo":
            reason = "" if known != "?" else "known_unreadable"
        if reason:
            return reason
        # Without a key the number is not mapped, and so makes no row another.
        content = tuple(fields if key else fields[1:])
        identity = ("key", number) if key and kind != "undo" else content
        now[identity] += 1
        is_again = bool(key) and now[identity] > 1
        if is_again or now[identity] <= seen[identity]:
            return "duplicate"
        return "revision" if kind == "undo" else "accepted"

    def first_fault(number: str, code: str, began: str, ended: str, known: str, x: str) -> str:
        faults = {
            "unknown_code": code == "Q",
            "other_code": code == "Z",
            "known_unreadable": known == "?",
            "occurred_unreadable": "?" in (began, ended),
            "occurred_too_early": began < "2019-01-01",
            "interval_backwards": ended < began,
            "occurred_after_known": ended > known,
            "key_missing": bool(key) and not number,
            "coordinates_missing": x in {"0", ""},
            "outside_teams": x == "1e7",
        }
        return next((reason for reason, fails in faults.items() if fails), "")

    return judge


def random_rows(number: int, seed: int) -> list[list[str]]:
    random = np.random.default_rng(seed)

    def one_of(*values: str) -> str:
        return str(random.choice(values))

    moments = [f"20{year}-0{month}-01 00:00" for year in (18, 19, 20) for month in (1, 2)]

    def mostly_fine(fine: str, *bad: str) -> str:
        return one_of(*[fine] * 9, *bad)

    rows = []
    for _ in range(number):
        fields = row(
            number=mostly_fine(str(random.integers(40)), ""),
            case="C",
            code=mostly_fine(one_of("B", "R11"), "Q", "Z"),
            began=mostly_fine(one_of(*moments[2:4]), *moments, "?"),
            ended=mostly_fine("", *moments, "?"),
            known=mostly_fine(one_of(*moments[4:]), *moments, "?"),
            x=mostly_fine(one_of("100010", "100200"), "0", "", "1e7"),
            kind=one_of("new", "new", "new", "undo"),
            note=mostly_fine("", "test"),
        )
        rows.append(fields if random.random() > 0.03 else fields[:-2])
    return rows


@pytest.mark.parametrize("key", [["number"], []])
def test_every_row_ends_in_exactly_one_frame_and_the_same_extract_adds_nothing(
    spark: SparkSession, tmp_path: Path, key: list[str]
) -> None:
    settings = settings_of(tmp_path, key=key)
    judge = oracle(key)
    rows = random_rows(900, seed=len(key))
    path = write(tmp_path / "extract.csv", rows[:600])
    first = delivered(spark, settings, path)
    expected = judge(rows[:600])
    assert list(reasons_of(first).items()) == list(enumerate(expected, start=1))
    assert {"accepted", "revision", "outside_teams", "malformed"} <= set(expected)
    again = delivered(spark, settings, path, earlier=ids_of(first))
    assert (again.counts["accepted"], again.counts["revisions"]) == (0, 0)
    assert again.counts["rejected"] == again.counts["read"] == 600
    # A later extract repeats some rows of the first and brings others.
    mixed = rows[300:]
    later = delivered(spark, settings, write(tmp_path / "later.csv", mixed), earlier=ids_of(first))
    assert list(reasons_of(later).values()) == judge(mixed)
