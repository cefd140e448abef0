"""Which settings decide how an extract is read: a change of these alone asks to read it again."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from cas_spark.settings import Settings
from cas_spark.settings.delivered import DeliveredInName
from cas_spark.settings.extract_digest import (
    delivered_on,
    differences_of_reading,
    digest_of_reading,
    settings_of_ids,
    settings_of_reading,
    without_defaults,
)
from cas_spark.settings.extracts import IncidentExtracts
from tests.sources.deliveries import FORMATS, settings_of, source_of

SOURCE = "register"
CODES = {"burglary": ["B*"], "robbery": ["R1?"]}


def reading_of(settings: Settings) -> dict[str, Any]:
    told = settings_of_reading(settings, SOURCE)
    assert told is not None
    return told


def digest_of(folder: Path, **changes: Any) -> str:
    return digest_of_reading(reading_of(settings_of(folder, **changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"files": "elsewhere/*.csv"},
        {"provenance": {"source": "others", "purpose": "more", "legal_basis": "another"}},
        {"complete_from": "2020-02-01"},
        {"delivered": "2020-02-01"},
        {"delivered": {"from_name": "extract_%Y%m%d.csv"}},
        {"delimiter": ","},
        {"timezone": "Europe/Amsterdam"},
        {"location": {"x": "x", "y": "y", "crs": "EPSG:28992", "missing": [0]}},
        {"priority": {"column": "code", "codes": dict(reversed(CODES.items())), "other": ["Z*"]}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_reads_no_row_otherwise_changes_no_digest(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert digest_of(tmp_path, **changes) == digest_of(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"delimiter": ";"},
        {"timezone": "UTC"},
        {"key": ["number", "case"]},
        {"exclude": []},
        {"known": {"column": "known", "formats": FORMATS[:1]}},
        {"known": {"column": "known", "formats": FORMATS[::-1]}},
        {"location": {"x": "x", "y": "y", "crs": "EPSG:28992", "missing": [0, -1]}},
        {"priority": {"column": "code", "codes": CODES, "other": []}},
        {"crs": "EPSG:31370"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_reads_a_row_otherwise_changes_the_digest(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert digest_of(tmp_path, **changes) != digest_of(tmp_path)


def test_a_setting_that_a_later_version_adds_with_a_default_changes_no_digest(
    tmp_path: Path,
) -> None:
    class Later(IncidentExtracts):
        encoding: str = "utf-8"
        comments: list[str] = Field(default_factory=list)

    content = {"name": SOURCE, **source_of()}
    now = IncidentExtracts.model_validate(content, context={"folder": tmp_path})
    later = Later.model_validate(content, context={"folder": tmp_path})
    assert without_defaults(later) == without_defaults(now)
    other = Later.model_validate(content | {"encoding": "cp1252"}, context={"folder": tmp_path})
    assert without_defaults(other) == without_defaults(now) | {"encoding": "cp1252"}


def test_the_differences_name_each_setting_with_its_value_and_that_of_before(
    tmp_path: Path,
) -> None:
    priority = {"column": "code", "codes": CODES | {"burglary": ["B*", "Z1"]}, "other": ["Z*"]}
    before = reading_of(settings_of(tmp_path))
    now = reading_of(settings_of(tmp_path, delimiter=";", priority=priority))
    assert differences_of_reading(before, now) == [
        "delimiter is ';', was not there",
        "priority.codes.burglary.1 is 'Z1', was not there",
    ]


def test_the_codes_of_incidents_read_their_revisions(tmp_path: Path) -> None:
    revisions = {
        "decisions": {
            "files": "decisions.csv",
            "format": "csv",
            "provenance": source_of()["provenance"],
            "complete_from": "2020-01-01",
            "incident": {"source": SOURCE, "key": ["number"]},
            "kinds": {"column": "kind", "values": {"reclassified": ["r"]}},
            "known": {"column": "known", "formats": FORMATS},
            "code": "code",
        }
    }
    told = []
    for other in ("Z*", "Y*"):
        priority = {"column": "code", "codes": CODES, "other": [other]}
        settings = settings_of(tmp_path, priority=priority)
        content = settings.model_dump(mode="json") | {"revisions": revisions}
        told.append(settings_of_reading(Settings.model_validate(content), "decisions"))
    assert told[0] != told[1]


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"priority": {"column": "code", "codes": CODES, "other": []}}, True),
        ({"known": {"column": "known", "formats": FORMATS[:1]}}, True),
        ({"key": ["case"]}, False),
        ({"delimiter": ";"}, False),
    ],
)
def test_with_a_key_only_what_reads_the_key_can_change_an_id(
    tmp_path: Path, changes: dict[str, Any], *, is_same: bool
) -> None:
    before, now = (settings_of(tmp_path, **told) for told in ({}, changes))
    assert (settings_of_ids(before, SOURCE) == settings_of_ids(now, SOURCE)) == is_same


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"priority": {"column": "code", "codes": CODES, "other": []}}, True),
        ({"priority": {"column": "note", "codes": CODES, "other": []}, "exclude": []}, False),
        ({"reported_by": None}, False),
    ],
)
def test_without_a_key_every_mapped_column_makes_the_id(
    tmp_path: Path, changes: dict[str, Any], *, is_same: bool
) -> None:
    before, now = (settings_of(tmp_path, key=[], **told) for told in ({}, changes))
    assert (settings_of_ids(before, SOURCE) == settings_of_ids(now, SOURCE)) == is_same


@pytest.mark.parametrize(
    ("pattern", "name", "day"),
    [
        ("crimes_%Y-%m-%d.csv", "crimes_2024-02-29.csv", date(2024, 2, 29)),
        ("crimes_%Y-%m-%d.csv", "crimes_2023-02-29.csv", None),
        ("crimes_%Y-%m-%d.csv", "crimes_2024-02-29.csv.gz", None),
        ("*_%d%m%Y*", "all_my_crimes_29022024.csv.gz", date(2024, 2, 29)),
        ("a[1].%Y.%m.%d?csv", "a[1].2024.01.02_csv", date(2024, 1, 2)),
        ("a.%Y.%m.%d", "ab2024.01.02", None),
    ],
)
def test_the_name_of_a_file_tells_the_day_of_its_delivery(
    tmp_path: Path, pattern: str, name: str, day: date | None
) -> None:
    [source] = settings_of(tmp_path, delivered={"from_name": pattern}).incidents
    assert delivered_on(source, name) == day


@pytest.mark.parametrize("pattern", ["crimes_%Y-%m.csv", "%Y%m%d%H", "%Y%m%d%d", "%Y%m%d%", "x"])
def test_a_pattern_that_names_no_single_day_is_a_settings_error(pattern: str) -> None:
    with pytest.raises(ValidationError, match="each of %Y, %m and %d once and no other %"):
        DeliveredInName(from_name=pattern)
