"""Weights as whole numbers, so that every weighted sum is exact and free of order.

The Gaussian's stand here as numbers, since `exp` differs in its last bits between processors; a
test holds them to their formula. Those of decay are computed in decimals, which are exact.
"""

from decimal import Decimal
from functools import cache

import numpy as np
import numpy.typing as npt

GAUSSIAN_SCALE_BITS = 7
"""Weights along one axis are in units of 2^-7, so products over two axes in units of 2^-14."""

GAUSSIAN: dict[int, tuple[int, ...]] = {
    125: (128, 78, 17, 1),
    250: (128, 113, 78, 42, 17, 6, 1),
    500: (128, 124, 113, 97, 78, 59, 42, 28, 17, 10, 6, 3, 1, 1),
}
"""Bandwidth in metres -> round(2^7 exp(-(125 i)^2 / (2 bandwidth^2))) for i = 0, 1, 2 … cells."""

HALO_CELLS = max(len(weights) for weights in GAUSSIAN.values()) - 1
"""How far an incident reaches, in cells along one axis."""

DECAY_SCALE_BITS = 20
"""Weights of decay are in units of 2^-20: nothing is left after twenty half-lives."""


@cache
def decay_weights(half_life_weeks: int) -> tuple[int, ...]:
    """2^(-age / half life) in units of 2^-20 for ages of 0, 1, 2 … weeks, until 0."""
    half_life, scale = Decimal(half_life_weeks), Decimal(1 << DECAY_SCALE_BITS)
    weights: list[int] = []
    while not weights or weights[-1] > 0:
        weight = Decimal(2) ** (-Decimal(len(weights)) / half_life) * scale
        weights.append(int(weight.to_integral_value()))
    return tuple(weights[:-1])


def weights_by_age(
    weeks: int, window: tuple[int, int | None] | None, half_life_weeks: int | None
) -> npt.NDArray[np.int64]:
    """What an incident weighs at an age of 0, 1, 2 … weeks.

    Args:
        weeks: number of ages.
        window: [newest, oldest) age that counts, oldest None for all history; each weighs 1.
        half_life_weeks: in place of a window; in units of 2^-DECAY_SCALE_BITS.
    """
    weights = np.zeros(weeks, dtype=np.int64)
    if half_life_weeks is not None:
        decay = decay_weights(half_life_weeks)[:weeks]
        weights[: len(decay)] = decay
    elif window is not None:
        weights[window[0] : window[1]] = 1
    return weights
