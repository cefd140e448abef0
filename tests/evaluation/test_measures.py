"""Measures against plain Python on small random countries."""

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from sklearn.metrics import brier_score_loss, log_loss

from cas_spark.evaluation.baselines import SCORES_TYPE
from cas_spark.evaluation.measures import (
    ALL_TEAMS,
    MODEL,
    OUTSIDE,
    Land,
    Place,
    Ranking,
    measure,
    measure_name,
    measures_of,
)
from cas_spark.forecasting.forecast import cells_to_choose

POLL = date(2024, 1, 8)
DUE = {POLL: {"current": POLL}}


@given(share=st.sampled_from([0.01, 0.03, 0.05]), land=st.integers(1, 5000))
def test_a_share_of_cells_is_rounded_half_up_and_never_none(share: float, land: int) -> None:
    assert cells_to_choose(share, land) == max(1, math.floor(share * land + 0.5))


def country(seed: int, cells: int) -> tuple[Place, np.ndarray, np.ndarray]:
    """Land cells with incidents in some, and scores (with ties) of those that are not removed."""
    random = np.random.default_rng(seed)
    ids = np.sort(random.choice(10_000, cells, replace=False))
    incidents = random.poisson(0.3, cells)
    scored = random.permutation(ids[random.random(cells) < 0.8])
    return Place(ids, incidents), scored, np.round(random.normal(-2, 1, len(scored)), 1)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), cells=st.integers(5, 80), share=st.sampled_from([0.03, 0.2]))
def test_caught_shares_count_all_land_cells_and_all_incidents(
    seed: int, cells: int, share: float
) -> None:
    place, scored, scores = country(seed, cells)
    per_cell = dict(zip(place.cell_ids.tolist(), place.incidents.tolist(), strict=True))
    found = {
        m.name: m
        for m in measures_of(
            place, Ranking.of(place.cell_ids, [(scored, scores)]), [share], is_model=False
        )
    }
    caught = found[measure_name(share)]
    number = cells_to_choose(share, cells)
    best_first = sorted(zip(-scores, scored, strict=True))
    expected = sum(per_cell[int(cell)] for _, cell in best_first[:number])
    total = sum(per_cell.values())
    assert (caught.cells, caught.caught, caught.incidents) == (number, expected, total)
    if total == 0:
        assert caught.value is None  # undefined, never zero
        assert len(found) == 1
    else:
        assert caught.value == expected / total
        pai = found["pai_at_" + measure_name(share).removeprefix("caught_share_at_")]
        assert pai.value == pytest.approx((expected / total) / (number / cells))


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), cells=st.integers(10, 80))
def test_probabilities_are_judged_as_scikit_learn_judges_them(seed: int, cells: int) -> None:
    place, scored, logits = country(seed, cells)
    per_cell = dict(zip(place.cell_ids.tolist(), place.incidents.tolist(), strict=True))
    happened = np.array([per_cell[int(cell)] > 0 for cell in scored])
    found = {
        m.name: m.value
        for m in measures_of(
            place, Ranking.of(place.cell_ids, [(scored, logits)]), [0.1], is_model=True
        )
    }
    chance = 1 / (1 + np.exp(-logits))
    assert found["log_loss"] == pytest.approx(log_loss(happened, chance, labels=[False, True]))
    assert found["brier"] == pytest.approx(brier_score_loss(happened, chance))
    assert found["observed"] == happened.sum()
    assert found["expected"] == pytest.approx(chance.sum())
    top = [c for _, c in sorted(zip(-logits, scored, strict=True))][: cells_to_choose(0.1, cells)]
    assert found["observed_in_top_10_percent"] == sum(per_cell[int(cell)] > 0 for cell in top)
    if 0 < happened.sum() < len(happened):
        base = np.full(len(happened), happened.mean())
        skill = 1 - log_loss(happened, chance) / log_loss(happened, base)
        assert found["log_loss_skill"] == pytest.approx(skill)


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), teams=st.integers(1, 300))
def test_the_order_in_a_team_is_that_of_its_cells_alone(seed: int, teams: int) -> None:
    place, scored, scores = country(seed, 600)
    team = np.random.default_rng(seed + 1).integers(0, teams, len(place.cell_ids))
    of_team = {str(t): place.cell_ids[team == t] for t in np.unique(team)}
    land = Land.of({name: np.flip(own) for name, own in of_team.items()})
    halves = zip(np.array_split(scored, 2), np.array_split(scores, 2), strict=True)
    ranking = Ranking.of(land.cell_ids, halves)
    found = ranking.in_teams(land)
    assert list(found) == list(of_team)
    for name, own in of_team.items():
        is_own = np.isin(scored, own)
        best_first = sorted(zip(-scores[is_own], scored[is_own].tolist(), strict=True))
        assert own[found[name].at].tolist() == [cell for _, cell in best_first]
        assert found[name].scores.tolist() == [-minus for minus, _ in best_first]


@pytest.mark.spark
def test_cells_are_chosen_in_each_team_and_across_all_of_them(spark: SparkSession) -> None:
    a, b = [1, 2, 3, 4], [11, 12, 13, 14, 15, 16]
    scores = spark.createDataFrame(
        [
            (POLL, "A", "burglary", "current", MODEL, [1, 2], [-1.0, -3.0]),
            (POLL, "B", "burglary", "current", MODEL, [11, 12, 13], [-4.0, -2.0, -5.0]),
            (POLL, "A", "burglary", None, "count", a, [0.0, 0.0, 0.0, 9.0]),
            (POLL, "B", "burglary", None, "count", b, [1.0, 0.0, 0.0, 0.0, 0.0, 2.0]),
        ],
        SCORES_TYPE,
    )
    outcomes = spark.createDataFrame(
        [
            ("burglary", 1, POLL, 1),
            ("burglary", 12, POLL, 2),
            ("burglary", 16, POLL, 3),
            ("burglary", 4, POLL + timedelta(weeks=1), 5),
            ("burglary", 12, POLL, 0),
            ("robbery", 1, POLL, 7),
        ],
        "priority string, cell_id long, week_on date, incidents int",
    )
    rows = measure(scores, outcomes, DUE, [0.2])
    rows = rows.where(f"measure = '{measure_name(0.2)}'")
    found = {
        (row["method"], row["team_id"]): (row["cells"], row["caught"], row["incidents"])
        for row in rows.collect()
    }
    assert found == {
        (MODEL, "A"): (1, 1, 1),
        (MODEL, "B"): (1, 2, 5),
        (MODEL, ALL_TEAMS): (2, 3, 6),
        ("count", "A"): (1, 0, 1),
        ("count", "B"): (1, 3, 5),
        ("count", ALL_TEAMS): (2, 3, 6),
    }


@pytest.mark.spark
def test_a_week_without_incidents_has_no_share_rather_than_zero(spark: SparkSession) -> None:
    scores = spark.createDataFrame(
        [(POLL, "A", "burglary", "current", MODEL, [1], [-1.0])], SCORES_TYPE
    )
    nothing = spark.createDataFrame(
        [], "priority string, cell_id long, week_on date, incidents int"
    )
    rows = measure(scores, nothing, DUE, [0.03])
    of_team = rows.where("team_id = 'A'").collect()
    [caught] = [row for row in of_team if row["measure"] == measure_name(0.03)]
    assert (caught["value"], caught["incidents"], caught["caught"]) == (None, 0, 0)


@pytest.mark.spark
def test_an_incident_where_the_scored_grid_has_no_land_is_told_and_is_no_other_cells(
    spark: SparkSession,
) -> None:
    scores = spark.createDataFrame(
        [(POLL, "A", "burglary", "current", MODEL, [10, 20, 30], [-1.0, -2.0, -3.0])], SCORES_TYPE
    )
    happened = [
        ("burglary", cell, POLL, number) for cell, number in ((10, 1), (20, 2), (15, 4), (40, 8))
    ]
    outcomes = spark.createDataFrame(
        happened, "priority string, cell_id long, week_on date, incidents int"
    )
    rows = measure(scores, outcomes, DUE, [0.3])
    found = {
        (row["team_id"], row["measure"]): (row["cells"], row["caught"], row["incidents"])
        for row in rows.where(f"measure IN ('{measure_name(0.3)}', '{OUTSIDE}')").collect()
    }
    assert found == {
        ("A", measure_name(0.3)): (1, 1, 3),
        (ALL_TEAMS, measure_name(0.3)): (1, 1, 3),
        (ALL_TEAMS, OUTSIDE): (3, 0, 12),
    }


@pytest.mark.spark
def test_the_target_week_is_the_one_that_is_due(spark: SparkSession) -> None:
    scores = spark.createDataFrame(
        [(POLL, "A", "burglary", "early", MODEL, [1], [-1.0])], SCORES_TYPE
    )
    week = POLL + timedelta(weeks=6)
    outcomes = spark.createDataFrame(
        [("burglary", 1, POLL, 5), ("burglary", 1, week, 2)],
        "priority string, cell_id long, week_on date, incidents int",
    )
    rows = measure(scores, outcomes, {POLL: {"early": week}}, [0.3]).where("team_id = 'A'")
    [caught] = rows.where(f"measure = '{measure_name(0.3)}'").collect()
    assert (caught["target_week_on"], caught["caught"]) == (week, 2)
