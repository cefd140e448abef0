"""Several logistic regressions on the same rows, at once: Newton's method on shared products.

The objective of each is MLlib's: mean log loss + reg_param / 2 x the squared norm of the
coefficients on standardised columns, the intercept free. All look at columns of the same rows, so
their logits are one matrix product, and their gradients another: reading the rows costs more than
multiplying by the zeros of columns that a target does not look at. The horizons of a priority look
at the same columns. Their curvature is small (columns x columns); as long as a step that uses it
shrinks the gradient enough, it is kept, and lent to the others.

The optimum of a sample (`sampling`) is where the full problem starts, with the curvature found
there: near enough for a few passes over all rows to be all that it takes.

Products run in float32 over blocks of rows, sums over blocks in float64. The transformed values are
whole multiples of 2^-16 below 2^8, so float32 holds them exactly. One BLAS thread: the number of
cores must not change a sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from cas_spark.training.coefficient_draws import draws_around
from cas_spark.training.design import Design
from cas_spark.training.sampling import Sample

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COARSE, FINE = 32, 8
"""One in so many of the rows that are positive for no target starts the fits."""

SAMPLE_AT_LEAST = 5_000
"""Rows below which a sample saves nothing."""

ROUGHLY = 1e-5
"""Tolerance of the fits on a sample, whose optimum is about as far from the full one."""

FLOAT_IS_ENOUGH = 1e-7
"""Below this norm of the gradient the rounding of float32 shows, so products run in doubles."""

KEEPS_CURVATURE = 0.3
"""A curvature is used again where the last step shrank the gradient to this share or less."""

NEAR = 1e-5
"""Below this norm of the gradient the objective is as good as a parabola: steps go all the way."""

OVERSHOOT = 0.5
"""A step is shortened where the slope at its end rises by more than this share of the descent."""


@dataclass(frozen=True)
class Group:
    """Targets that look at the same columns, such as the horizons of a priority.

    Attributes:
        columns: their places among the design's, each with variance.
        positives: per target the rows with an incident, sorted: at least one, and not all rows.
    """

    columns: Ints
    positives: Sequence[Ints]


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
    groups: Sequence[Group],
    reg_param: float,
    tolerance: float,
    max_passes: int,
) -> list[list[Solution]]:
    """Fit all targets.

    Args:
        design: the shared rows, and the columns of all groups.
        groups: the targets; a group may have none.
        reg_param: as MLlib's regParam.
        tolerance: of the gradient's norm, on standardised columns.
        max_passes: over all rows; a target that needs more is returned as not converged.

    Returns:
        Per group, its targets' solutions in their order.
    """
    targets = [
        _Target(place, group.columns, own)
        for place, group in enumerate(groups)
        for own in group.positives
    ]
    if not targets:
        return [[] for _ in groups]
    with threadpool_limits(limits=1, user_api="blas"):
        fits = _Fits(design, targets, reg_param)
        start = _fit_samples(design, targets, reg_param, max_passes)
        if start is not None:
            fits.begin_at(start, range(len(targets)))
        fits.run(tolerance, max_passes)
        solutions = iter(fits.solutions(tolerance, start))
    return [[next(solutions) for _ in group.positives] for group in groups]


@dataclass(frozen=True)
class _Target:
    """A regression: its group's place, the columns it looks at and the rows with an incident."""

    group: int
    columns: Ints
    positives: Ints


def _fit_samples(
    design: Design, targets: Sequence[_Target], reg_param: float, max_passes: int
) -> "_Fits | None":
    """Fit all targets roughly on a share of the rows; None where that would save nothing."""
    if design.rows // FINE < SAMPLE_AT_LEAST:
        return None
    positive = np.zeros(design.rows, dtype=bool)
    for target in targets:
        positive[target.positives] = True
    # The targets of a group are much alike: where the first ends, the others begin.
    firsts = {target.group: target for target in reversed(targets)}
    rough = _on_sample(Sample.even(positive, COARSE), design, list(firsts.values()), reg_param)
    rough.run(ROUGHLY, max_passes)
    sample = Sample.leaning(positive, rough.relative_chance(design), FINE)
    fits = _on_sample(sample, design, targets, reg_param)
    place = {group: place for place, group in enumerate(firsts)}
    fits.begin_at(rough, [place[target.group] for target in targets])
    fits.run(ROUGHLY, max_passes)
    return fits


def _on_sample(
    sample: Sample, design: Design, targets: Sequence[_Target], reg_param: float
) -> "_Fits":
    """Targets of a design, on some of its rows only."""
    sampled = [replace(t, positives=np.searchsorted(sample.rows, t.positives)) for t in targets]
    return _Fits(design.sample(sample.rows, sample.weight), sampled, reg_param)


@dataclass
class _Fit:
    """Where one target stands; in standardised coordinates of its columns, the intercept last."""

    target: _Target
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
    targets: Sequence[_Target]
    reg_param: float
    fits: list[_Fit] = field(init=False)

    def __post_init__(self) -> None:
        self.fits = []
        for target in self.targets:
            share = self._share_positive(target)
            at = np.zeros(len(target.columns) + 1)
            at[-1] = np.log(share / (1 - share))
            self.fits.append(_Fit(target, at))

    def _share_positive(self, target: _Target) -> float:
        weight, own = self.design.weight, target.positives
        number = len(own) if weight is None else float(weight[own].sum(dtype=np.float64))
        return number / self.design.total

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
            self._curve([self.fits[i] for i in sorted(going) if self.fits[i].factor is None])
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
                draws=draws_around(fit.at, bearing.curvature(fit), self.design.total),
            )
            for fit in self.fits
        ]

    def _gradients(self, active: Sequence[int]) -> list[Doubles]:
        """The gradient of each active target at its trial point, in the order of `active`."""
        found: dict[int, Doubles] = {}
        fine = [i for i in active if self.fits[i].norm < FLOAT_IS_ENOUGH]
        coarse = [i for i in active if self.fits[i].norm >= FLOAT_IS_ENOUGH]
        for kind, some in ((np.float32, coarse), (np.float64, fine)):
            if some:
                gradients = self._gradients_in(kind, [self.fits[i] for i in some])
                found.update(zip(some, gradients, strict=True))
        return [found[i] for i in active]

    def _gradients_in(self, kind: type[Any], fits: Sequence[_Fit]) -> list[Doubles]:
        """The gradients with products of that kind of numbers."""
        design, places, coefficients, intercepts = _side_by_side(self.design, kind, fits)
        row = np.concatenate([fit.target.positives for fit in fits])
        of = np.repeat(np.arange(len(fits)), [len(fit.target.positives) for fit in fits])
        order = np.argsort(row, kind="stable")
        row, of = row[order], of[order]
        sums, totals = np.zeros(coefficients.shape), np.zeros(len(fits))
        for block, plain in design.blocks():
            values: npt.NDArray[Any] = plain.astype(kind, copy=False)
            error: npt.NDArray[Any] = coefficients @ values
            error += intercepts
            _to_probabilities(error)
            first, last = np.searchsorted(row, [block.start, block.stop])
            error[of[first:last], row[first:last] - block.start] -= 1
            if design.weight is not None:
                error *= design.weight[block]
            sums += error @ values.T
            totals += error.sum(axis=1, dtype=np.float64)
        sums /= design.scale
        gradients = []
        for i, (fit, place) in enumerate(zip(fits, places, strict=True)):
            gradient = np.append(sums[i, place], totals[i]) / design.total
            gradient[:-1] += self.reg_param * fit.trial[:-1]
            gradients.append(gradient)
        return gradients

    def relative_chance(self, design: Design) -> Floats:
        """How likely each row of a design is to be positive beside the mean row; the mean of all.

        Args:
            design: of which these fits' own is a sample.
        """
        design, _, coefficients, intercepts = _side_by_side(design, np.float32, self.fits)
        shares = np.array([[self._share_positive(target)] for target in self.targets], np.float32)
        relative = np.empty(design.rows, dtype=np.float32)
        for block, values in design.blocks():
            chance = coefficients @ values + intercepts
            _to_probabilities(chance)
            relative[block] = (chance / shares).mean(axis=0)
        return relative

    def _curve(self, asked: Sequence[_Fit]) -> None:
        """Work out the curvature where the first of each group's fits stands, for all of them.

        The targets of a group are much alike; where one is not, its own turn comes when its steps
        shrink its gradient too little.
        """
        factors: dict[int, tuple[Doubles, bool]] = {}
        for fit in asked:
            group = fit.target.group
            if group not in factors:
                factors[group] = self.curvature(fit)
            fit.factor = factors[group]

    def curvature(self, fit: _Fit) -> tuple[Doubles, bool]:
        """The objective's second derivatives where a fit stands, as their Cholesky factor.

        They do not depend on which rows are positive.
        """
        design = self.design.only(fit.target.columns)
        coefficients = (fit.at[None, :-1] / design.scale).astype(np.float32)
        intercept = np.float32(fit.at[-1])
        size = len(design.columns) + 1
        sums = np.zeros((size, size))
        for block, values in design.blocks():
            chance = (coefficients @ values + intercept)[0]
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


def _side_by_side(
    design: Design, kind: type[Any], fits: Sequence[_Fit]
) -> tuple[Design, list[Ints], npt.NDArray[Any], npt.NDArray[Any]]:
    """Fits for one product: 0 for the columns that a fit does not look at.

    Returns:
        The design with the columns that any of them looks at; each fit's places among these; their
        coefficients for the values as they stand, shape (fits, columns); their intercepts.
    """
    columns = np.unique(np.concatenate([fit.target.columns for fit in fits]))
    design = design.only(columns)
    places = [np.searchsorted(columns, fit.target.columns) for fit in fits]
    coefficients = np.zeros((len(fits), len(columns)), dtype=kind)
    for own, fit, place in zip(coefficients, fits, places, strict=True):
        own[place] = fit.trial[:-1] / design.scale[place]
    return design, places, coefficients, np.array([[fit.trial[-1]] for fit in fits], dtype=kind)


def _to_probabilities(logits: npt.NDArray[Any]) -> None:
    """1 / (1 + exp(-logit)), in place."""
    np.negative(logits, out=logits)
    np.minimum(logits, np.float32(80), out=logits)
    np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
