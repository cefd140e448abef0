"""A value that fails tells which setting likely mends it."""

from pathlib import Path

import pytest

from cas_spark.sources.hints import hint_for
from tests.sources.deliveries import settings_of


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("2024-01-31", "yyyy-MM-dd"),
        ("2024-01-31 07:05", "yyyy-MM-dd H:mm"),
        ("2024-01-31T07:05:09", "yyyy-MM-dd'T'H:mm:ss"),
        ("2024-01-31T07:05:09.000", "yyyy-MM-dd'T'H:mm:ss.SSS"),
        ("2024-01-31T07:05:09Z", "yyyy-MM-dd'T'H:mm:ssXXX"),
        ("2024-01-31 07:05:09+0100", "yyyy-MM-dd H:mm:ssXX"),
        ("31/1/2024 7:05", "d/M/yyyy H:mm"),
        ("1/31/2024 7:05", "M/d/yyyy H:mm"),
        ("01/31/2024 07:05:09 PM", "M/d/yyyy h:mm:ss a"),
        ("31.01.2024", "d.M.yyyy"),
        ("20240131", "yyyyMMdd"),
        ("soon", None),
        ("", None),
        ("2024-01-31 at 7", None),
    ],
)
def test_a_moment_shows_its_pattern(tmp_path: Path, value: str, pattern: str | None) -> None:
    [source] = settings_of(tmp_path).incidents
    hint = hint_for("known_unreadable", value, source)
    assert hint.startswith(f'Add "{pattern}" to' if pattern else f"Give {source.kind}"), hint


@pytest.mark.parametrize(
    ("reason", "found", "texts"),
    [
        ("malformed", "12 fields, not 11", ["trailing_delimiter", "delimiter"]),
        ("malformed", "1 field, not 11", ["incidents.register.delimiter", "lines above"]),
        ("malformed", "more than 12 fields, not 11", ["delimiter", "lines above"]),
        ("malformed", "3 lines that are not 11 fields: an open quote?", ["quotes"]),
        ("coordinates_missing", "150060,5, 450060,5", ["decimal: ','"]),
        ("coordinates_missing", "1.150.060,5, 450060,5", ["decimal: ','"]),
        ("coordinates_missing", "0, 0", ["location", "missing"]),
        ("coordinates_missing", None, ["location"]),
        ("known_unreadable", "31/1/2024", ['"d/M/yyyy"', "incidents.register.known.formats"]),
        ("known_unreadable", "3/4/2024", ['"d/M/yyyy" or "M/d/yyyy"']),
        ("known_unreadable", "soon", ["'soon'", "incidents.register.known.formats"]),
        ("occurred_unreadable", "2024-01-31 to ?", ['"yyyy-MM-dd"', "occurred.formats"]),
        ("unknown_code", "B1", ["priority.codes"]),
        ("outside_teams", "1, 2", ["CRS"]),
        ("known_after_delivery", "2999-01-01", ["delivered"]),
        ("some_new_reason", None, ["incidents.register"]),
    ],
)
def test_a_reason_tells_the_setting(
    tmp_path: Path, reason: str, found: str | None, texts: list[str]
) -> None:
    [source] = settings_of(tmp_path).incidents
    hint = hint_for(reason, found, source)
    assert all(text in hint for text in texts), hint
