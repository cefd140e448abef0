"""Rows of suspects become versions of links or rejected rows, and no person is left in either."""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from chispa.dataframe_comparer import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.classic.dataframe import DataFrame as ClassicDataFrame

from cas_spark.errors import CasError, SettingsError
from cas_spark.lake.tables import DATASETS, SUSPECTS
from cas_spark.settings import Settings, check_inputs, load_settings
from cas_spark.sources.incidents import deliver
from cas_spark.sources.reading import read_rows
from cas_spark.sources.suspect_links import SuspectDelivery, deliver_suspects
from tests.sources.deliveries import KEY, land_of, no_ids, settings_of, utc, write
from tests.sources.deliveries import row as incident_row
from tests.toy import KEY as TOY_KEY

pytestmark = pytest.mark.spark

HEADER = ("person", "number", "case", "code", "known", "x", "y", "note")
FINE = {
    "person": "P-0001",
    "number": "7",
    "case": "C7",
    "code": "B1",
    "known": "2020-01-06 09:00",
    "x": "100010",
    "y": "400010",
    "note": "",
}
PERSONAL = ("Jan Jansen", "P-SECRET-1", "Kerkstraat 12", "98765.4")
HELD = ["link_id", "known_at", "priority", "home_cell_id"]


def row(**changes: str) -> list[str]:
    return list((FINE | changes).values())


def suspect_settings(folder: Path, **changes: Any) -> Settings:
    """Settings with a register of incidents and a source of suspects."""
    settings_of(folder)
    path = folder / "settings.yaml"
    content = yaml.safe_load(path.read_text())
    content["pseudonym_key"] = {"environment": "CAS_TEST_KEY"}
    content["suspects"] = {
        "known": {
            "files": "suspects.csv",
            "format": "csv",
            "provenance": {"source": "someone", "purpose": "tests", "legal_basis": "none needed"},
            "complete_from": "2020-01-01",
            "person": "person",
            "incident": {"source": "register", "key": ["number"]},
            "case": "case",
            "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm"]},
            "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
            "priority": {
                "column": "code",
                "codes": {"burglary": ["B*"], "robbery": ["R1?"]},
                "other": ["Z*"],
            },
            "exclude": [{"column": "note", "equals": ["test"], "reason": "a_test"}],
            **changes,
        }
    }
    path.write_text(yaml.safe_dump(content))
    return load_settings(path)


def delivered(
    spark: SparkSession,
    folder: Path,
    rows: Sequence[Sequence[str]],
    already: DataFrame | None = None,
    **changes: Any,
) -> SuspectDelivery:
    settings = suspect_settings(folder, **changes)
    [source] = settings.suspects
    path = write(folder / "suspects.csv", rows, HEADER)
    held = spark.createDataFrame([], SUSPECTS.schema) if already is None else already
    return deliver_suspects(
        read_rows(spark, source, str(path)),
        source,
        settings,
        KEY,
        "f00d",
        path.name,
        land_of(spark),
        held.select(HELD),
    )


def reasons_of(delivery: SuspectDelivery) -> list[str]:
    """What became of each row, in their order."""
    rejected = {row["row_number"]: str(row["reason"]) for row in delivery.rejected.collect()}
    accepted = {row["row_number"]: "accepted" for row in delivery.accepted.collect()}
    assert not rejected.keys() & accepted.keys()
    return [reason for _, reason in sorted((rejected | accepted).items())]


def test_a_link_has_a_keyed_pseudonym_the_home_cell_and_its_incident(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = suspect_settings(tmp_path)
    delivery = delivered(spark, tmp_path, [row(x="100130", y="400260")])
    pseudonym = hmac.new(KEY, b"known:P-0001", hashlib.sha256).hexdigest()[:32]
    incidents = write(tmp_path / "incidents.csv", [incident_row()])
    [register] = settings.incidents
    incident = deliver(
        read_rows(spark, register, str(incidents)),
        register,
        settings,
        KEY,
        "beef",
        "incidents.csv",
        land_of(spark),
        *no_ids(spark),
    ).accepted.first()
    assert incident is not None
    expected = spark.createDataFrame(
        [
            (
                utc(6, 8),
                pseudonym,
                "burglary",
                503_202_500_801,
                incident["incident_id"],
                incident["case_key"],
                "known",
                "f00d",
                1,
            )
        ],
        "known_at timestamp, suspect_key string, priority string, home_cell_id long, "
        "incident_id string, case_key string, source string, dataset_sha256 string, "
        "row_number long",
    )
    found = delivery.accepted.drop("link_id", "superseded_at", "purged_at")
    assert_df_equality(found, expected, ignore_nullable=True, ignore_metadata=True)
    assert delivery.accepted.columns == [c.name for c in SUSPECTS.columns if c.name != "run_number"]
    assert delivery.accepted.first()["link_id"].startswith("known:")  # type: ignore[index]


REJECTED: list[tuple[dict[str, str], str, str | None]] = [
    ({"note": "test"}, "a_test", "test"),
    ({"code": "P-SECRET-1"}, "unknown_code", None),
    ({"code": "Z9"}, "other_code", None),
    ({"known": "P-SECRET-1"}, "known_unreadable", None),
    ({"person": ""}, "person_missing", None),
    ({"number": "", "case": ""}, "incident_missing", None),
    ({"x": "98765.4", "y": ""}, "coordinates_missing", None),
    ({"x": "98765.4"}, "outside_teams", None),
]


def test_every_row_is_accepted_or_rejected_with_its_reason_and_no_persons_data(
    spark: SparkSession, tmp_path: Path
) -> None:
    # Enough fine rows that those which are not make no column suspect.
    fine = [row(person=f"P-{i}", number=str(i)) for i in range(20)]
    bad = [row(**changes) for changes, _, _ in REJECTED]
    malformed = [*row(person="Jan Jansen"), "Kerkstraat 12"]
    delivery = delivered(spark, tmp_path, [*fine, *bad, malformed])
    expected = ["accepted"] * 20 + [reason for _, reason, _ in REJECTED] + ["malformed"]
    assert reasons_of(delivery) == expected
    found = {r["row_number"]: r["found"] for r in delivery.rejected.collect()}
    assert [found[21 + i] for i in range(len(REJECTED))] == [told for _, _, told in REJECTED]
    assert found[29] == "9 fields, not 8"
    assert delivery.counts == {"read": 29, "accepted": 20, "rejected": 9}
    [dataset] = delivery.dataset.collect()
    assert (dataset["rows_read"], dataset["rows_accepted"]) == (29, 20)
    assert (dataset["rows_revisions"], dataset["rows_rejected"]) == (0, 9)
    assert delivery.dataset.columns == [c.name for c in DATASETS.columns if c.name != "run_number"]
    told = str([delivery.accepted.collect(), delivery.rejected.collect(), dataset])
    assert not [text for text in (*PERSONAL, "P-1", "'7'") if text in told]


def test_another_home_is_a_new_version_from_the_moment_it_was_known(
    spark: SparkSession, tmp_path: Path
) -> None:
    first = row()
    moved = row(known="2020-01-09 09:00", x="100140")
    back = row(known="2020-01-20 09:00")
    rows = [
        first,
        row(known="2020-01-07 09:00"),  # says nothing new
        moved,
        row(known="2020-01-09 09:00", x="100300"),  # something else as of the same moment
        back,
        row(number="8", case="C8"),
        row(person="P-0002"),
        first,
    ]
    delivery = delivered(spark, tmp_path, rows)
    assert reasons_of(delivery) == [
        *("accepted", "duplicate", "accepted", "contradictory", "accepted"),
        *("accepted", "accepted", "duplicate"),
    ]


def test_rows_of_a_later_extract_are_compared_with_what_the_lake_holds(
    spark: SparkSession, tmp_path: Path
) -> None:
    held = delivered(spark, tmp_path, [row(), row(number="8"), row(number="9")]).accepted
    held = held.localCheckpoint()
    later = [
        row(),  # delivered again
        row(known="2020-02-01 09:00"),  # nothing new, though later
        row(known="2020-01-06 09:00", x="100140"),  # another home, as of no later moment
        row(known="2020-01-09 09:00", x="100140"),
        row(number="8", known="2020-01-09 09:00", x="100140"),
        row(known="2020-01-05 09:00", x="100300"),  # known before, delivered after
    ]
    delivery = delivered(spark, tmp_path, later, already=held)
    assert reasons_of(delivery) == [
        *("duplicate", "accepted", "contradictory", "accepted", "accepted", "accepted")
    ]


def test_a_case_alone_links_a_person_once_per_priority(spark: SparkSession, tmp_path: Path) -> None:
    rows = [row(), row(number="8"), row(code="R11"), row(case="")]
    delivery = delivered(spark, tmp_path, rows, incident=None)
    assert reasons_of(delivery) == ["accepted", "duplicate", "accepted", "incident_missing"]
    assert [r["incident_id"] for r in delivery.accepted.collect()] == [None, None]


@pytest.mark.parametrize(
    ("changes", "column", "why"),
    [
        ({"person": "Jan Jansen"}, "person", "capitalised words"),
        ({"person": "Jansen"}, "person", "opaque"),
        ({"person": "111222333"}, "person", "citizen numbers"),
        ({"case": "Kerkstraat 12"}, "case", "house number"),
        ({"code": "Jan Jansen"}, "code", "capitalised words"),
        ({"x": "1234 AB"}, "x", "postcode"),
    ],
)
def test_a_column_that_tells_who_somebody_is_stops_the_run_without_a_value(
    spark: SparkSession, tmp_path: Path, changes: dict[str, str], column: str, why: str
) -> None:
    with pytest.raises(CasError) as refused:
        delivered(spark, tmp_path, [row(**changes)] * 5)
    text = str(refused.value)
    assert f"column {column}: " in text
    assert why in text
    assert "suspects.csv" in text
    assert next(iter(changes.values())) not in text


def test_codes_that_the_settings_name_may_be_words(spark: SparkSession, tmp_path: Path) -> None:
    codes = {"column": "code", "codes": {"burglary": ["Residential Burglary"]}, "other": ["*"]}
    delivery = delivered(spark, tmp_path, [row(code="Residential Burglary")], priority=codes)
    assert reasons_of(delivery) == ["accepted"]


def test_homes_outside_the_teams_are_refused_without_telling_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [row(person=f"P-{i}", x="98765.4") for i in range(6)]
    with pytest.raises(CasError, match="6 of 6 outside the teams") as refused:
        delivered(spark, tmp_path, rows)
    assert "98765" not in str(refused.value)


def test_no_plan_tells_the_key(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    checkpoint = ClassicDataFrame.localCheckpoint

    def telling(frame: ClassicDataFrame) -> DataFrame:
        plans.append(frame._jdf.queryExecution().toString())
        return checkpoint(frame)

    monkeypatch.setattr(ClassicDataFrame, "localCheckpoint", telling)
    delivered(spark, tmp_path, [row()])
    assert plans
    assert "pseudonym" in plans[0]
    assert not [plan for plan in plans if str(KEY) in plan or KEY.hex() in plan]


def test_the_key_must_be_there_and_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = suspect_settings(tmp_path)
    assert settings.pseudonym_key is not None
    for value, found in ((None, "nothing"), ("  ", "nothing"), ("only 15 bytes..", "15 bytes")):
        if value is None:
            monkeypatch.delenv("CAS_TEST_KEY", raising=False)
        else:
            monkeypatch.setenv("CAS_TEST_KEY", value)
        with pytest.raises(
            CasError, match=f"CAS_TEST_KEY: found {found}; expected a random secret"
        ):
            settings.pseudonym_key.read()
        with pytest.raises(SettingsError, match="CAS_TEST_KEY"):
            check_inputs(tmp_path / "settings.yaml", settings)
    monkeypatch.setenv("CAS_TEST_KEY", f" {TOY_KEY}\n")
    assert settings.pseudonym_key.read() == TOY_KEY.encode()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"incident": None, "case": None}, "give incident or case"),
        ({"incident": {"source": "elsewhere", "key": ["number"]}}, "the key of 'elsewhere'"),
        ({"incident": {"source": "register", "key": ["a", "b"]}}, "2 columns for the key"),
        ({"complete_from": "2023-02-01"}, "not after grid.valid_from 2023-01-02"),
        ({"known": {"column": "known", "rule": "assumed_delay", "delay_days": 3}}, "assumed_delay"),
        ({"priority": {"column": "code", "codes": {"arson": ["A"]}}}, "suspects.known.priority"),
    ],
)
def test_settings_of_suspects_that_contradict_themselves_are_refused(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(SettingsError, match=text):
        suspect_settings(tmp_path, **changes)


def test_the_record_of_settings_does_not_hold_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAS_TEST_KEY", TOY_KEY)
    assert TOY_KEY not in suspect_settings(tmp_path).as_json()
