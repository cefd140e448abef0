"""What a name of the catalogue means stays what it was, unless its version says otherwise."""

import hashlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.indicators.catalogue import catalogue_of
from cas_spark.indicators.indicator import Indicator
from cas_spark.indicators.reference import reference
from cas_spark.indicators.suspect_kernels import SUSPECT_COLUMNS
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.indicators.weights import GAUSSIAN
from cas_spark.knowledge.calendar import polls_between
from cas_spark.knowledge.visibility import NEVER
from cas_spark.settings.geography import AreaStatistics

DOCS = Path(__file__).parents[2] / "docs"
MEANINGS = Path(__file__).with_name("meanings.json")
WEEK_MICROS = 7 * 24 * 3600 * 1_000_000
PRIORITIES = ("a", "b")
AREAS = AreaStatistics.model_validate(
    {
        "name": "area",
        "area": "id",
        "figures": [
            {"name": kind, "column": kind, "kind": kind, "unit": "number", "meaning": kind}
            for kind in ("share_out", "average")
        ],
        "editions": [{"path": "/a", "layer": "a", "published_on": "2020-01-01"}],
    }
)
CATALOGUE = catalogue_of(PRIORITIES, ["layer"], [AREAS], has_suspects=True)
POLLS = polls_between(date(2018, 1, 1), date(2024, 1, 1))


def fixed_values() -> dict[str, bytes]:
    """The values of every fast indicator on facts that never change, at the last three polls."""
    state = np.random.RandomState(7)
    facts = 400
    edges = np.arange(len(POLLS), dtype=np.int64) * WEEK_MICROS
    counts_at = state.randint(0, len(POLLS) * WEEK_MICROS, facts, dtype=np.int64)
    known_at = counts_at + state.randint(0, 3 * WEEK_MICROS, facts, dtype=np.int64)
    columns = [
        pa.array(state.choice(PRIORITIES, facts)),
        pa.array(1200 + state.randint(-15, 25, facts)),
        pa.array(3680 + state.randint(-15, 25, facts)),
        pa.array(counts_at),
        pa.array(known_at),
        pa.array(np.where(state.rand(facts) < 0.1, known_at + 30 * WEEK_MICROS, NEVER)),
    ]
    grid = [(column, row) for row in range(3680, 3690) for column in range(1200, 1210)]
    cells = pa.table(
        {
            "cell_id": [row * 10_000 + column for column, row in grid],
            "column": [column for column, _ in grid],
            "row": [row for _, row in grid],
        }
    )
    facts_table = pa.table(columns, names=list(FACT_COLUMNS))
    links = fixed_links(np.random.RandomState(8))
    team = team_of(cells, facts_table, PRIORITIES, edges, CATALOGUE, "EPSG:28992", links)
    rows = [rows for _, rows in team.snapshots(POLLS[-3:], len(POLLS) - 3)]
    return {
        name: b"".join(part[name].to_numpy().astype("<f4").tobytes() for part in rows)
        for name in CATALOGUE.fast.names
    }


def fixed_links(state: np.random.RandomState) -> pa.Table:
    """Links of suspects that never change; a third of the persons have several homes."""
    number = 60
    known_at = state.randint(0, len(POLLS) * WEEK_MICROS, number, dtype=np.int64)
    columns = [
        pa.array(state.choice(PRIORITIES, number)),
        pa.array([f"person {person}" for person in state.randint(0, 40, number)]),
        pa.array(1200 + state.randint(-15, 25, number)),
        pa.array(3680 + state.randint(-15, 25, number)),
        pa.array(known_at),
        pa.array(np.where(state.rand(number) < 0.2, known_at + 30 * WEEK_MICROS, NEVER)),
    ]
    return pa.table(columns, names=list(SUSPECT_COLUMNS))


def meaning_of(indicator: Indicator, values: bytes) -> str:
    text = indicator.declaration.encode() + values
    return hashlib.sha256(text).hexdigest()[:16]


def meanings() -> dict[str, str]:
    values = fixed_values()
    return {
        f"{i.name} v{i.version}": meaning_of(i, values.get(i.name, b""))
        for i in CATALOGUE.indicators
        if i.of != PRIORITIES[1]
    }


def test_what_a_name_means_never_changes_without_a_higher_version() -> None:
    """A new name, or a new version of one, is added to meanings.json; no line there is changed.

    `python -m tests.indicators.test_catalogue` prints the whole file anew.
    """
    recorded = json.loads(MEANINGS.read_text(encoding="utf-8"))
    found = meanings()
    changed = [name for name in found if name in recorded and recorded[name] != found[name]]
    assert not changed, f"raise the version of {changed}: they no longer mean what they did"
    new = {name: found[name] for name in found if name not in recorded}
    assert not new, f"add to {MEANINGS.name}: {json.dumps(new, indent=1)}"


def test_the_test_above_sees_another_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    before = meanings()
    monkeypatch.setitem(GAUSSIAN, 250, (128, 113, 78, 42, 17, 6, 2))
    after = meanings()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{i.name} v1" for i in CATALOGUE.indicators if i.bandwidth_m == 250} - {
        f"{i.name} v1" for i in CATALOGUE.indicators if i.of == PRIORITIES[1]
    }


def test_the_reference_of_indicators_is_up_to_date() -> None:
    text = (DOCS / "indicators.md").read_text(encoding="utf-8")
    assert text == reference(), "run `make docs`"


def test_names_differ_and_every_model_sees_itself_the_others_and_all_crime() -> None:
    assert len(set(CATALOGUE.names)) == len(CATALOGUE.names)
    seen = {i.name for i in CATALOGUE.of_priority("a")}
    assert {"a_count_4w", "b_count_all", "any_ever", "season_sin", "layer_distance_m"} <= seen
    assert {"area_share_out", "area_average"} <= seen
    assert "b_count_4w" not in seen


def test_suspects_are_off_by_default_and_a_model_sees_those_of_its_own_priority_only() -> None:
    without = catalogue_of(PRIORITIES, ["layer"], [AREAS])
    assert CATALOGUE.indicators[: len(without.indicators)] == without.indicators
    added = CATALOGUE.indicators[len(without.indicators) :]
    assert {i.group for i in added} == {"suspects"}
    assert not [i for i in without.indicators if i.group == "suspects"]
    seen = [i.name for i in CATALOGUE.of_priority("a") if i.group == "suspects"]
    names = ("suspect_nearest_m", "suspects_within_500m", "suspects_within_1000m")
    assert seen == [f"a_{name}" for name in names]


def test_indicators_are_left_out_by_pattern_and_by_history() -> None:
    left = CATALOGUE.without(["*_count_*", "layer_*"])
    assert not [name for name in left.names if "_count_" in name or name.startswith("layer")]
    short = CATALOGUE.within(60)
    assert "a_count_104w" not in short.names
    assert {"a_count_52w", "a_count_all", "a_density_250m_44w_to_56w"} <= set(short.names)


if __name__ == "__main__":
    MEANINGS.write_text(json.dumps(meanings(), indent=1) + "\n", encoding="utf-8")
