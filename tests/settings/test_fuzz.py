"""Whatever stands in a settings file: settings, or an error that says what is wrong. Quickly."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cas_spark.errors import SettingsError
from cas_spark.indicators.checks import problems_of_indicators
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.redaction import secrets_in

DEMO = Path(__file__).parents[2] / "conf" / "demo-suspects.yaml"
SECONDS = 5.0

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400]),
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, 1e-9, 0.5, 1.0, 2.0]),
    st.dates(),
    st.datetimes(),
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", ".", "/", "..", "~", "*", "?", "[", "[/b]", "$x$", "a" * 300, "日" * 300, "é",
         "1e999", "nan", "inf", "-0", "0x10", "2024-02-30", "0001-01-01", "9999-12-31", "localtime",
         "Factory", "EPSG:28992", "EPSG:4326", "EPSG:0", "+proj=longlat", "s3a://b/l", "file:///x%20",
         "postgresql://u:p@h/d", "sqlite://", "mssql://", "://", "x:/y", "monday", "current"]
    ),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(max_size=8), st.integers(), st.booleans()), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


@contextmanager
def quickly() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SECONDS


def load_or_refuse(text: str | bytes, folder: Path) -> Settings | None:
    path = folder / "fuzz.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with quickly():
        try:
            found = load_settings(path)
        except SettingsError as error:
            refused = str(error).encode()  # it can be printed
            assert b" problem" in refused
            return None
        recorded = Settings.model_validate_json(found.as_json())
        assert recorded.as_json() == found.as_json()
        assert recorded == found or secrets_in(found.model_dump(mode="json"))
        problems_of_indicators(found)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def _demo() -> dict[str, Any]:
    base: dict[str, Any] = yaml.safe_load(DEMO.with_name("demo.yaml").read_text())
    return base | {k: v for k, v in yaml.safe_load(DEMO.read_text()).items() if k != "extends"}


def _places(value: Any) -> list[list[str | int]]:
    """Every place in the content, as the keys and numbers that lead to it."""
    if isinstance(value, dict):
        parts: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    else:
        return []
    return [[key, *rest] for key, inner in parts for rest in [[], *_places(inner)]]


# Sections that the demo leaves to their defaults, so that each of their values is tried as well.
WHOLE: dict[str, Any] = {
    "polls": {"weekday": "monday", "count": 104, "settling": {"share": 0.9, "days": 3}},
    "training": {"reg_param": 0.001, "tolerance": 1e-7, "max_iterations": 5, "pooled_rows": 5000},
    "evaluation": {"shares": [0.01, 0.03], "tuning_weeks": 52},
    "forecast": {
        "share": 0.03,
        "bands": [{"name": "a", "up_to": 0.01}, {"name": "b", "up_to": 0.03}],
    },
    "retention": {"incidents": 100, "exports": 10},
    "resources": {"task_memory_mb": 10, "storage_access": "arrow"},
    "horizons": {"current": 0, "later": 6},
    "indicators": {"leave_out": ["*_ever"]},
    "tracking": {"uri": "sqlite:////x/y.db", "artifacts": "/x/a"},
    "remarks": ["a"],
}
CONTENT = _demo() | WHOLE
PLACES = _places(CONTENT)


def changed(content: Any, place: list[str | int], value: Any) -> Any:
    if not place:
        return value
    key, *rest = place
    if isinstance(content, dict):
        return {**content, key: changed(content.get(key), rest, value)}
    return [changed(v, rest, value) if i == key else v for i, v in enumerate(content)]


def test_the_settings_that_are_changed_are_right(folder: Path) -> None:
    assert load_or_refuse(yaml.safe_dump(CONTENT, sort_keys=False), folder) is not None


@given(st.sampled_from(PLACES), VALUES)
@example(["polls", "count"], 1_000_000_000)
@example(["training", "reg_param"], float("inf"))
@example(["forecast", "share"], float("nan"))
@example(["retention", "incidents"], 10**9)
@example(["timezone"], "localtime")
@example(["incidents", 0, "complete_from"], date(1, 1, 1))
@example(["incidents", 0, "occurred", "earliest"], datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
@example(["incidents", 0, "priority", "codes", "burglary"], ["*" * 5000])
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_one_wrong_value(folder: Path, place: list[str | int], value: Any) -> None:
    text = yaml.safe_dump(changed(CONTENT, place, value), sort_keys=False, allow_unicode=True)
    load_or_refuse(text, folder)


YAML_TEXT = st.text(st.sampled_from("ab: -\n\t[]{}&*!|>'\"%@`#,?0_.~<=é\0"), max_size=80)


@given(st.one_of(YAML_TEXT, st.binary(max_size=80)))
@example("a: " + "[" * 10_000)
@example("a: " + "9" * 10_000)
@example("a: 0x" + "f" * 10_000)
@example("a: &a [*a]")
@example("- " * 5_000)
@example("? " * 5_000)
@example("a: &x [" + "1, " * 1_000 + "]\nb: &y [" + "*x, " * 1_000 + "]\nc: [" + "*y, " * 900 + "]")
@example('a: "\\ud800"')
@example('a: "\\UFFFFFFFF"')
@example("a: !!float ''")
@example("a: !!binary x")
@settings(max_examples=150)
def test_any_text(folder: Path, text: str | bytes) -> None:
    assert load_or_refuse(text, folder) is None


@given(st.integers(0, 4_000), st.integers(0, 30), YAML_TEXT)
@settings(max_examples=50)
def test_a_damaged_file(folder: Path, start: int, length: int, put: str) -> None:
    text = DEMO.with_name("demo.yaml").read_text()
    load_or_refuse(text[:start] + put + text[start + length :], folder)
