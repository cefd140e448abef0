import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from cas_spark.forecasting.forecast import Scorer, scores_of_team
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.indicator import NEVER_WEEKS
from cas_spark.settings import Settings
from cas_spark.tracking.store import Store
from cas_spark.tracking.week import log_models
from tests.tracking.weeks import POLL, manifest_of, models_of

CELLS = 40
FIND_AND_PREDICT = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"cas_spark", "pyspark", "sedona"}:
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Blocker())
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
with open(sys.argv[2]) as text:
    rows = pandas.DataFrame(json.load(text))
for uri in sys.argv[3:]:
    logits = mlflow.pyfunc.load_model(uri).predict(rows)["logit"]
    print([float(value).hex() for value in logits])
"""


@pytest.fixture
def run_id(store: Store, settings: Settings, catalogue: Catalogue) -> str:
    manifest = manifest_of(settings)
    return log_models(store, settings, manifest, models_of(catalogue), catalogue)


@pytest.fixture
def snapshot(catalogue: Catalogue) -> pa.Table:
    """Plain values of a team's cells, as `snapshots` holds them."""
    random = np.random.default_rng(7)
    columns = {
        i.name: pa.array(_values(random, i.kind).astype(np.float32)) for i in catalogue.indicators
    }
    return pa.table({"cell_id": pa.array(np.arange(CELLS)), **columns})


def _values(random: np.random.Generator, kind: str) -> npt.NDArray[Any]:
    if kind == "season":
        return random.uniform(-1, 1, CELLS)
    if kind == "weeks_since":
        return random.integers(0, NEVER_WEEKS + 1, CELLS)
    return random.exponential(2.0, CELLS)


def questions(snapshot: pa.Table) -> pd.DataFrame:
    """All fitted models of one team asked about every cell, in an order of no meaning."""
    values: pd.DataFrame = snapshot.drop(["cell_id"]).to_pandas().astype(np.float64)
    asked = [
        values.assign(team="a1", priority=priority, horizon=horizon, cell_id=range(CELLS))
        for priority in ("burglary", "robbery")
        for horizon in ("current", "early_1w")
    ]
    mixed: pd.DataFrame = pd.concat(asked).sample(frac=1, random_state=3)
    return mixed.reset_index(drop=True)


def expected_logits(
    snapshot: pa.Table, asked: pd.DataFrame, settings: Settings, catalogue: Catalogue
) -> list[float]:
    scorers = [Scorer.of(m) for m in models_of(catalogue) if m["team_id"] == "a1"]
    scores = scores_of_team("a1", snapshot, scorers, CELLS, catalogue, settings.forecast)
    keys = ["priority", "horizon", "cell_id"]
    logit = scores.to_pandas().set_index(keys)["logit"]
    return [float(logit[tuple(row)]) for row in asked[keys].itertuples(index=False)]


def test_the_served_model_gives_the_logits_of_the_forecast(
    store: Store, settings: Settings, catalogue: Catalogue, run_id: str, snapshot: pa.Table
) -> None:
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/toy@latest")
    asked = questions(snapshot)
    found = model.predict(asked.drop(columns="cell_id"))
    expected = expected_logits(snapshot, asked, settings, catalogue)
    assert found["logit"].to_list() == expected
    assert np.allclose(found["probability"], 1 / (1 + np.exp(-np.array(expected))), atol=1e-15)


def test_it_loads_and_predicts_where_the_project_is_not_installed(
    store: Store,
    settings: Settings,
    catalogue: Catalogue,
    run_id: str,
    snapshot: pa.Table,
    tmp_path: Path,
) -> None:
    asked = questions(snapshot)
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(asked.drop(columns="cell_id").to_dict("records")))
    elsewhere = tmp_path / "copied"
    [logged] = store.client.search_logged_models([store.weeks_of(POLL)[0].info.experiment_id])
    shutil.copytree(mlflow.artifacts.download_artifacts(logged.artifact_location), elsewhere)
    expected = [value.hex() for value in expected_logits(snapshot, asked, settings, catalogue)]
    uris = ["models:/toy@latest", str(elsewhere)]
    done = subprocess.run(
        [sys.executable, "-c", FIND_AND_PREDICT, store.uri, str(rows), *uris],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(expected)] * 2


def test_the_logged_model_declares_its_columns_and_pins_its_needs(
    store: Store, settings: Settings, catalogue: Catalogue, run_id: str
) -> None:
    [logged] = store.client.search_logged_models([store.weeks_of(POLL)[0].info.experiment_id])
    folder = Path(mlflow.artifacts.download_artifacts(logged.artifact_location))
    model = Model.load(str(folder))
    assert model.signature is not None
    inputs, outputs = model.signature.inputs, model.signature.outputs
    assert inputs.input_names() == ["team", "priority", "horizon", *catalogue.names]
    assert outputs.input_names() == ["logit", "probability"]
    assert model.metadata is not None
    assert model.metadata["is_generated"] == "true"
    assert all(label in model.metadata["labels"] for label in settings.labels)
    needs = (folder / "requirements.txt").read_text().splitlines()
    assert [need.partition("==")[0] for need in needs] == ["mlflow", "numpy", "pandas"]
    assert all(need.partition("==")[2] for need in needs)
    assert not (folder / "uv.lock").exists()
    example = model.load_input_example(str(folder))
    assert mlflow.pyfunc.load_model(str(folder)).predict(example)["logit"].notna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"team": "zz"}, "no model for team zz, priority burglary, horizon current"),
        ({"team": "c3"}, "the model for team c3.* failed: every cell-week has an incident"),
        ({"burglary_count_52w": np.nan}, "indicator burglary_count_52w is missing"),
        ({"horizon": None}, "team, priority or horizon is missing"),
    ],
)
def test_a_question_that_has_no_answer_is_refused(
    store: Store,
    run_id: str,
    snapshot: pa.Table,
    change: dict[str, Any],
    message: str,
) -> None:
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/toy@latest")
    asked = questions(snapshot).drop(columns="cell_id")
    asked = asked[(asked["priority"] == "burglary") & (asked["horizon"] == "current")]
    with pytest.raises((ValueError, MlflowException), match=message):
        model.predict(asked.assign(**change))
