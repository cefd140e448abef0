"""A challenger in MLflow beside a week: found apart from it, and logged once."""

from dataclasses import replace

import mlflow.pyfunc
import pandas as pd

from cas_spark.evaluation.comparing import ACROSS, OPEN, WINS, WITHIN
from cas_spark.evaluation.measures import CHALLENGER, MODEL
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.manifest import Manifest
from cas_spark.settings import Settings
from cas_spark.tracking.experiment import log_experiment
from cas_spark.tracking.registry import versions
from cas_spark.tracking.store import Store
from cas_spark.tracking.week import log_models
from tests.tracking.weeks import POLL, manifest_of, models_of

SHARE = "caught_share_at_3_percent"


def results(ratio: float = 1.5) -> pd.DataFrame:
    figures = {"priority": "burglary", "horizon": "current", "incidents": 80, "weeks": 4}
    figures |= {"champion": 0.2, "challenger": 0.2 * ratio, "ratio": ratio}
    across = {"choice": ACROSS, "low": 1.1, "high": 1.9, "verdict": WINS}
    nan = float("nan")
    within = {"choice": WITHIN, "ratio": nan, "low": nan, "high": nan, "verdict": OPEN}
    return pd.DataFrame([figures | across, figures | within])


def in_teams() -> pd.DataFrame:
    key = {"team_id": "a1", "priority": "burglary", "horizon": "current"}
    shares = {MODEL: 0.2, CHALLENGER: 0.3, "all_history_count": 0.1}
    return pd.DataFrame([key | {"method": of, "value": share} for of, share in shares.items()])


def manifest(settings: Settings, number: int) -> Manifest:
    facts = {
        "experiment": "bold",
        "champion_run": 1,
        "scored_polls": ["2024-07-01", "2024-12-23"],
        "settling_days": 21,
    }
    return replace(manifest_of(settings, number), facts=facts)


def test_a_challenger_is_found_beside_the_week_and_never_as_one(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    week = log_models(store, settings, manifest_of(settings), models_of(catalogue), catalogue)
    ours = models_of(catalogue, seed=2, run_number=2)
    names = {"a1": "Alfa"}
    arguments = (settings, manifest(settings, 2), ours, catalogue, results(), in_teams(), names)
    run_id = log_experiment(store, *arguments)
    assert [run.info.run_id for run in store.weeks_of(POLL)] == [week]
    assert [version.run_id for version in versions(store)] == [week]
    [run] = store.challenges_of("bold", POLL)
    assert run.info.run_id == run_id
    assert store.client.get_experiment(run.info.experiment_id).name == "toy experiment bold"
    tags = run.data.tags
    assert (tags["experiment"], tags["champion_run"], tags["level"]) == ("bold", "1", "experiment")
    assert tags["verdict/across_teams/burglary.current"] == "catches more"
    assert tags["verdict/burglary.current"] == "no difference shown"
    across = f"across_teams/burglary/{SHARE}.current"
    assert run.data.metrics[f"{across}.ratio"] == 1.5
    assert run.data.metrics[f"{across}.low"] == 1.1
    assert f"burglary/{SHARE}.current.ratio" not in run.data.metrics  # the champion caught none
    children = {(c.data.tags["team"], c.data.tags["priority"]): c for c in store.children_of(run)}
    assert len(children) == 6
    of_team = children["a1", "burglary"]
    assert of_team.data.tags["level"] == "experiment_team"
    assert of_team.data.metrics[f"{SHARE}.current.champion"] == 0.2
    assert of_team.data.metrics[f"{SHARE}.current.challenger"] == 0.3
    [logged] = store.client.search_logged_models([run.info.experiment_id])
    model = mlflow.pyfunc.load_model(logged.artifact_location)
    assert len(model.predict(model.input_example)) == 1


def test_the_same_again_is_logged_once_and_another_outcome_takes_its_place(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    def log(number: int, ratio: float) -> str:
        ours = models_of(catalogue, run_number=number)
        frames = (results(ratio), in_teams())
        return log_experiment(
            store, settings, manifest(settings, number), ours, catalogue, *frames, {}
        )

    first = log(2, 1.5)
    assert log(3, 1.5) == first
    second = log(4, 1.6)
    assert second != first
    assert [run.info.run_id for run in store.challenges_of("bold", POLL)] == [second]
