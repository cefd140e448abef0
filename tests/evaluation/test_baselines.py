"""Baselines on a toy team, against plain sums; the kernels have their own oracle."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.evaluation.baselines import (
    BASELINES,
    DECAYED,
    SELF_EXCITING,
    THREE_YEARS,
    _scores_of_team,
    candidates,
    left_out,
    usual,
)
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.knowledge.visibility import NEVER

FIRST = datetime(2018, 1, 1, tzinfo=UTC)
POLLS = [date(2018, 1, 1) + timedelta(weeks=i) for i in range(300)]
EDGES = np.array([int((FIRST + timedelta(weeks=i)).timestamp()) * 10**6 for i in range(300)])
CORNER = (1200, 3680)


def scores(ages: list[tuple[int, int]]) -> dict[str, list[float]]:
    """Scores of two cells at the last poll, of incidents as (cell, age in weeks)."""
    week = 7 * 24 * 3600 * 10**6
    moments = [int(EDGES[-1]) - (age + 1) * week + 1 for _, age in ages]
    columns: list[pa.Array] = [
        pa.array(["burglary"] * len(ages)),
        pa.array([CORNER[0] + 30 * cell for cell, _ in ages]),  # too far apart to be near
        pa.array([CORNER[1]] * len(ages)),
        pa.array(moments),
        pa.array(moments),
        pa.array([NEVER] * len(ages)),
    ]
    cells = pa.table(
        {"cell_id": [1, 2], "column": [CORNER[0], CORNER[0] + 30], "row": [CORNER[1]] * 2}
    )
    asked = {"burglary": {b.name: b for b in candidates("burglary", len(POLLS))}}
    every = {i.name: i for b in candidates("burglary", len(POLLS)) for i, _ in b.terms}
    team = team_of(
        cells,
        pa.table(columns, names=list(FACT_COLUMNS)),
        ("burglary",),
        EDGES,
        Catalogue(tuple(every.values())),
        "EPSG:28992",
    )
    [block] = list(_scores_of_team("A", team, asked, [POLLS[-1]], len(POLLS)))
    assert block.column("cell_ids").to_pylist() == [[1, 2]] * block.num_rows
    return dict(
        zip(block.column("method").to_pylist(), block.column("scores").to_pylist(), strict=True)
    )


def test_counts_are_counts_and_decay_halves() -> None:
    found = scores([(0, 0), (0, 200), (1, 52), (1, 26)])
    assert found["all_history_count"] == [2, 2]
    assert found[THREE_YEARS] == [1, 2]
    decayed = found[f"{DECAYED}: half-life 26 w"]
    assert decayed[0] == pytest.approx(1 + 2 ** (-200 / 26), abs=1e-5)
    assert decayed[1] == 0.25 + 0.5


def test_a_near_repeat_adds_its_weight_to_the_background() -> None:
    found = scores([(0, 0), (1, 8)])
    mix = found[f"{SELF_EXCITING}: cell, 156 w, near repeats of half-life 8 w weighing 0.01"]
    assert mix == pytest.approx([1 + 0.01 * 156 / 8, 1 + 0.5 * 0.01 * 156 / 8])


def test_every_method_has_a_usual_candidate_and_no_two_share_a_name() -> None:
    assert tuple(b.method for b in usual("burglary", 156)) == BASELINES
    names = [b.name for b in candidates("burglary", len(POLLS))]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("weeks", "without"), [(156, []), (155, [THREE_YEARS]), (10, [THREE_YEARS])]
)
def test_no_baseline_counts_less_than_its_name_says(weeks: int, without: list[str]) -> None:
    """A count of three years is left out where there is less; what counts all there is stays."""
    assert left_out(weeks) == without
    found = candidates("burglary", weeks)
    assert {b.method for b in found} == set(BASELINES) - set(without)
    assert [b.method for b in usual("burglary", weeks)] == [
        m for m in BASELINES if m not in without
    ]
    assert all(i.weeks_needed <= weeks for b in found for i, _ in b.terms)
    assert len(found) < len(candidates("burglary", 156)) or weeks == 156
