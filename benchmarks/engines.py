"""Both engines on the same rows: whether they agree, and what each costs to the same gap."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from pyspark import StorageLevel, inheritable_thread_target
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from cas_spark.settings.learning import Training
from cas_spark.training import solver
from cas_spark.training.design import Design, design_of
from cas_spark.training.models import Expected, TrainingData
from cas_spark.training.solver import Group, solve
from cas_spark.training.team_rows import team_rows
from cas_spark.training.transforms import training_rows

GAP = 1e-7
"""Relative: how far above its least value the objective may end."""

TIGHT_GROUPED, TIGHT_MLLIB = 1e-8, 1e-12
GROUPED_TOLERANCES = (1e-4, 3e-5, 1e-5, 6e-6, 3e-6, 1e-6, 1e-7)
MLLIB_TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
MLLIB_ITERATIONS = 2000
MLLIB_WAYS = ((2, 1, 0.0), (2, 1, 8.0), (1, 2, 0.0), (1, 2, 8.0), (2, 2, 0.0))
"""(fits at once, partitions of each, block size in MB; 0 is MLlib's own choice)."""

Key = tuple[str, str, str]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Target:
    """One regression: the columns that it looks at, and the rows with an incident."""

    columns: Ints
    positives: Ints


@dataclass(frozen=True)
class Comparison:
    """What is compared: rows of a few teams."""

    data: TrainingData
    expected: Expected
    settings: Training
    scratch: Path

    @cached_property
    def targets(self) -> dict[str, list[tuple[Key, Target]]]:
        """Per team what is fitted; its rows lie in `scratch`."""
        found: dict[str, list[tuple[Key, Target]]] = {}
        place = {name: i for i, name in enumerate(self.expected.catalogue.names)}
        for team in self.expected.teams:
            of_team = F.col("team_id") == team
            rows = team_rows(
                team,
                self.data.context.where(of_team).toArrow(),
                self.data.labels.where(of_team).toArrow(),
                self.data.files,
                self.expected,
            )
            design = design_of(rows.matrix)
            np.save(self.scratch / f"{team}_values.npy", design.values)
            np.savez(self.scratch / f"{team}.npz", centre=design.centre, scale=design.scale)
            found[team] = []
            for priority in self.expected.priorities:
                asked = [place[i.name] for i in self.expected.catalogue.of_priority(priority)]
                columns = np.array([i for i in asked if design.scale[i] > 0], dtype=np.int64)
                for horizon in self.expected.horizons:
                    positives = rows.positives[priority, horizon]
                    if len(positives) >= self.settings.minimum_positives:
                        target = Target(columns, positives)
                        found[team].append(((team, priority, horizon), target))
        return found


def load(scratch: Path, team: str) -> Design:
    """A team's rows."""
    parts = np.load(scratch / f"{team}.npz")
    values = np.load(scratch / f"{team}_values.npy")
    return Design(values, np.arange(len(values)), parts["centre"], parts["scale"])


def compare_engines(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The lines: equality, and speed to the same gap."""
    targets = comparison.targets
    grouped = run_grouped(comparison, TIGHT_GROUPED).fits
    rows = MllibRows(comparison, partitions=1)
    reference = rows.fit(TIGHT_MLLIB, at_once=2, block_mb=0.0)[0]
    designs = {team: load(comparison.scratch, team) for team in targets}
    least = {key: objective(comparison, designs, key, at) for key, at in grouped.items()}
    yield {
        "bench": "equality",
        "models": len(grouped),
        "columns": max(len(t.columns) for group in targets.values() for _, t in group),
        "max_coef_diff": max(
            float(np.abs(grouped[key][:-1] - reference[key][:-1]).max()) for key in grouped
        ),
        "max_intercept_diff": max(
            abs(float(grouped[key][-1] - reference[key][-1])) for key in grouped
        ),
    }
    ways = {}
    some = [key for key in grouped if key[1] == comparison.expected.priorities[0]]
    for at_once, partitions, block_mb in MLLIB_WAYS:
        prepared = rows if partitions == 1 else MllibRows(comparison, partitions)
        prepared.fit(1e-6, at_once, block_mb, some)  # warm
        _, seconds = prepared.fit(1e-6, at_once, block_mb, some)
        ways[at_once, partitions, block_mb] = seconds
        if prepared is not rows:
            prepared.forget()
    at_once, partitions, block_mb = min(ways, key=lambda way: ways[way])
    best = rows if partitions == 1 else MllibRows(comparison, partitions)

    def gap(fits: Mapping[Key, Doubles]) -> float:
        values = {key: objective(comparison, designs, key, at) for key, at in fits.items()}
        return max((values[key] - least[key]) / least[key] for key in fits)

    mllib = _loosest(MLLIB_TOLERANCES, lambda t: best.fit(t, at_once, block_mb), gap)

    def fit_grouped(tolerance: float) -> tuple[dict[Key, Doubles], float]:
        run = run_grouped(comparison, tolerance)
        return run.fits, run.seconds

    own = _loosest(GROUPED_TOLERANCES, fit_grouped, gap)
    fastest = min(
        (run_grouped(comparison, own.tolerance) for _ in range(3)), key=lambda run: run.seconds
    )
    gemm = gemm_gflops()
    yield {
        "bench": "engines",
        "ratio": round(mllib.seconds / fastest.seconds, 1),
        "mllib_seconds": round(mllib.seconds, 2),
        "grouped_seconds": round(fastest.seconds, 3),
        "mllib_gap": mllib.gap,
        "grouped_gap": own.gap,
        "mllib_tolerance": mllib.tolerance,
        "grouped_tolerance": own.tolerance,
        "models": len(fastest.fits),
        "mllib_ways_tried": [
            {"at_once": a, "partitions": p, "block_mb": b, "seconds": round(s, 2)}
            for (a, p, b), s in ways.items()
        ],
        "gemm_gflops": round(gemm, 1),
        "share_of_gemm": round(fastest.gflops / gemm, 3),
    }


@dataclass(frozen=True)
class Timed:
    """The fits of an engine at a tolerance: how far above the least value, and in what time."""

    tolerance: float
    gap: float
    seconds: float


def _loosest(
    tolerances: Sequence[float],
    run: Callable[[float], tuple[dict[Key, Doubles], float]],
    gap: Callable[[Mapping[Key, Doubles]], float],
) -> Timed:
    """The loosest tolerance that ends within GAP of the least value, or the tightest there is."""
    for tolerance in tolerances:
        fits, seconds = run(tolerance)
        found = Timed(tolerance, gap(fits), seconds)
        if found.gap <= GAP or tolerance == tolerances[-1]:
            return found
    raise ValueError("no tolerance to try")


class Operations:
    """The multiplications and additions that a solver's products over all rows ask for."""

    def __init__(self) -> None:
        self.number = 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count in what is solved meanwhile; that is no business of the solver itself."""
        fits = solver._Fits  # noqa: SLF001
        gradients, curve = (vars(fits)[name] for name in ("_gradients", "_curve"))

        def count_gradients(self: Any, active: Sequence[int]) -> Any:
            columns = sum(len(self.targets[i].columns) for i in active)
            counter.number += 4 * columns * self.design.rows
            return gradients(self, active)

        def count_curve(self: Any, asked: Sequence[Any]) -> Any:
            for columns in {fit.target.group: len(fit.target.columns) for fit in asked}.values():
                counter.number += 2 * self.design.rows * (columns + (columns + 1) ** 2)
            return curve(self, asked)

        counter = self
        with (
            patch.object(fits, "_gradients", count_gradients),
            patch.object(fits, "_curve", count_curve),
        ):
            yield


def _solve(scratch: Path, team: str, targets: Sequence[Target], how: Training) -> tuple[Any, ...]:
    design = load(scratch, team)
    operations = Operations()
    start = time.time()
    groups = [
        Group(np.array(columns, dtype=np.int64), [target.positives for target in group])
        for columns, group in groupby(targets, key=lambda target: target.columns.tolist())
    ]
    with operations.counted():
        found = solve(design, groups, how.reg_param, how.tolerance, how.max_iterations)
    solutions = [solution for of_group in found for solution in of_group]
    return solutions, start, time.time(), operations.number


@dataclass(frozen=True)
class GroupedRun:
    """All targets fitted by the grouped engine, a process per team.

    `seconds` from the first start to the last end; `gflops` of its products, per core.
    """

    fits: dict[Key, Doubles]
    seconds: float
    gflops: float


def run_grouped(comparison: Comparison, tolerance: float) -> GroupedRun:
    """Fit all targets."""
    how = comparison.settings.model_copy(update={"tolerance": tolerance})
    targets = comparison.targets
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(targets), mp_context=context) as pool:
        # Each process reads its rows first; what counts is the time of the fits.
        done = [
            pool.submit(_solve, comparison.scratch, team, [t for _, t in group], how)
            for team, group in targets.items()
        ]
        results = [future.result() for future in done]
    fits = {}
    for group, (solutions, *_) in zip(targets.values(), results, strict=True):
        for (key, _), solution in zip(group, solutions, strict=True):
            fits[key] = np.append(solution.coefficients, solution.intercept)
    return GroupedRun(
        fits=fits,
        seconds=max(end for _, _, end, _ in results) - min(start for _, start, _, _ in results),
        gflops=sum(number for *_, number in results)
        / sum(end - start for _, start, end, _ in results)
        / 1e9,
    )


class MllibRows:
    """The rows of every team and priority, cached, for MLlib."""

    def __init__(self, comparison: Comparison, partitions: int) -> None:
        self.comparison = comparison
        self.rows: dict[tuple[str, str], DataFrame] = {}
        expected, data = comparison.expected, comparison.data
        first, last = expected.polls[0], expected.polls[-1]
        for team in expected.teams:
            for priority in expected.priorities:
                frame = training_rows(
                    data.snapshots.where(
                        (F.col("team_id") == team) & F.col("poll_on").between(first, last)
                    ),
                    data.labels.where(F.col("priority") == priority).drop("priority", "team_id"),
                    expected.catalogue.of_priority(priority),
                    expected.horizons,
                )
                if partitions > 1:
                    frame = frame.repartition(partitions)
                frame = frame.persist(StorageLevel.MEMORY_ONLY)
                frame.count()
                self.rows[team, priority] = frame

    def forget(self) -> None:
        """Free the memory."""
        for frame in self.rows.values():
            frame.unpersist()

    def fit(
        self, tolerance: float, at_once: int, block_mb: float, keys: Sequence[Key] = ()
    ) -> tuple[dict[Key, Doubles], float]:
        """Fit all targets, so many at once; on standardised columns, intercept at the centre."""
        comparison = self.comparison
        every = [pair for group in comparison.targets.values() for pair in group]
        asked = [(key, target) for key, target in every if not keys or key in keys]
        spark = comparison.data.snapshots.sparkSession
        place = {name: i for i, name in enumerate(comparison.expected.catalogue.names)}

        @inheritable_thread_target(spark)
        def fit(pair: tuple[Key, Target]) -> tuple[Key, Doubles]:
            key, target = pair
            team, priority, horizon = key
            model = LogisticRegression(
                labelCol=f"label_{horizon}",
                regParam=comparison.settings.reg_param,
                tol=tolerance,
                maxIter=MLLIB_ITERATIONS,
                family="binomial",
                maxBlockSizeInMB=block_mb,
            ).fit(self.rows[team, priority])
            names = [i.name for i in comparison.expected.catalogue.of_priority(priority)]
            plain = dict(zip((place[n] for n in names), model.coefficients, strict=True))
            parts = np.load(comparison.scratch / f"{team}.npz")
            of_used = np.array([plain[column] for column in target.columns.tolist()])
            intercept = model.intercept + float(of_used @ parts["centre"][target.columns])
            return key, np.append(of_used * parts["scale"][target.columns], intercept)

        start = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            fits = dict(pool.map(fit, asked))
        return fits, time.perf_counter() - start


def objective(
    comparison: Comparison, designs: Mapping[str, Design], key: Key, at: Doubles
) -> float:
    """Mean log loss + reg_param / 2 x the squared norm, in doubles."""
    team = key[0]
    design = designs[team]
    target = dict(comparison.targets[team])[key]
    coefficients = at[:-1] / design.scale[target.columns]
    step = 1 << 15
    logits = np.empty(design.rows)
    for start in range(0, design.rows, step):
        block = design.values[target.columns, start : start + step].astype(np.float64)
        logits[start : start + step] = coefficients @ block + at[-1]
    total = float(np.logaddexp(0, logits).sum() - logits[target.positives].sum())
    return total / design.rows + comparison.settings.reg_param / 2 * float(at[:-1] @ at[:-1])


def gemm_gflops() -> float:
    """The machine's own float32 matrix product on one core."""
    size = 2048
    matrix = np.ones((size, size), dtype=np.float32)
    with threadpool_limits(limits=1, user_api="blas"):
        matrix @ matrix
        start = time.perf_counter()
        matrix @ matrix
        return 2 * size**3 / (time.perf_counter() - start) / 1e9
