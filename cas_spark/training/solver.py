"""Several logistic regressions on the same columns, at once: Newton's method on shared products.

The objective of each is MLlib's: mean log loss + reg_param / 2 x the squared norm of the
coefficients on standardised columns, the intercept free. The horizons of a priority look at the
same columns of the same rows, so their logits are one matrix product, and their gradients another.
A target's curvature is small (columns x columns); as long as a step that uses it shrinks the
gradient enough, it is kept, and lent to the other targets.

The optimum of a sample, with every positive and a share of the rest weighed in its place, is where
the full problem starts: it is near enough for a few passes over all rows to be all that it takes.

Products run in float32 over blocks of rows, sums over blocks in float64. The transformed values are
whole multiples of 2^-16 below 2^8, so float32 holds them exactly. One BLAS thread: the number of
cores must not change a sum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from cas_spark.training.design_matrix import ROUNDING
from cas_spark.training.stability import draws_around

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK_ROWS = 8192
"""Rows of a block: so many of some tens of columns stay in the cache between two products."""

SAMPLE_STEP = 8
"""One in so many of the rows that are positive for no target starts the fits."""

SAMPLE_AT_LEAST = 20_000
"""Rows below which a sample saves nothing."""

ROUGHLY = 1e-4
"""Tolerance of the fits on a sample, whose optimum is further than that from the full one."""

FLOAT_IS_ENOUGH = 1e-7
"""Below this norm of the gradient the rounding of float32 shows, so products run in doubles."""

KEEPS_CURVATURE = 0.2
"""A curvature is used again where the last step shrank the gradient to this share or less."""

NEAR = 1e-5
"""Below this norm of the gradient the objective is as good as a parabola: steps go all the way."""

OVERSHOOT = 0.5
"""A step is shortened where the slope at its end rises by more than this share of the descent."""


@dataclass(frozen=True)
class Design:
    """The rows and columns that all targets share.

    Attributes:
        values: transformed indicators less their centre, shape (all columns, rows), each
            contiguous.
        columns: which of them the targets look at.
        centre: near each looked-at column's mean, a multiple of 2^-16, so that taking it off is
            exact.
        scale: their standard deviations (n - 1); 0 for a column without variance.
        weight: how many rows each stands for, shape (rows,); None where each stands for itself.
    """

    values: Floats
    columns: Ints
    centre: Doubles
    scale: Doubles
    weight: Floats | None = None

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.values.shape[1])

    @property
    def total(self) -> float:
        """The rows that these stand for."""
        weight = self.weight
        return float(self.rows) if weight is None else float(weight.sum(dtype=np.float64))

    def only(self, places: Ints) -> "Design":
        """Some of the columns, by their place among these; nothing is copied."""
        return Design(
            self.values,
            self.columns[places],
            self.centre[places],
            self.scale[places],
            self.weight,
        )

    def sample(self, rows: Ints, weight: Floats) -> "Design":
        """Some of the rows, each weighed by how many of these it stands for."""
        own = weight if self.weight is None else weight * self.weight[rows]
        values = np.empty((len(self.columns), len(rows)), dtype=np.float32)
        for place, column in enumerate(self.columns):
            np.take(self.values[column], rows, out=values[place], mode="clip")
        return Design(values, np.arange(len(values)), self.centre, self.scale, own)

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """The columns over some rows at a time, in one buffer: take what is needed, keep nothing.

        Copying a block where it is used is far cheaper than a matrix of one's own per priority.
        """
        buffer = np.empty((len(self.columns), BLOCK_ROWS), dtype=np.float32)
        for start in range(0, self.rows, BLOCK_ROWS):
            block = slice(start, min(start + BLOCK_ROWS, self.rows))
            values = buffer[:, : block.stop - block.start]
            for place, column in enumerate(self.columns):
                values[place] = self.values[column, block]
            yield block, values


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


def design_of(values: Floats, weight: Floats | None = None) -> Design:
    """Centre transformed values, in place.

    Args:
        values: shape (columns, rows), at least two rows.
        weight: how many rows each stands for; 1 where it is None.
    """
    centre, scale = np.zeros(len(values)), np.zeros(len(values))
    weights = None if weight is None else weight.astype(np.float64)
    total = float(values.shape[1]) if weights is None else float(weights.sum())
    for place in range(len(values)):
        column = values[place]
        centre[place] = np.rint(column.mean(dtype=np.float64) * ROUNDING) / ROUNDING
        column -= np.float32(centre[place])
        if column.max() == column.min():
            continue
        wide = column.astype(np.float64)
        weighed = wide if weights is None else wide * weights
        variance = (weighed @ wide - weighed.sum() ** 2 / total) / (total - 1)
        scale[place] = np.sqrt(max(variance, 0.0))
    return Design(values, np.arange(len(values)), centre, scale, weight)


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
        rows = _sample(design.rows, positives)
        if rows is not None:
            start = _fit_sample(design, positives, rows, reg_param, max_passes)
            fits.begin_at(start, range(len(positives)))
        fits.run(tolerance, max_passes)
        return fits.solutions(tolerance)


def _fit_sample(
    design: Design, positives: Sequence[Ints], rows: Ints, reg_param: float, max_passes: int
) -> "_Fits":
    """Fit all targets roughly on some of the rows, each weighed by how many it stands for."""
    positive = _is_positive(design.rows, positives)[rows]
    sample = design.sample(rows, np.where(positive, 1, SAMPLE_STEP).astype(np.float32))
    sampled = [np.searchsorted(rows, own) for own in positives]
    # The horizons of a priority are much alike: where the first ends, the others begin.
    first = _Fits(sample, sampled[:1], reg_param)
    first.run(ROUGHLY, max_passes)
    fits = _Fits(sample, sampled, reg_param)
    fits.begin_at(first, [0] * len(sampled))
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


def _sample(rows: int, positives: Sequence[Ints]) -> Ints | None:
    """Every row that is positive for a target and a share of the rest, chosen by a hash."""
    chosen = one_in(SAMPLE_STEP, np.arange(rows)) | _is_positive(rows, positives)
    sampled = np.flatnonzero(chosen)
    return sampled if SAMPLE_AT_LEAST <= len(sampled) < rows // 2 else None


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
                if fit.norm > KEEPS_CURVATURE * last:
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

    def solutions(self, tolerance: float) -> list[Solution]:
        """What was found."""
        self._curve([i for i, fit in enumerate(self.fits) if fit.factor is None])
        return [
            Solution(
                coefficients=fit.at[:-1],
                intercept=float(fit.at[-1]),
                gradient_norm=fit.norm,
                passes=fit.passes,
                is_converged=fit.norm <= tolerance,
                draws=draws_around(fit.at, self._factor_of(fit), self.design.total),
            )
            for fit in self.fits
        ]

    @staticmethod
    def _factor_of(fit: _Fit) -> tuple[Doubles, bool]:
        assert fit.factor is not None  # noqa: S101  # the curvature was just worked out
        return fit.factor

    def _plain(self, active: Sequence[int]) -> tuple[Doubles, Doubles]:
        """Coefficients for the values as they stand, shape (targets, columns); intercepts."""
        at = np.array([self.fits[i].trial for i in active])
        return at[:, :-1] / self.design.scale, at[:, -1:]

    def _gradients(self, active: Sequence[int]) -> list[Doubles]:
        """The gradient of each active target at its trial point."""
        design = self.design
        is_fine = any(self.fits[i].norm < FLOAT_IS_ENOUGH for i in active)
        kind: type[Any] = np.float64 if is_fine else np.float32
        coefficients, intercepts = (part.astype(kind) for part in self._plain(active))
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
        for gradient, i in zip(gradients, active, strict=True):
            gradient[:-1] += self.reg_param * self.fits[i].trial[:-1]
        return list(gradients)

    def _curve(self, asked: Sequence[int]) -> None:
        """Work out the curvature where the first of these targets stands, for all of them.

        The targets of a design are much alike; where one is not, its own turn comes when its steps
        shrink its gradient too little.
        """
        if not asked:
            return
        design = self.design
        coefficients, intercepts = (part.astype(np.float32) for part in self._plain(asked[:1]))
        size = len(design.columns) + 1
        sums = np.zeros((size, size))
        for block, values in design.blocks():
            part = np.ones((size, values.shape[1]), dtype=np.float32)
            part[:-1] = values
            chance = (coefficients @ values + intercepts)[0]
            _to_probabilities(chance)
            chance *= 1 - chance
            if design.weight is not None:
                chance *= design.weight[block]
            sums += (part * chance) @ part.T
        scale = np.append(design.scale, 1.0)
        curvature = sums / (design.total * np.outer(scale, scale))
        curvature[np.diag_indices(size - 1)] += self.reg_param
        factor = cho_factor(curvature)
        for i in asked:
            self.fits[i].factor = factor


def _to_probabilities(logits: npt.NDArray[Any]) -> None:
    """1 / (1 + exp(-logit)), in place."""
    np.negative(logits, out=logits)
    np.minimum(logits, np.float32(80), out=logits)
    np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
