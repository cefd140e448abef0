"""What is usual: the range in which a count lies that is as those before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

DEVIATIONS = 3.5
"""Standard deviations from the middle to an end of the range: of 5,000 counts that are as before
about one lies below it."""
_MAD_TO_SD = 1.4826
_ANSCOMBE = 3 / 8
SURELY_SOME = 10
"""Where as many are usual, none is never in the range."""


@dataclass(frozen=True)
class Usual:
    """A range of counts, both ends included, and its middle."""

    low: int
    middle: float
    high: int


def usual_of(counts: Sequence[int]) -> Usual:
    """The usual range by counts of before, whatever one or two odd ones among them say.

    Counts are taken to vary as a Poisson variable does, or as much more as they are seen to; on the
    scale of their square roots that is the same for small and large ones.

    Args:
        counts: of periods of equal length; at least one.
    """
    middle = median(counts)
    spread = _MAD_TO_SD * median(abs(count - middle) for count in counts)
    dispersion = max(1.0, spread**2 / max(middle, 1.0))
    root = math.sqrt(middle + _ANSCOMBE)
    half = DEVIATIONS / 2 * math.sqrt(dispersion)
    low = math.ceil(max(0.0, root - half) ** 2 - _ANSCOMBE)
    high = math.floor((root + half) ** 2 - _ANSCOMBE)
    return Usual(max(low, 1 if middle >= SURELY_SOME else 0), middle, high)
