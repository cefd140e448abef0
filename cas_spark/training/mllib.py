"""The reference engine: `pyspark.ml`'s LogisticRegression, one model at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.ml.classification import LogisticRegression
from pyspark.ml.stat import Summarizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.settings.learning import Training


@dataclass(frozen=True)
class Fit:
    """A fitted logistic regression.

    Attributes:
        intercept: on transformed indicators.
        coefficients: on transformed, not standardised, indicators.
        iterations: that the optimiser took.
    """

    intercept: float
    coefficients: tuple[float, ...]
    iterations: int


class FitError(Exception):
    """Why a model could not be fitted; kept with it as the reason."""


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
        FitError: it did not converge within the iterations, or the result is not finite.
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
        message = f"did not converge within {settings.max_iterations} iterations"
        raise FitError(message)
    coefficients = tuple(float(value) for value in model.coefficients)
    if not all(math.isfinite(value) for value in (model.intercept, *coefficients)):
        message = "the coefficients are not finite"
        raise FitError(message)
    return Fit(float(model.intercept), coefficients, int(iterations))
