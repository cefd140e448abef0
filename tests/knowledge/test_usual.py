"""The range in which a count is usual."""

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.knowledge.usual import usual_of

COUNTS = st.lists(st.integers(0, 100_000), min_size=1, max_size=26)


@pytest.mark.parametrize(
    ("counts", "found", "is_usual"),
    [
        ([10] * 13, 0, False),
        ([8, 12, 9, 11, 10, 14, 7, 10, 13, 10, 6, 12, 10], 0, False),
        ([10, 30, 0, 12, 45, 3, 10, 60, 0, 10, 1, 50, 10], 0, False),
        ([10] * 13, 3, True),
        ([4] * 13, 0, True),
        ([0] * 13, 0, True),
        ([100] * 13, 50, False),
        ([100] * 13, 75, True),
        # One broken period among those before makes no other usual.
        ([100] * 12 + [0], 50, False),
        # Where counts always varied more, more is usual.
        ([60, 140] * 6 + [100], 50, True),
    ],
)
def test_none_where_ten_are_usual_and_half_of_a_hundred_are_not(
    counts: list[int], found: int, *, is_usual: bool
) -> None:
    usual = usual_of(counts)
    assert (usual.low <= found <= usual.high) == is_usual


@given(COUNTS)
def test_the_middle_is_usual_and_order_does_not_matter(counts: list[int]) -> None:
    usual = usual_of(counts)
    assert 0 <= usual.low <= math.ceil(median(counts))
    assert usual.high >= math.floor(median(counts))
    assert usual_of(counts[::-1]) == usual


@given(COUNTS)
def test_counts_at_the_middle_never_widen_the_range_downwards(counts: list[int]) -> None:
    middle = int(median(counts))
    if middle == median(counts):
        assert usual_of([*counts, middle, middle]).low >= usual_of(counts).low


@pytest.mark.parametrize("mean", [2, 10, 40, 300])
def test_counts_that_are_as_before_seldom_leave_the_range(mean: int) -> None:
    random = np.random.default_rng(7)
    drawn = random.poisson(mean, (4000, 27))
    below = sum(row[0] < usual_of(row[1:].tolist()).low for row in drawn)
    assert below <= 8  # of 4,000: one in 500


@pytest.mark.parametrize("mean", [40, 300])
def test_half_a_delivery_is_found(mean: int) -> None:
    random = np.random.default_rng(8)
    drawn = random.poisson(mean, (500, 26))
    half = random.poisson(mean / 2, 500)
    found = sum(
        newest < usual_of(before.tolist()).low for newest, before in zip(half, drawn, strict=True)
    )
    assert found >= {40: 150, 300: 500}[mean]
