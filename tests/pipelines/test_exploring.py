"""A model fitted by hand on the frame that a notebook gets is the model of the lake."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import read_published
from cas_spark.pipelines.exploring import training_frame
from cas_spark.settings import load_settings
from cas_spark.training.models import Fit
from cas_spark.training.native import as_pyspark_model
from tests.toy import POLL

pytestmark = pytest.mark.spark


def test_the_frame_is_what_the_engine_saw_and_spark_agrees_on_its_model(
    spark: SparkSession, demo_lake: Path, tmp_path: Path
) -> None:
    settings = load_settings(demo_lake)
    lake = Lake(spark, settings.lake)
    frame = training_frame(lake, settings, POLL, "A", "burglary")
    [model] = (
        lake.read(tables.MODELS)
        .where("team_id = 'A' AND priority = 'burglary' AND horizon = 'early_1w'")
        .collect()
    )
    assert model["status"] == "fitted"
    assert (len(frame), frame["label_early_1w"].sum()) == (model["rows"], model["positives"])
    names = [pair["indicator"] for pair in model["coefficients"]]
    coefficients = np.array([pair["coefficient"] for pair in model["coefficients"]])
    values = frame[names].to_numpy(np.float64)
    chance = 1 / (1 + np.exp(-(values @ coefficients + model["intercept"])))
    # At the optimum the intercept's gradient is zero: as many are expected as were observed.
    tolerance = settings.training.tolerance * len(frame)
    assert chance.sum() == pytest.approx(frame["label_early_1w"].sum(), abs=tolerance)

    fit = Fit(model["intercept"], tuple(coefficients.tolist()), 1)
    native = as_pyspark_model(spark, fit, "of_team_a")
    native.write().save(str(tmp_path / "model"))
    loaded = type(native).load(str(tmp_path / "model"))
    some = values[:200]
    rows = spark.createDataFrame([(row.tolist(),) for row in some], "values array<double>")
    scored = loaded.transform(rows.select(array_to_vector(F.col("values")).alias("features")))
    found = scored.select(vector_to_array(F.col("probability"))[1].alias("p")).toPandas()["p"]
    np.testing.assert_allclose(found, chance[:200], atol=1e-6)


def test_an_unknown_team_is_told(spark: SparkSession, demo_lake: Path) -> None:
    settings = load_settings(demo_lake)
    with pytest.raises(CasError, match="teams A, B"):
        training_frame(Lake(spark, settings.lake), settings, POLL, "C", "burglary")


def test_a_reader_never_writes(spark: SparkSession, demo_lake: Path) -> None:
    lake = Lake(spark, load_settings(demo_lake).lake)
    reader = read_published(lake, POLL)
    with pytest.raises(CasError, match="a reader that would write"):
        reader.replace(tables.MODELS, lake.read(tables.MODELS))
    assert reader.read(tables.MODELS).count() == lake.read(tables.MODELS).count()
