"""Draws: other sets of coefficients that the data bear about as well as the fitted ones.

Near its optimum the objective is a parabola, so what the data leave open is about a normal
distribution around the fitted coefficients, its covariance the inverse of the curvature of the
whole loss (Laplace's approximation; MacKay, Neural Computation 4, 1992). A choice that holds under
most draws is stable; `make bench` compares that with models refitted on other weeks.

Draws are whole multiples of 2^-20 and transformed indicators of 2^-16, so that a logit, which is
below 2^17, is exact in doubles in whatever order it is summed.
"""

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

Doubles = npt.NDArray[np.float64]

DRAWS = 32
SEED = 20_250_106
STEPS = 1 << 20
_STORED = np.dtype("<i4")


def draws_around(at: Doubles, factor: tuple[Doubles, bool], rows: float) -> Doubles:
    """Draws around a fitted point, shape (DRAWS, parameters).

    Args:
        at: the fitted parameters.
        factor: Cholesky's of the curvature of the mean loss there, as scipy's `cho_factor` gives.
        rows: that the mean is taken over.
    """
    triangle, is_lower = factor
    random = np.random.Generator(np.random.Philox(SEED)).standard_normal((len(at), DRAWS))
    # With H = UᵀU the covariance of U⁻¹z is H⁻¹.
    step = solve_triangular(triangle, random, lower=is_lower, trans=1 if is_lower else 0)
    draws: Doubles = at + step.T / np.sqrt(rows)
    return draws


def stored(draws: Doubles) -> bytes:
    """Draws as `models` keeps them: multiples of 2^-20, little-endian, one draw after the other.

    Coefficients are cut off at 2^11 either way, which only those of a column reach that hardly
    varies and so hardly moves a logit.
    """
    bound = np.iinfo(_STORED)
    return np.clip(np.rint(draws * STEPS), bound.min, bound.max).astype(_STORED).tobytes()


def restored(content: bytes) -> Doubles:
    """What `stored` made, shape (DRAWS, parameters)."""
    return np.frombuffer(content, _STORED).reshape(DRAWS, -1) / STEPS
