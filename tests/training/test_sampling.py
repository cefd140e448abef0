"""What a sample of rows must be, whatever is drawn."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cas_spark.training.sampling import DRAWN_AT_LEAST, Sample

STEP = 8


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.3))
def test_every_positive_row_is_in_and_stands_for_itself(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    positive = random.random(2_000) < share
    weight = random.exponential(size=2_000).astype(np.float32)
    for sample in (Sample.even(positive, STEP), Sample.leaning(positive, weight, STEP)):
        assert (np.diff(sample.rows) > 0).all()
        of_positive = np.isin(sample.rows, np.flatnonzero(positive))
        assert of_positive.sum() == positive.sum()
        assert (sample.weight[of_positive] == 1).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_the_rows_drawn_stand_for_all_of_every_kind(seed: int) -> None:
    """Of rows that say little and of rows that say much: as many as there are, but for chance."""
    random = np.random.default_rng(seed)
    is_telling = random.random(40_000) < 0.05
    weight = np.where(is_telling, 10, 0.5).astype(np.float32)
    positive = np.zeros(40_000, dtype=bool)
    leaning = Sample.leaning(positive, weight, STEP)
    for kind in (is_telling, ~is_telling):
        number = leaning.weight[kind[leaning.rows]].sum()
        assert abs(number - kind.sum()) < 0.1 * kind.sum()
    assert is_telling[leaning.rows].sum() == is_telling.sum()
    assert leaning.weight.max() <= 1 / DRAWN_AT_LEAST
