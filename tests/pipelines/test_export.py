"""An exported model, in a Python that knows nothing of this project."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.export import ModelKey, description_of, export_model
from cas_spark.settings import Settings, load_settings
from cas_spark.tracking.store import open_store
from tests.toy import POLL, settings_of_toy, write_settings

KEY = ModelKey(POLL, "A", "burglary", "early_1w")
LOAD_AND_PREDICT = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"cas_spark", "sedona", "delta"}:
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocker())
import mlflow.spark
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

folder, uri, model_id, rows = sys.argv[1:]
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
mlflow.set_tracking_uri(uri)
with open(rows) as text:
    values = [(i, row) for i, row in enumerate(json.load(text))]
frame = spark.createDataFrame(values, "i int, values array<double>").coalesce(1)
frame = frame.select("i", array_to_vector(F.col("values")).alias("features"))
chance = vector_to_array(F.col("probability"))[1].alias("p")
for model in (
    LogisticRegressionModel.load(folder),
    mlflow.spark.load_model(f"models:/{model_id}", dfs_tmpdir=folder + "_scratch"),
):
    scored = model.transform(frame).select("i", chance).orderBy("i").collect()
    print("PREDICTED", json.dumps([row["p"] for row in scored]))
"""

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture(scope="module")
def settings(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the lake on which a week has run; only MLflow is written to."""
    copy = tmp_path_factory.mktemp("export") / "toy"
    shutil.copytree(demo_lake.parent, copy)
    return load_settings(write_settings(copy))


def features_of(lake: Lake, told: dict[str, Any]) -> tuple[list[int], list[list[float]]]:
    """Cells and what the model reads of them, made from nothing but the model's own description."""
    last = lake.last_manifest
    assert last is not None
    fast = lake.read_version("snapshots", last.versions_out["snapshots"])
    fast = fast.where((F.col("poll_on") == told["poll"]) & (F.col("team_id") == told["team"]))
    slow = lake.read_version("cell_context", last.versions_out["cell_context"])
    rows = fast.join(slow, "cell_id").orderBy("cell_id").toPandas()
    columns = []
    for indicator in told["indicators"]:
        values = rows[indicator["name"]].to_numpy(np.float64)
        values = np.log1p(values) if indicator["transform"] == "log1p" else values
        columns.append(np.rint(values * 65536) / 65536)
    return rows["cell_id"].to_list(), np.array(columns).T.tolist()


def test_it_gives_the_probabilities_of_the_forecast_where_the_project_is_not_installed(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    to = tmp_path / "exported"
    report = export_model(spark, settings, KEY, str(to))
    told = json.loads((to / "model.json").read_text())
    assert (told["target_week"], told["run"]) == (str(POLL + timedelta(weeks=1)), 1)
    assert told["labels"] == settings.labels
    later = settings.model_copy(update={"horizons": {"current": 0}})
    again = export_model(spark, later, KEY, str(to))  # it forecast what it forecast then
    assert again == report
    assert json.loads((to / "model.json").read_text()) == told

    lake = Lake(spark, settings.lake)
    cells, features = features_of(lake, told)
    assert len(features[0]) == len(told["indicators"]) > 20
    values = tmp_path / "rows.json"
    values.write_text(json.dumps(features))
    store = open_store(settings)
    [week] = store.weeks_of(POLL)
    [logged] = store.client.search_logged_models(
        [week.info.experiment_id], filter_string="name = 'spark_early_1w'"
    )
    assert logged.tags["labels"]
    ours = ("SPARK_CONF_DIR", "PYTHONPATH", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            LOAD_AND_PREDICT,
            str(to / "model"),
            store.uri,
            logged.model_id,
            str(values),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key not in ours},
    )
    assert done.returncode == 0, done.stderr
    found = [
        json.loads(line.removeprefix("PREDICTED "))
        for line in done.stdout.splitlines()
        if line.startswith("PREDICTED ")
    ]
    forecasts = lake.read(tables.FORECASTS).where(
        "team_id = 'A' AND priority = 'burglary' AND horizon = 'early_1w'"
    )
    chance = {row["cell_id"]: row["probability"] for row in forecasts.collect()}
    expected = [chance[cell] for cell in cells]
    assert len(found) == 2
    for probabilities in found:
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["model.json", "model/photo.jpg", "model/metadata/part-00000"])
def test_a_folder_with_a_person_s_files_is_refused_before_any_work(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    settings = settings_of_toy(tmp_path)
    (tmp_path / "to" / name).parent.mkdir(parents=True)
    (tmp_path / "to" / name).write_text("mine")
    with pytest.raises(CasError, match=f"found {name}"):
        export_model(spark, settings, KEY, str(tmp_path / "to"))
    assert [p.read_text() for p in tmp_path.rglob("*") if p.is_file()] == ["mine"]


def test_a_model_that_is_not_there_is_told_with_those_that_are(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(CasError, match="team C.*team_id A, B; priority burglary, robbery"):
        export_model(spark, settings, ModelKey(POLL, "C", "burglary", "current"), str(tmp_path))
    earlier = ModelKey(POLL - timedelta(weeks=1), "A", "burglary", "current")
    with pytest.raises(CasError, match=f"found models of the polls {POLL}"):
        export_model(spark, settings, earlier, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_the_export_of_a_failed_model_is_refused_with_its_reason(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(spark, settings.lake)
    failed = lake.read(tables.MODELS).withColumns(
        {
            "status": F.lit("failed"),
            "reason": F.lit("not_converged"),
            "intercept": F.lit(None).cast("double"),
        }
    )
    monkeypatch.setattr(Lake, "read", lambda *_: failed)
    with pytest.raises(CasError, match="found status failed: the fit did not converge"):
        export_model(spark, settings, KEY, str(tmp_path))


def test_an_indicator_that_the_code_no_longer_knows_is_told(settings: Settings) -> None:
    pair = Row("indicator", "coefficient")
    pairs = [pair("burglary_count_4w", 1.0), pair("burglary_luck", 2.0)]
    with pytest.raises(CasError, match="a model of run 7: found burglary_luck"):
        description_of(Row(run_number=7, coefficients=pairs), settings, None)
