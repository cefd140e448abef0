"""Training: one row for every expected model, whatever becomes of it.

A model is `fitted` on its team, `pooled` (its team has too few settled cell-weeks with an incident,
so the model of the whole country stands in) or `failed` with the reason; none goes missing.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from py4j.protocol import Py4JError
from pyspark import StorageLevel, inheritable_thread_target
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.indicators.catalogue import Catalogue, Indicator
from cas_spark.settings.learning import Training
from cas_spark.training import mllib
from cas_spark.training.design_matrix import training_rows


@dataclass(frozen=True)
class Expected:
    """What is to be trained.

    Attributes:
        poll: whose forecast the models make.
        polls: that they learn from, oldest first.
        teams, priorities, horizons: a model is expected for every combination.
        catalogue: the indicators of the snapshots.
    """

    poll: date
    polls: tuple[date, ...]
    teams: tuple[str, ...]
    priorities: tuple[str, ...]
    horizons: tuple[str, ...]
    catalogue: Catalogue


@dataclass(frozen=True)
class TrainedModel:
    """One row of `models`, but for the run's number."""

    team_id: str
    priority: str
    horizon: str
    status: str
    reason: str | None
    fit: mllib.Fit | None
    indicators: tuple[str, ...]
    dropped: tuple[str, ...]
    rows: int
    positives: int
    seconds: float | None

    def to_row(self, expected: Expected, engine: str, run_number: int) -> dict[str, Any]:
        """The row of `models`."""
        pairs = zip(self.indicators, self.fit.coefficients, strict=True) if self.fit else ()
        return {
            "poll_on": expected.poll,
            "team_id": self.team_id,
            "priority": self.priority,
            "horizon": self.horizon,
            "status": self.status,
            "reason": self.reason,
            "intercept": self.fit.intercept if self.fit else None,
            "coefficients": [pair for pair in pairs if pair[0] not in self.dropped],
            "dropped": list(self.dropped),
            "first_poll_on": expected.polls[0],
            "last_poll_on": expected.polls[-1],
            "rows": self.rows,
            "positives": self.positives,
            "iterations": self.fit.iterations if self.fit else None,
            "engine": engine,
            "seconds": self.seconds,
            "run_number": run_number,
        }


def train(
    snapshots: DataFrame,
    labels: DataFrame,
    expected: Expected,
    settings: Training,
    progress: Callable[[int], None],
) -> list[TrainedModel]:
    """Train every expected model.

    Args:
        snapshots: of the polls to learn from (others are left out).
        labels: `outcomes.labels_of`, all priorities.
        expected: what is to be trained.
        settings: the engine's.
        progress: called with the number of models done, each time some are.

    Returns:
        Exactly one model per team, priority and horizon, in that order.
    """
    spark = snapshots.sparkSession
    first, last = expected.polls[0], expected.polls[-1]
    snapshots = snapshots.where(F.col("poll_on").between(first, last))
    groups = [(team, priority) for priority in expected.priorities for team in expected.teams]

    @inheritable_thread_target(spark)
    def train_group(group: tuple[str, str]) -> list[TrainedModel]:
        team, priority = group
        rows = snapshots.where(F.col("team_id") == team)
        models = list(_train_priority(rows, labels, expected, settings, team, priority))
        progress(len(models))
        return models

    # Fits are many small jobs; as many at once as there are cores keep all of them busy.
    with ThreadPoolExecutor(spark.sparkContext.defaultParallelism) as pool:
        models = [model for models in pool.map(train_group, groups) for model in models]
    models = _pool_small_ones(models, snapshots, labels, expected, settings)
    return sorted(models, key=lambda m: (m.team_id, m.priority, m.horizon))


def _train_priority(
    snapshots: DataFrame,
    labels: DataFrame,
    expected: Expected,
    settings: Training,
    team: str,
    priority: str,
) -> Iterator[TrainedModel]:
    """Train all horizons of a priority on the same rows, those of `snapshots`."""
    indicators = expected.catalogue.of_priority(priority)
    blank = TrainedModel(
        team, priority, "", "failed", None, None, tuple(i.name for i in indicators), (), 0, 0, None
    )
    try:
        rows = _rows_of(snapshots, labels, indicators, priority, expected.horizons)
    except (PySparkException, Py4JError) as error:
        for horizon in expected.horizons:
            yield replace(blank, horizon=horizon, reason=_reason(error))
        return
    try:
        content = mllib.content_of(rows, expected.horizons)
        dropped = tuple(
            i.name for i, constant in zip(indicators, content.is_constant, strict=False) if constant
        )
        for horizon in expected.horizons:
            positives = content.positives[horizon]
            model = replace(
                blank, horizon=horizon, dropped=dropped, rows=content.rows, positives=positives
            )
            if positives < settings.minimum_positives:
                reason = (
                    f"{positives} cell-weeks with an incident, {settings.minimum_positives} needed"
                )
                yield replace(model, status="pooled", reason=reason)
            elif positives == content.rows:
                yield replace(model, reason="every cell-week has an incident")
            else:
                yield _fitted(model, rows, settings)
    finally:
        rows.unpersist()


def _rows_of(
    snapshots: DataFrame,
    labels: DataFrame,
    indicators: Sequence[Indicator],
    priority: str,
    horizons: Sequence[str],
) -> DataFrame:
    """Training rows of a priority, computed once and kept for all horizons and iterations."""
    of_priority = labels.where(F.col("priority") == priority).drop("priority")
    rows = training_rows(snapshots, of_priority, indicators, horizons)
    return rows.persist(StorageLevel.MEMORY_AND_DISK)


def _fitted(model: TrainedModel, rows: DataFrame, settings: Training) -> TrainedModel:
    """The model with its fit, or failed with the reason."""
    start = time.monotonic()
    try:
        fit = mllib.fit(rows, f"label_{model.horizon}", settings)
    except (mllib.FitError, PySparkException, Py4JError) as error:
        return replace(model, reason=_reason(error))
    seconds = round(time.monotonic() - start, 3)
    return replace(model, status="fitted", fit=fit, seconds=seconds)


def _pool_small_ones(
    models: Sequence[TrainedModel],
    snapshots: DataFrame,
    labels: DataFrame,
    expected: Expected,
    settings: Training,
) -> list[TrainedModel]:
    """Give each model that has too few incidents the model of the whole country."""
    asked = sorted({(m.priority, m.horizon) for m in models if m.status == "pooled"})
    of_country: dict[tuple[str, str], TrainedModel] = {}
    for priority in sorted({priority for priority, _ in asked}):
        horizons = tuple(h for p, h in asked if p == priority)
        wanted = replace(expected, horizons=horizons)
        for model in _train_priority(snapshots, labels, wanted, settings, "", priority):
            of_country[priority, model.horizon] = model
    result = []
    for model in models:
        pooled = of_country.get((model.priority, model.horizon))
        if model.status != "pooled" or pooled is None:
            result.append(model)
        elif pooled.fit is None:
            reason = f"{model.reason}; nor does the whole country have a model: {pooled.reason}"
            result.append(replace(model, status="failed", reason=reason))
        else:
            result.append(
                replace(model, fit=pooled.fit, dropped=pooled.dropped, seconds=pooled.seconds)
            )
    return result


def _reason(error: Exception) -> str:
    """The first line of what went wrong."""
    return str(error).strip().splitlines()[0][:500] if str(error).strip() else repr(error)
