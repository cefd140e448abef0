"""A challenger in MLflow beside a week: found apart from it, and logged once."""

import mlflow.pyfunc

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.settings import Settings
from cas_spark.tracking.challenger import log_experiment
from cas_spark.tracking.registry import versions
from cas_spark.tracking.store import Store
from cas_spark.tracking.week import log_models
from tests.tracking.weeks import (
    POLL,
    challenge_manifest_of,
    challenge_results,
    manifest_of,
    models_of,
    shares_in_teams,
)

SHARE = "caught_share_at_3_percent"


def test_a_challenger_is_found_beside_the_week_and_never_as_one(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    week = log_models(store, settings, manifest_of(settings), models_of(catalogue), catalogue)
    ours = models_of(catalogue, seed=2, run_number=2)
    names = {"a1": "Alfa"}
    arguments = (
        settings,
        challenge_manifest_of(settings, 2),
        ours,
        catalogue,
        challenge_results(),
        shares_in_teams(),
        names,
    )
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
        frames = (challenge_results(ratio), shares_in_teams())
        return log_experiment(
            store, settings, challenge_manifest_of(settings, number), ours, catalogue, *frames, {}
        )

    first = log(2, 1.5)
    assert log(3, 1.5) == first
    second = log(4, 1.6)
    assert second != first
    assert [run.info.run_id for run in store.challenges_of("bold", POLL)] == [second]
