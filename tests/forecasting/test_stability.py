"""Stability of a choice: the share of draws that choose the cell, whatever sums them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.forecasting.stability import shares_chosen
from cas_spark.training.coefficient_draws import STEPS
from cas_spark.training.transforms import ROUNDING


def shares_slowly(draws: np.ndarray, values: np.ndarray, number: int) -> list[float]:
    """Each draw by itself: the likeliest cells, of equals the lower id."""
    chosen = np.zeros(values.shape[1])
    for intercept, *coefficients in draws.tolist():
        logits = [
            intercept + sum(c * v for c, v in zip(coefficients, cell, strict=True))
            for cell in values.T.tolist()
        ]
        order = sorted(range(len(logits)), key=lambda cell: (-logits[cell], cell))
        chosen[order[:number]] += 1
    return [float(times) / len(draws) for times in chosen]


@given(
    cells=st.integers(1, 30),
    indicators=st.integers(0, 4),
    number=st.integers(1, 35),
    seed=st.integers(0, 10_000),
)
def test_a_cell_is_chosen_as_often_as_it_is_among_the_likeliest(
    cells: int, indicators: int, number: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    draws = np.rint(random.normal(0, 2, (8, 1 + indicators)) * STEPS) / STEPS
    few = random.integers(0, 3, (indicators, cells))  # few different values make ties
    values = np.rint(np.log1p(few) * ROUNDING) / ROUNDING
    assert shares_chosen(draws, values, number).tolist() == shares_slowly(draws, values, number)


def test_the_order_of_summing_changes_nothing() -> None:
    random = np.random.default_rng(1)
    draws = np.rint(random.normal(0, 5, (16, 61)) * STEPS) / STEPS
    values = np.rint(random.gamma(0.5, 2, (60, 2_000)) * ROUNDING) / ROUNDING
    order = random.permutation(60)
    other = np.column_stack([draws[:, :1], draws[:, 1:][:, order]])
    once, again = (
        shares_chosen(draws, values, 60),
        shares_chosen(other, values[order], 60),
    )
    assert once.tolist() == again.tolist()
