"""What MLflow keeps of old polls goes for good, and where it keeps anything at all."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from mlflow.cli import gc
from mlflow.entities import Run

from cas_spark.settings import Settings
from cas_spark.tracking.registry import OF_WEEK
from cas_spark.tracking.store import (
    CHALLENGE,
    WEEK,
    Store,
    open_store,
    uris_of,
    without_password,
)
from cas_spark.tracking.week import forget

SQLITE = "sqlite:///"


def places_of(settings: Settings) -> tuple[list[str], str | None]:
    """Files and folders of MLflow, and a store that only its server can look into.

    Returns:
        Places that may not exist, and the address of the store where it is none of them.
    """
    uri, artifacts = uris_of(settings)
    places = [artifacts] if artifacts is not None else []
    if uri is None:
        return places, None
    if uri.startswith(SQLITE):
        return [*places, uri.removeprefix(SQLITE)], None
    return places, without_password(uri)


def old_polls(settings: Settings, first: date) -> list[date]:
    """The polls before `first` of which MLflow has runs; none where it was never used."""
    uri, _ = uris_of(settings)
    if uri is None or (uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists()):
        return []
    polls = {date.fromisoformat(run.data.tags["poll"]) for run in _parents(open_store(settings))}
    return sorted(poll for poll in polls if poll < first)


def forget_polls(settings: Settings, polls: Sequence[date]) -> None:
    """Delete the runs and models of polls for good, their artifacts too.

    Of a store behind a server they are deleted as far as clients can: its own `mlflow gc` ends it.
    """
    if not polls:
        return
    store = open_store(settings)
    days = {poll.isoformat() for poll in polls}
    runs, models = [], []
    for parent in _parents(store):
        if parent.data.tags["poll"] in days:
            runs += [child.info.run_id for child in store.children_of(parent)]
            runs.append(parent.info.run_id)
            models += _logged_models(store, parent)
            forget(store, parent)
    if runs and not store.uri.startswith("http"):
        arguments = ["--backend-store-uri", store.uri, "--run-ids", ",".join(runs)]
        if models:
            arguments += ["--logged-model-ids", ",".join(models)]
        gc.main(arguments, standalone_mode=False)


def _parents(store: Store) -> Iterator[Run]:
    """The parent runs of all polls: of weeks, and of challengers."""
    for experiment in store.client.search_experiments(filter_string=f"name LIKE '{store.lake} %'"):
        for level in (WEEK, CHALLENGE):
            yield from store.runs_with(experiment.experiment_id, {"level": level})


def _logged_models(store: Store, parent: Run) -> list[str]:
    run_id = parent.info.run_id
    return [
        model.model_id
        for of_week in (f"source_run_id = '{run_id}'", f"tags.`{OF_WEEK}` = '{run_id}'")
        for model in store.client.search_logged_models(
            [parent.info.experiment_id], filter_string=of_week
        )
    ]
