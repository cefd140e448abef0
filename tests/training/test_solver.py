"""The solver against scipy's optimiser, and `pyspark.ml` elsewhere, on the stated objective."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from cas_spark.training import solver
from cas_spark.training.design import design_of
from cas_spark.training.solver import Group, Solution, solve
from cas_spark.training.transforms import ROUNDING

REG_PARAM = 1e-3


def rows_of(rows: int, columns: int, seed: int) -> np.ndarray:
    """Skewed and collinear columns, as counts over growing windows are."""
    random = np.random.default_rng(seed)
    counts = random.gamma(0.3, 2.0, size=(rows, columns)).cumsum(axis=1)
    return np.asarray(np.rint(np.log1p(counts) * ROUNDING) / ROUNDING, dtype=np.float32)


def positives_of(values: np.ndarray, seed: int, base: float = -3.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    effect = random.normal(0, 0.5, values.shape[1])
    logit = base + (values - values.mean(axis=0)) @ effect
    return np.flatnonzero(random.random(len(values)) < 1 / (1 + np.exp(-logit)))


def best(values: np.ndarray, positives: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Coefficients on standardised columns and the intercept at the mean, by scipy."""
    weight = np.ones(len(values)) if weight is None else weight.astype(np.float64)
    wide = values.astype(np.float64)
    mean = np.average(wide, axis=0, weights=weight)
    spread = (weight[:, None] * (wide - mean) ** 2).sum(axis=0) / (weight.sum() - 1)
    x = (wide - mean) / np.sqrt(spread)
    y = np.zeros(len(values))
    y[positives] = 1

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        logit = x @ at[:-1] + at[-1]
        loss = weight @ (np.logaddexp(0, logit) - y * logit) / weight.sum()
        error = weight * (1 / (1 + np.exp(-logit)) - y) / weight.sum()
        gradient = np.append(x.T @ error + REG_PARAM * at[:-1], error.sum())
        return float(loss + REG_PARAM / 2 * at[:-1] @ at[:-1]), gradient

    start = np.zeros(values.shape[1] + 1)
    options = {"gtol": 1e-10, "ftol": 1e-16, "maxiter": 10_000, "maxcor": 50}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x)


def solved(
    values: np.ndarray,
    positives: Sequence[np.ndarray],
    weight: np.ndarray | None = None,
    tolerance: float = 1e-9,
) -> list[Solution]:
    design = design_of(np.ascontiguousarray(values.T), weight)
    group = Group(np.arange(values.shape[1]), positives)
    [solutions] = solve(design, [group], REG_PARAM, tolerance, 100)
    return solutions


@settings(max_examples=25)
@given(
    rows=st.integers(60, 400),
    columns=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    is_weighted=st.booleans(),
)
def test_every_target_ends_where_scipy_does(
    rows: int, columns: int, seed: int, *, is_weighted: bool
) -> None:
    values = rows_of(rows, columns, seed)
    weight = None
    if is_weighted:
        weight = np.random.default_rng(seed).integers(1, 9, rows).astype(np.float32)
    every = [positives_of(values, seed + place, base=-1.5) for place in range(3)]
    targets = [positives for positives in every if 0 < len(positives) < rows]
    for positives, solution in zip(targets, solved(values, targets, weight), strict=True):
        assert solution.is_converged
        expected = best(values, positives, weight)
        np.testing.assert_allclose(solution.coefficients, expected[:-1], atol=2e-4)


def test_a_start_on_a_sample_leads_to_the_same_end_in_fewer_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = rows_of(60_000, 8, seed=5)
    targets = [positives_of(values, seed) for seed in (1, 2)]
    monkeypatch.setattr(solver, "SAMPLE_AT_LEAST", 1_000)
    from_sample = solved(values, targets)
    monkeypatch.setattr(solver, "SAMPLE_AT_LEAST", 10**9)
    from_nothing = solved(values, targets)
    for one, other in zip(from_sample, from_nothing, strict=True):
        np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-7)
    roughly = [solved(values, targets, tolerance=1e-4)]
    monkeypatch.setattr(solver, "SAMPLE_AT_LEAST", 1_000)
    roughly.append(solved(values, targets, tolerance=1e-4))
    assert max(s.passes for s in roughly[1]) < min(s.passes for s in roughly[0])


def test_columns_that_repeat_share_the_coefficient_and_one_without_variance_has_no_scale() -> None:
    one = rows_of(500, 1, seed=1)
    constant = np.full_like(one, 3.0)
    assert design_of(np.ascontiguousarray(np.hstack([one, constant]).T)).scale[1] == 0
    [solution] = solved(np.hstack([one, one]), [positives_of(one, seed=2, base=-1)])
    assert solution.is_converged
    assert solution.coefficients[0] == pytest.approx(solution.coefficients[1], abs=1e-9)


def test_rows_that_a_line_parts_are_fitted_and_stay_finite() -> None:
    values = np.linspace(0, 8, 400, dtype=np.float32)[:, None]
    [solution] = solved(values, [np.arange(390, 400)])
    assert solution.is_converged
    assert np.isfinite(solution.coefficients).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), is_sampled=st.booleans())
def test_groups_of_other_columns_end_where_each_does_alone(seed: int, *, is_sampled: bool) -> None:
    values = rows_of(2_000, 7, seed)
    targets = [positives_of(values, seed + place) for place in range(3)]
    asked = [
        Group(np.array([0, 2, 5]), targets[:2]),
        Group(np.arange(7), []),
        Group(np.array([1, 2, 3, 6]), targets[2:]),
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(solver, "SAMPLE_AT_LEAST", 100 if is_sampled else 10**9)
        design = design_of(np.ascontiguousarray(values.T))
        together = solve(design, asked, REG_PARAM, 1e-9, 100)
    assert [len(found) for found in together] == [2, 0, 1]
    for group, found in zip(asked, together, strict=True):
        alone = solved(values[:, group.columns], group.positives) if found else []
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-6)
            if not is_sampled:  # a sample's draws are around the same point, but others
                np.testing.assert_allclose(one.draws, other.draws, atol=1e-6)


def test_too_few_passes_are_told() -> None:
    values = rows_of(500, 3, seed=1)
    design = design_of(np.ascontiguousarray(values.T))
    group = Group(np.arange(3), [positives_of(values, seed=2)])
    [[solution]] = solve(design, [group], REG_PARAM, 1e-9, 2)
    assert (solution.is_converged, solution.passes) == (False, 2)
    assert solution.gradient_norm > 1e-9


def test_no_targets_no_solutions() -> None:
    assert solved(rows_of(10, 2, seed=1), []) == []
