"""Settings of sources: no code belongs to two priorities, and one file may extend another."""

import re
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cas_spark.errors import SettingsError
from cas_spark.settings import check_inputs, load_settings
from cas_spark.settings.codes import PriorityCodes, _have_a_code_in_common
from cas_spark.settings.extracts import IncidentExtracts
from tests.sources.deliveries import settings_of, source_of

CONF = Path(__file__).parents[2] / "conf"
DATA = CONF.parents[1] / "shared" / "data" / "stlouis"
PATTERNS = st.text("ab*?", min_size=1, max_size=4)
CODES = ["".join(letters) for size in range(9) for letters in product("ab", repeat=size)]


@given(PATTERNS, PATTERNS)
def test_patterns_overlap_where_some_code_matches_both(one: str, other: str) -> None:
    def matches(pattern: str) -> set[str]:
        regex = re.compile(pattern.replace("*", ".*").replace("?", "."))
        return {code for code in CODES if regex.fullmatch(code)}

    assert _have_a_code_in_common(one, other) == bool(matches(one) & matches(other))


def test_a_code_of_two_priorities_is_a_settings_error() -> None:
    codes = {"a": ["6*"], "b": ["1", "64?"], "c": ["7"]}
    with pytest.raises(ValidationError, match=r"a 6\* and b 64\?"):
        PriorityCodes.model_validate({"column": "code", "codes": codes, "other": ["*"]})
    with pytest.raises(ValidationError, match="write it out"):
        PriorityCodes.model_validate({"column": "code", "codes": {"a": ["[56]*"]}})


def test_every_mapped_column_is_named_once() -> None:
    source = IncidentExtracts.model_validate(source_of(name="register", key=["number", "case"]))
    assert source.columns == [
        *("number", "case", "began", "ended", "known", "x", "y", "code", "by", "kind", "note")
    ]


def test_an_unknown_zone_of_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Europe/Amsterdan"):
        settings_of(tmp_path, timezone="Europe/Amsterdan")


def test_settings_survive_their_own_record(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    again = type(settings).model_validate(yaml.safe_load(settings.as_json()))
    assert again == settings


def test_an_extending_file_changes_only_what_it_says(tmp_path: Path) -> None:
    base = settings_of(tmp_path)
    above = tmp_path / "above.yaml"
    above.write_text(
        yaml.safe_dump(
            {
                "extends": "settings.yaml",
                "name": "above",
                "incidents": {"register": {"known": {"rule": "assumed_delay", "delay_days": 7}}},
            }
        )
    )
    settings = load_settings(above)
    source, base_source = settings.incidents[0], base.incidents[0]
    assert (settings.name, settings.title, settings.grid) == ("above", base.title, base.grid)
    assert source.known.column == base_source.known.column
    assert (source.known.rule, source.known.delay_days) == ("assumed_delay", 7)
    assert source.model_copy(update={"known": base_source.known}) == base_source


@pytest.mark.parametrize(
    ("extends", "problem"),
    [
        ("nothing.yaml", "no such file"),
        ("../other.yaml", "a file of the same folder"),
        ("circle.yaml", "extends this file in turn"),
        (["settings.yaml"], "a file of the same folder"),
    ],
)
def test_what_cannot_be_extended_is_said(tmp_path: Path, extends: str, problem: str) -> None:
    path = tmp_path / "circle.yaml"
    path.write_text(yaml.safe_dump({"extends": extends, "name": "x"}))
    with pytest.raises(SettingsError, match=problem):
        load_settings(path)


@pytest.mark.parametrize(("name", "is_assumed"), [("stlouis", False), ("stlouis-weekly", True)])
def test_the_settings_of_st_louis_hold(name: str, is_assumed: bool) -> None:  # noqa: FBT001
    path = CONF / f"{name}.yaml"
    settings = load_settings(path)
    assert len(settings.priorities) == 6
    assert len(settings.horizons) == 3
    assert settings.incidents[0].is_assumed == is_assumed
    assert any("7 days after they occurred" in label for label in settings.labels) == is_assumed
    if DATA.is_dir():
        check_inputs(path, settings)
