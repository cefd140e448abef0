"""Samples of a design's rows: every row with an incident, and some of the others for all of them.

Where incidents are unlikely one row says as little as the next, so after a rough fit rows are drawn
by the chance that it gives them: far fewer rows then lead as near to the optimum of all (Fithian &
Hastie, Annals of Statistics 42, 2014; Wang, Zhu & Ma, JASA 113, 2018).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DRAWN_AT_LEAST = 1 / 64
"""Share in which the least likely rows are drawn, so that none stands for very many."""


@dataclass(frozen=True)
class Sample:
    """Some of the rows, sorted, and how many each stands for."""

    rows: Ints
    weight: Floats

    @classmethod
    def even(cls, positive: Bools, step: int) -> "Sample":
        """Every positive row and one in `step` of the others.

        Args:
            positive: per row, whether it must be in.
            step: one in so many.
        """
        rows = np.flatnonzero(one_in(step, np.arange(len(positive))) | positive)
        return cls(rows, np.where(positive[rows], 1, step).astype(np.float32))

    @classmethod
    def leaning(cls, positive: Bools, weight: Floats, step: int) -> "Sample":
        """Every positive row and about one in `step` of the others, most of those that say most.

        Args:
            positive: per row, whether it must be in.
            weight: per row, how much it says; about 1 in the mean.
            step: one in so many.
        """
        share = np.clip(weight / np.float32(step), np.float32(DRAWN_AT_LEAST), np.float32(1))
        share[positive] = 1
        rows = np.flatnonzero(_hashed(np.arange(len(positive))) < share * np.float64(1 << 32))
        return cls(rows, 1 / share[rows])


def one_in(step: int, numbers: Ints) -> Bools:
    """About one in `step` of some numbers, chosen by a hash, so that no pattern shows through."""
    chosen: Bools = _hashed(numbers) % np.uint64(step) == 0
    return chosen


def _hashed(numbers: Ints) -> npt.NDArray[np.uint64]:
    """A hash of each number, below 2^32 (Fibonacci hashing; Knuth, volume 3, 6.4)."""
    hashed: npt.NDArray[np.uint64] = (
        numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    ) >> np.uint64(32)
    return hashed
