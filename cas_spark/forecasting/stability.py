"""Whether a choice is stable: how often a cell is chosen by other coefficients that fit as well."""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def shares_chosen(draws: Doubles, values: Doubles, number: int) -> Doubles:
    """The share of draws in which each cell is among the `number` likeliest, shape (cells,).

    Args:
        draws: intercept and coefficients, shape (draws, 1 + indicators); `training.stability`.
        values: transformed indicators, shape (indicators, cells), cells in order of their id.
        number: of cells that are chosen; ties go to the lower id.
    """
    # Exact, and so the same on every machine, whatever the order in which BLAS sums.
    logits = draws[:, :1] + draws[:, 1:] @ values
    cells = logits.shape[1]
    number = min(number, cells)
    least = np.partition(logits, cells - number, axis=1)[:, cells - number, None]
    above, equal = logits > least, logits == least
    left = number - above.sum(axis=1, keepdims=True)
    shares: Doubles = (above | (equal & (np.cumsum(equal, axis=1) <= left))).mean(axis=0)
    return shares
