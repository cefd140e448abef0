"""Several logistic regressions on the same columns, at once: Newton's method on shared products.

The objective of each is MLlib's: mean log loss + reg_param / 2 x the squared norm of the
coefficients on standardised columns, the intercept free. The horizons of a priority look at the
same columns of the same rows, so their logits are one matrix product, and their gradients another.
A target's curvature is small (columns x columns); as long as a step that uses it shrinks the
gradient enough, it is kept, and lent to the other targets.

The optimum of a sample, with every positive and a share of the rest weighed in its place, is where
the full problem starts, with the curvature found there: near enough for a few passes over all rows
to be all that it takes.

Products run in float32 over blocks of rows, sums over blocks in float64. The transformed values are
whole multiples of 2^-16 below 2^8, so float32 holds them exactly. One BLAS thread: the number of
cores must not change a sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from cas_spark.training.design import Design
from cas_spark.training.stability import draws_around

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COARSE, FINE = 32, 8
"""One in so many of the rows that are positive for no target starts the fits."""

SAMPLE_AT_LEAST = 20_000
"""Rows below which a sample saves nothing."""

ROUGHLY = 1e-4
"""Tolerance of the fits on a sample, whose optimum is further than that from the full one."""

FLOAT_IS_ENOUGH = 1e-7
"""Below this norm of the gradient the rounding of float32 shows, so products run in doubles."""

KEEPS_CURVATURE = 0.5
"""A curvature is used again where the last step shrank the gradient to this share or less."""

NEAR = 1e-5
"""Below this norm of the gradient the objective is as good as a parabola: steps go all the way."""

OVERSHOOT = 0.5
"""A step is shortened where the slope at its end rises by more than this share of the descent."""


@dataclass(frozen=True)
class Solution:
    """A fitted target, on standardised columns.

    Attributes:
        coefficients: per column.
        intercept: where all columns are at `centre`.
        gradient_norm: Euclidean norm of the objective's gradient.
        passes: over all rows.
        is_converged: whether the gradient's norm reached the tolerance.
        draws: others that the data bear about as well, `stability.draws_around`; intercept last.
    """

    coefficients: Doubles
    intercept: float
    gradient_norm: float
    passes: int
    is_converged: bool
    draws: Doubles


def solve(
    design: Design,
    positives: Sequence[Ints],
    reg_param: float,
    tolerance: float,
    max_passes: int,
) -> list[Solution]:
    """Fit all targets.

    Args:
        design: the shared rows and columns, each column with variance.
        positives: per target the rows with an incident, sorted: at least one, and not all rows.
        reg_param: as MLlib's regParam.
        tolerance: of the gradient's norm, on standardised columns.
        max_passes: over all rows; a target that needs more is returned as not converged.
    """
    if not positives:
        return []
    with threadpool_limits(limits=1, user_api="blas"):
        fits = _Fits(design, positives, reg_param)
        start = _fit_samples(design, positives, reg_param, max_passes)
        if start is not None:
            fits.begin_at(start, range(len(positives)))
        fits.run(tolerance, max_passes)
        return fits.solutions(tolerance, start)


def _fit_samples(
    design: Design, positives: Sequence[Ints], reg_param: float, max_passes: int
) -> "_Fits | None":
    """Fit all targets roughly on a share of the rows; None where that would save nothing."""
    positive = _is_positive(design.rows, positives)
    fine = _Sample.of(positive, FINE)
    if not SAMPLE_AT_LEAST <= len(fine.rows) < design.rows // 2:
        return None
    # The horizons of a priority are much alike: where the first ends, the others begin.
    first = _Sample.of(positive, COARSE).fits(design, positives[:1], reg_param)
    first.run(ROUGHLY, max_passes)
    fits = fine.fits(design, positives, reg_param)
    fits.begin_at(first, [0] * len(positives))
    fits.run(ROUGHLY, max_passes)
    return fits


def _is_positive(rows: int, positives: Sequence[Ints]) -> npt.NDArray[np.bool_]:
    positive = np.zeros(rows, dtype=bool)
    for own in positives:
        positive[own] = True
    return positive


def one_in(step: int, numbers: Ints) -> npt.NDArray[np.bool_]:
    """About one in `step` of some numbers, chosen by a hash, so that no pattern shows through."""
    hashed = (numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    chosen: npt.NDArray[np.bool_] = hashed % np.uint64(step) == 0
    return chosen


@dataclass(frozen=True)
class _Sample:
    """Every row that is positive for a target and a share of the rest, and what each stands for."""

    rows: Ints
    weight: Floats

    @classmethod
    def of(cls, positive: npt.NDArray[np.bool_], step: int) -> "_Sample":
        """One in `step` of the rows that are not positive, chosen by a hash."""
        rows = np.flatnonzero(one_in(step, np.arange(len(positive))) | positive)
        return cls(rows, np.where(positive[rows], 1, step).astype(np.float32))

    def fits(self, design: Design, positives: Sequence[Ints], reg_param: float) -> "_Fits":
        """Targets of a design, on these of its rows only."""
        sampled = [np.searchsorted(self.rows, own) for own in positives]
        return _Fits(design.sample(self.rows, self.weight), sampled, reg_param)


@dataclass
class _Fit:
    """Where one target stands; in standardised coordinates, the intercept last."""

    at: Doubles
    step: Doubles | None = None
    length: float = 1.0
    slope: float = 0.0
    norm: float = np.inf
    factor: tuple[Doubles, bool] | None = None
    passes: int = 0

    @property
    def trial(self) -> Doubles:
        """The point to look at next."""
        return self.at if self.step is None else self.at + self.length * self.step


@dataclass
class _Fits:
    """Newton's method for all targets in step."""

    design: Design
    positives: Sequence[Ints]
    reg_param: float
    fits: list[_Fit] = field(init=False)

    def __post_init__(self) -> None:
        weight, total = self.design.weight, self.design.total
        self.fits = []
        for own in self.positives:
            number = len(own) if weight is None else weight[own].sum(dtype=np.float64)
            at = np.zeros(len(self.design.columns) + 1)
            at[-1] = np.log(number / (total - number))
            self.fits.append(_Fit(at))

    def begin_at(self, others: "_Fits", of: Sequence[int]) -> None:
        """Begin where other fits ended, with their curvatures; `of` names one per target."""
        for fit, i in zip(self.fits, of, strict=True):
            fit.at, fit.factor = others.fits[i].at, others.fits[i].factor

    def run(self, tolerance: float, max_passes: int) -> None:
        """Step until every gradient's norm is at most the tolerance."""
        active = list(range(len(self.fits)))
        for _ in range(max_passes):
            gradients = self._gradients(active)
            accepted = []
            for i, gradient in zip(active, gradients, strict=True):
                fit = self.fits[i]
                fit.passes += 1
                if fit.step is not None and not self._is_good(fit, fit.step, gradient):
                    continue
                fit.at, fit.step = fit.trial, None
                last, fit.norm = fit.norm, float(np.linalg.norm(gradient))
                if fit.norm > max(KEEPS_CURVATURE * last, tolerance):
                    fit.factor = None
                accepted.append((i, gradient))
            going = {i for i, _ in accepted if self.fits[i].norm > tolerance}
            self._curve([i for i in sorted(going) if self.fits[i].factor is None])
            for i, gradient in accepted:
                if i in going:
                    fit = self.fits[i]
                    fit.step = -cho_solve(fit.factor, gradient)
                    fit.slope, fit.length = float(gradient @ fit.step), 1.0
            active = [i for i in active if i in going or self.fits[i].step is not None]
            if not active:
                return

    @staticmethod
    def _is_good(fit: _Fit, step: Doubles, gradient: Doubles) -> bool:
        """Whether a step's end may stay; else it is shortened to where the slope is about zero.

        The objective is convex: where it still falls at the step's end it has fallen all the way.
        """
        slope = float(gradient @ step)
        if slope <= -OVERSHOOT * fit.slope or fit.norm < NEAR:
            return True
        fit.length *= min(max(fit.slope / (fit.slope - slope), 0.1), 0.7)
        return False

    def solutions(self, tolerance: float, sample: "_Fits | None") -> list[Solution]:
        """What was found; what lies about as near, by the curvature there, of a sample if given."""
        bearing = sample or self
        return [
            Solution(
                coefficients=fit.at[:-1],
                intercept=float(fit.at[-1]),
                gradient_norm=fit.norm,
                passes=fit.passes,
                is_converged=fit.norm <= tolerance,
                draws=draws_around(fit.at, bearing.curvature(fit.at), self.design.total),
            )
            for fit in self.fits
        ]

    def _plain(self, at: Doubles) -> tuple[Doubles, Doubles]:
        """Coefficients for the values as they stand, shape (targets, columns); intercepts."""
        return at[:, :-1] / self.design.scale, at[:, -1:]

    def _gradients(self, active: Sequence[int]) -> list[Doubles]:
        """The gradient of each active target at its trial point."""
        design = self.design
        is_fine = any(self.fits[i].norm < FLOAT_IS_ENOUGH for i in active)
        kind: type[Any] = np.float64 if is_fine else np.float32
        trials = np.array([self.fits[i].trial for i in active])
        coefficients, intercepts = (part.astype(kind) for part in self._plain(trials))
        row = np.concatenate([self.positives[i] for i in active])
        place = np.repeat(np.arange(len(active)), [len(self.positives[i]) for i in active])
        order = np.argsort(row, kind="stable")
        row, place = row[order], place[order]
        sums, totals = np.zeros(coefficients.shape), np.zeros(len(active))
        for block, plain in design.blocks():
            values: npt.NDArray[Any] = plain.astype(kind, copy=False)
            error: npt.NDArray[Any] = coefficients @ values
            error += intercepts
            _to_probabilities(error)
            first, last = np.searchsorted(row, [block.start, block.stop])
            error[place[first:last], row[first:last] - block.start] -= 1
            if design.weight is not None:
                error *= design.weight[block]
            sums += error @ values.T
            totals += error.sum(axis=1, dtype=np.float64)
        gradients = np.column_stack([sums / design.scale, totals]) / design.total
        gradients[:, :-1] += self.reg_param * trials[:, :-1]
        return list(gradients)

    def _curve(self, asked: Sequence[int]) -> None:
        """Work out the curvature where the first of these targets stands, for all of them.

        The targets of a design are much alike; where one is not, its own turn comes when its steps
        shrink its gradient too little.
        """
        if asked:
            factor = self.curvature(self.fits[asked[0]].at)
            for i in asked:
                self.fits[i].factor = factor

    def curvature(self, at: Doubles) -> tuple[Doubles, bool]:
        """The objective's second derivatives at a point, as their Cholesky factor.

        They do not depend on which rows are positive.
        """
        design = self.design
        coefficients, intercepts = (part.astype(np.float32) for part in self._plain(at[None]))
        size = len(design.columns) + 1
        sums = np.zeros((size, size))
        for block, values in design.blocks():
            chance = (coefficients @ values + intercepts)[0]
            _to_probabilities(chance)
            chance *= 1 - chance
            if design.weight is not None:
                chance *= design.weight[block]
            np.sqrt(chance, out=chance)
            part = np.empty((size, values.shape[1]), dtype=np.float32)
            np.multiply(values, chance, out=part[:-1])
            part[-1] = chance
            sums += part @ part.T
        scale = np.append(design.scale, 1.0)
        curvature = sums / (design.total * np.outer(scale, scale))
        curvature[np.diag_indices(size - 1)] += self.reg_param
        factor: tuple[Doubles, bool] = cho_factor(curvature)
        return factor


def _to_probabilities(logits: npt.NDArray[Any]) -> None:
    """1 / (1 + exp(-logit)), in place."""
    np.negative(logits, out=logits)
    np.minimum(logits, np.float32(80), out=logits)
    np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
