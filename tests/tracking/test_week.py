import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.entities import Run

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.settings import Settings
from cas_spark.tracking import week as week_module
from cas_spark.tracking.registry import versions
from cas_spark.tracking.store import Store
from cas_spark.tracking.week import log_models
from tests.tracking.weeks import POLL, PRIORITIES, TEAMS, manifest_of, models_of

NEXT = POLL + timedelta(weeks=1)


def log(
    store: Store, settings: Settings, catalogue: Catalogue, number: int = 1, **changes: Any
) -> str:
    poll = changes.get("poll", POLL)
    models = models_of(catalogue, run_number=number, **changes)
    return log_models(store, settings, manifest_of(settings, number, poll), models, catalogue)


def ids(runs: Sequence[Run]) -> list[str]:
    return [run.info.run_id for run in runs]


def latest_poll(store: Store) -> str:
    return str(store.client.get_model_version_by_alias("toy", "latest").tags["poll"])


def test_a_week_is_a_parent_run_with_a_child_per_team_and_priority(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    run_id = log(store, settings, catalogue)
    parent = store.client.get_run(run_id)
    experiment = store.client.get_experiment(parent.info.experiment_id)
    assert experiment.name == "toy 2025-01"
    assert parent.info.run_name == "2025-01-06"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["settling_days"] == "21"
    assert parent.data.params["commit"] == "c0ffee"
    assert parent.data.params["settings_sha256"] == settings.sha256()
    assert parent.data.params["catalogue_version"] == catalogue.version
    assert parent.data.metrics["models.fitted"] == 11
    assert parent.data.metrics["models.failed"] == 1
    children = store.children_of(parent)
    found = sorted((c.data.tags["team"], c.data.tags["priority"]) for c in children)
    assert found == [(team, priority) for team in TEAMS for priority in PRIORITIES]


def test_a_child_is_found_by_its_tags_and_holds_each_horizon(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    parent = store.client.get_run(log(store, settings, catalogue))
    [child] = store.client.search_runs(
        [parent.info.experiment_id],
        "tags.team = 'c3' and tags.priority = 'burglary' and tags.poll = '2025-01-06'",
    )
    assert child.data.tags["status.current"] == "failed"
    assert child.data.tags["status.early_1w"] == "fitted"
    assert child.data.params["reason.current"] == "every cell-week has an incident"
    assert child.data.metrics["positives.current"] == 321
    assert child.data.metrics["iterations.early_1w"] == 17
    assert "iterations.current" not in child.data.metrics
    [failed] = store.client.search_runs(
        [parent.info.experiment_id], "tags.`status.current` = 'failed'"
    )
    assert failed.info.run_id == child.info.run_id


def test_everything_says_that_it_is_generated_and_assumed(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    parent = store.client.get_run(log(store, settings, catalogue))
    [version] = versions(store)
    for tags in (*(run.data.tags for run in (parent, *store.children_of(parent))), version.tags):
        assert tags["is_generated"] == tags["is_assumed"] == "true"
        assert all(label in tags["labels"] for label in settings.labels)
    assert parent.data.tags["mlflow.note.content"] == parent.data.tags["labels"]


def test_coefficients_are_an_artifact_with_the_exact_numbers(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    parent = store.client.get_run(log(store, settings, catalogue))
    [child] = store.client.search_runs(
        [parent.info.experiment_id], "tags.team = 'a1' and tags.priority = 'robbery'"
    )
    file = Path(store.client.download_artifacts(child.info.run_id, "coefficients.csv"))
    rows = {row["indicator"]: row for row in csv.DictReader(file.read_text().splitlines())}
    for model in models_of(catalogue):
        if (model["team_id"], model["priority"]) != ("a1", "robbery"):
            continue
        of_horizon = {name: float(row[model["horizon"]]) for name, row in rows.items()}
        assert of_horizon.pop("intercept") == model["intercept"]
        assert of_horizon == dict(model["coefficients"])


def test_the_same_content_again_logs_nothing(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    run_id = log(store, settings, catalogue)
    children = ids(store.children_of(store.client.get_run(run_id)))
    assert log(store, settings, catalogue, number=2) == run_id
    assert ids(store.weeks_of(POLL)) == [run_id]
    assert ids(store.children_of(store.client.get_run(run_id))) == children
    assert len(versions(store)) == 1


def test_other_content_of_the_same_poll_takes_the_place_of_the_old(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    old = log(store, settings, catalogue)
    new = log(store, settings, catalogue, number=2, seed=2)
    assert new != old
    [parent] = store.weeks_of(POLL)
    assert parent.info.run_id == new
    experiment = [parent.info.experiment_id]
    assert len(store.client.search_runs(experiment)) == 1 + len(TEAMS) * len(PRIORITIES)
    assert [version.run_id for version in versions(store)] == [new]
    assert len(store.client.search_logged_models(experiment)) == 1


@pytest.mark.parametrize(
    "broken", ["_coefficients", "log_week_model", "register", "delete", "set_terminated"]
)
def test_what_a_crash_left_behind_is_logged_anew(
    store: Store,
    settings: Settings,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    calls = []

    def crash(*_: Any, **__: Any) -> None:
        calls.append(broken)
        raise KeyboardInterrupt

    if broken == "delete":  # in the middle of replacing the old
        log(store, settings, catalogue, seed=2)
        monkeypatch.setattr(week_module, "forget_models_of", crash)
    elif broken == "set_terminated":
        monkeypatch.setattr(store.client, broken, crash)
    else:
        monkeypatch.setattr(week_module, broken, crash)
    with pytest.raises(KeyboardInterrupt):
        log(store, settings, catalogue)
    assert calls
    monkeypatch.undo()
    run_id = log(store, settings, catalogue)
    [parent] = store.weeks_of(POLL)
    assert parent.info.run_id == run_id
    assert parent.data.tags["complete"] == "true"
    runs = store.client.search_runs([parent.info.experiment_id])
    assert len(runs) == 1 + len(TEAMS) * len(PRIORITIES)
    assert [version.run_id for version in versions(store)] == [run_id]
    assert len(store.client.search_logged_models([parent.info.experiment_id])) == 1


def test_latest_is_the_newest_poll_also_when_an_older_one_is_logged_late(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    newest = log(store, settings, catalogue, poll=NEXT, number=1)
    log(store, settings, catalogue, poll=POLL, number=2)
    assert latest_poll(store) == str(NEXT)
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/toy@latest")
    assert model.metadata.run_id == newest
    assert len(versions(store)) == 2


def test_a_crash_while_the_newest_poll_gets_its_new_version_leaves_no_second_one(
    store: Store, settings: Settings, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    log(store, settings, catalogue, poll=NEXT, number=1)
    with monkeypatch.context() as patched:
        patched.setattr(store.client, "delete_model_version", crash)
        with pytest.raises(KeyboardInterrupt):
            log(store, settings, catalogue, poll=POLL, number=2)
    log(store, settings, catalogue, poll=POLL, number=2)
    assert latest_poll(store) == str(NEXT)
    assert len(versions(store)) == 2


def test_each_month_has_its_own_experiment(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    polls = (POLL, NEXT, date(2025, 2, 3))
    for number, poll in enumerate(polls, start=1):
        log(store, settings, catalogue, poll=poll, number=number)
    names = {e.name for e in store.client.search_experiments()} - {"Default"}
    assert names == {"toy 2025-01", "toy 2025-02"}
    assert [len(store.weeks_of(poll)) for poll in polls] == [1, 1, 1]


def test_models_of_two_polls_are_refused(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    models = [*models_of(catalogue), *models_of(catalogue, poll=NEXT)]
    with pytest.raises(ValueError, match="models of one poll"):
        log_models(store, settings, manifest_of(settings), models, catalogue)
