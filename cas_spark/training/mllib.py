"""The reference engine: `pyspark.ml`'s LogisticRegression, one model at a time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from py4j.protocol import Py4JError
from pyspark import StorageLevel, inheritable_thread_target
from pyspark.errors import PySparkException
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.settings.learning import Training
from cas_spark.training.models import (
    Expected,
    Fit,
    TrainedModel,
    TrainingData,
    blank,
)
from cas_spark.training.transforms import training_rows
from cas_spark.training.unfitted import (
    ALL_POSITIVE,
    ERROR,
    NOT_CONVERGED,
    TOO_FEW_POSITIVES,
    message_of,
)


class NotConvergedError(Exception):
    """The optimiser found no finite coefficients within its iterations."""


@dataclass(frozen=True)
class Content:
    """What a set of training rows holds.

    Attributes:
        rows: how many.
        positives: horizon -> rows with an incident in the target week.
        is_constant: per column, whether it has the same value in every row.
    """

    rows: int
    positives: dict[str, int]
    is_constant: tuple[bool, ...]


def content_of(rows: DataFrame, horizons: Sequence[str]) -> Content:
    """Count rows and positives, and find the columns without variance."""
    extremes = Summarizer.metrics("min", "max").summary(F.col("features"))
    sums = [F.sum(f"label_{name}").alias(name) for name in horizons]
    found = rows.select(extremes.alias("x"), F.count("*").alias("rows"), *sums).first()
    if found is None or found["rows"] == 0:
        return Content(0, dict.fromkeys(horizons, 0), ())
    pairs = zip(found["x"]["min"], found["x"]["max"], strict=True)
    return Content(
        rows=found["rows"],
        positives={name: int(found[name]) for name in horizons},
        is_constant=tuple(low == high for low, high in pairs),
    )


def fit(rows: DataFrame, label: str, settings: Training) -> Fit:
    """Fit one model on the rows of one sorted partition.

    The objective: mean log loss + reg_param x half the squared norm of the coefficients on
    standardised columns; the intercept is free. Columns without variance get coefficient 0.

    Args:
        rows: features (vector) and the label column.
        label: name of the label column, 0.0 and 1.0.
        settings: regularisation, tolerance, iterations.

    Raises:
        NotConvergedError: it did not converge within the iterations, or the result is not finite.
    """
    regression = LogisticRegression(
        labelCol=label,
        regParam=settings.reg_param,
        elasticNetParam=0.0,
        standardization=True,
        tol=settings.tolerance,
        maxIter=settings.max_iterations,
        family="binomial",
    )
    model = regression.fit(rows)
    iterations = model.summary.totalIterations
    if iterations >= settings.max_iterations:
        message = f"within {settings.max_iterations} iterations"
        raise NotConvergedError(message)
    coefficients = tuple(float(value) for value in model.coefficients)
    if not all(math.isfinite(value) for value in (model.intercept, *coefficients)):
        message = "its coefficients are not finite"
        raise NotConvergedError(message)
    return Fit(float(model.intercept), coefficients, int(iterations))


def fit_teams(
    data: TrainingData, expected: Expected, settings: Training, progress: Callable[[int], None]
) -> list[TrainedModel]:
    """Fit every team's models; those with too few incidents are left `pooled`, without a fit.

    Args:
        data: what to learn from.
        expected: what is to be trained.
        settings: the engine's.
        progress: called with the number of models done, each time some are.
    """
    spark = data.snapshots.sparkSession
    first, last = expected.polls[0], expected.polls[-1]
    snapshots = data.snapshots.where(F.col("poll_on").between(first, last))
    groups = [(team, of) for of in expected.priorities for team in expected.teams]

    @inheritable_thread_target(spark)
    def fit_group(group: tuple[str, str]) -> list[TrainedModel]:
        team, priority = group
        rows = snapshots.where(F.col("team_id") == team)
        labels = data.labels.where(F.col("priority") == priority)
        models = list(_fit_priority(rows, labels, expected, settings, team, priority))
        progress(len(models))
        return models

    # Fits are many small jobs; as many at once as there are cores keep all of them busy.
    with ThreadPoolExecutor(spark.sparkContext.defaultParallelism) as pool:
        return [model for models in pool.map(fit_group, groups) for model in models]


def _fit_priority(
    snapshots: DataFrame,
    labels: DataFrame,
    expected: Expected,
    settings: Training,
    team: str,
    priority: str,
) -> Iterator[TrainedModel]:
    """Fit all horizons of a priority on the same rows, computed once."""
    indicators = expected.catalogue.of_priority(priority)
    blanks = [blank(team, priority, horizon, expected) for horizon in expected.horizons]
    rows = training_rows(
        snapshots, labels.drop("priority", "team_id"), indicators, expected.horizons
    ).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        content = content_of(rows, expected.horizons)
        dropped = tuple(
            i.name for i, constant in zip(indicators, content.is_constant, strict=False) if constant
        )
        for model in blanks:
            positives = content.positives[model.horizon]
            known = replace(model, dropped=dropped, rows=content.rows, positives=positives)
            if positives < settings.minimum_positives:
                yield replace(known, status="pooled", reason=TOO_FEW_POSITIVES)
            elif positives == content.rows:
                yield replace(known, reason=ALL_POSITIVE)
            else:
                yield _fitted(known, rows, settings)
    except (PySparkException, Py4JError) as error:
        for model in blanks:
            yield replace(model, reason=ERROR, detail=message_of(error))
    finally:
        rows.unpersist()


def _fitted(model: TrainedModel, rows: DataFrame, settings: Training) -> TrainedModel:
    """The model with its fit, or failed with the reason."""
    start = time.monotonic()
    try:
        fitted = fit(rows, f"label_{model.horizon}", settings)
    except NotConvergedError as error:
        return replace(model, reason=NOT_CONVERGED, detail=str(error))
    except (PySparkException, Py4JError) as error:
        return replace(model, reason=ERROR, detail=message_of(error))
    seconds = round(time.monotonic() - start, 3)
    return replace(model, status="fitted", fit=fitted, seconds=seconds)
