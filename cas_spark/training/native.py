"""A fitted model as one of Spark's own, for use in `pyspark.ml`."""

from typing import Any

import numpy as np
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.common import _py2java
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

from cas_spark.training.models import Fit


def as_pyspark_model(spark: SparkSession, fit: Fit, name: str) -> LogisticRegressionModel:
    """The model as `pyspark.ml` has it; it can be saved, loaded and transform a frame.

    Its features are the transformed indicators (`design_matrix`) in the fit's order.

    Args:
        spark: the session.
        fit: of an engine.
        name: its uid.
    """
    context = spark.sparkContext
    jvm: Any = context._jvm  # noqa: SLF001 - pyspark has no public way to build a model
    vector = _py2java(context, Vectors.dense(np.array(fit.coefficients)))
    of_spark = jvm.org.apache.spark.ml.classification.LogisticRegressionModel
    return LogisticRegressionModel(of_spark(name, vector, float(fit.intercept)))
