"""Draws: as wide as what the data leave open, and the same once stored."""

import numpy as np
import pytest

from cas_spark.training import coefficient_draws, solver
from cas_spark.training.coefficient_draws import DRAWS, restored, stored
from cas_spark.training.design import design_of
from cas_spark.training.solver import Group, Solution, solve
from tests.training.test_solver import REG_PARAM, positives_of, rows_of


def solution_of(values: np.ndarray, positives: np.ndarray) -> Solution:
    design = design_of(np.ascontiguousarray(values.T))
    group = Group(np.arange(values.shape[1]), [positives])
    [[solution]] = solve(design, [group], REG_PARAM, 1e-8, 100)
    return solution


def test_draws_vary_as_the_inverse_of_the_curvature_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coefficient_draws, "DRAWS", 20_000)
    values = rows_of(3_000, 3, seed=1)
    solution = solution_of(values, positives_of(values, seed=2, base=-1.5))
    x = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    x = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    chance = 1 / (1 + np.exp(-x @ np.append(solution.coefficients, solution.intercept)))
    curvature = (x * (chance * (1 - chance))[:, None]).T @ x + len(x) * REG_PARAM * np.diag(
        [1, 1, 1, 0]
    )
    expected = np.linalg.inv(curvature)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(np.cov(solution.draws.T) / scale, expected / scale, atol=0.08)
    np.testing.assert_allclose(
        solution.draws.mean(axis=0)[:-1], solution.coefficients, atol=0.03 * scale.max() ** 0.5
    )


def test_draws_from_the_curvature_of_a_sample_are_as_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coefficient_draws, "DRAWS", 5_000)
    values = rows_of(60_000, 3, seed=6)
    positives = positives_of(values, seed=7)
    widths = []
    for at_least in (1_000, 10**9):
        monkeypatch.setattr(solver, "SAMPLE_AT_LEAST", at_least)
        widths.append(solution_of(values, positives).draws.std(axis=0))
    of_sample, of_all = widths
    assert not np.array_equal(of_sample, of_all)
    np.testing.assert_allclose(of_sample, of_all, rtol=0.05)


def test_refits_on_rows_drawn_again_vary_as_much_as_the_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coefficient_draws, "DRAWS", 2_000)
    values = rows_of(4_000, 2, seed=3)
    positives = positives_of(values, seed=4, base=-1.5)
    happened = np.zeros(len(values), dtype=bool)
    happened[positives] = True
    drawn = solution_of(values, positives).draws[:, :-1].std(axis=0)
    random, refits = np.random.default_rng(5), []
    for _ in range(100):
        rows = random.integers(0, len(values), len(values))
        refits.append(solution_of(values[rows], np.flatnonzero(happened[rows])).coefficients)
    np.testing.assert_allclose(np.std(refits, axis=0), drawn, rtol=0.25)


def test_stored_draws_come_back_to_a_millionth() -> None:
    draws = np.random.default_rng(6).normal(0, 3, (coefficient_draws.DRAWS, 5))
    again = restored(stored(draws))
    np.testing.assert_allclose(again, draws, atol=2**-20)
    assert stored(again) == stored(draws)


def test_a_coefficient_too_large_to_keep_is_cut_off_and_not_turned_into_another() -> None:
    draws = np.zeros((DRAWS, 2))
    draws[0] = [5_000.0, -5_000.0]
    assert restored(stored(draws))[0] == pytest.approx([2048, -2048], abs=1e-6)
