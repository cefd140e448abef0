"""What MLflow keeps of old polls goes, and where it keeps anything at all."""

import json
import logging
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from mlflow.entities import Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from cas_spark.settings import Settings
from cas_spark.settings.paths import local_path
from cas_spark.settings.redaction import redacted
from cas_spark.tracking.registry import models_of
from cas_spark.tracking.store import (
    CHALLENGE,
    WEEK,
    Store,
    database_of,
    open_store,
    uris_of,
)
from cas_spark.tracking.week import SETTINGS_FILE, forget

log = logging.getLogger(__name__)


def places_of(settings: Settings) -> tuple[list[str], str | None]:
    """Files and folders of MLflow, and a store that only its server can look into.

    Returns:
        Places that may not exist, and the address of the store where it is none of them.
    """
    uri, artifacts = uris_of(settings)
    places = []
    if artifacts is not None:
        local = local_path(artifacts)
        places.append(artifacts if local is None else str(local))
    if uri is None:
        return places, None
    database = database_of(uri)
    if database is not None:
        return [*places, str(database), f"{database}-wal"], None
    return places, redacted(uri)


def old_polls(settings: Settings, first: date) -> list[date]:
    """The polls before `first` of which MLflow has runs; none where it was never used."""
    uri, _ = uris_of(settings)
    database = None if uri is None else database_of(uri)
    if uri is None or (database is not None and not database.exists()):
        return []
    polls = {_poll_of(run) for run in _parents(open_store(settings))}
    return sorted(poll for poll in polls if poll < first)


def forget_polls(settings: Settings, polls: Sequence[date]) -> None:
    """Delete the runs and models of polls, and their artifacts from the disk.

    MLflow keeps the names and figures of what is deleted until its own `mlflow gc`.
    """
    if not polls:
        return
    store = open_store(settings)
    for parent in _parents(store):
        if _poll_of(parent) in polls:
            places = [model.artifact_location for model in models_of(store, parent)]
            places += [run.info.artifact_uri for run in (*store.children_of(parent), parent)]
            for place in places:
                local = local_path(place)
                if local is None or local.exists():
                    repository: Any = get_artifact_repository(place, tracking_uri=store.uri)
                    repository.delete_artifacts()
            forget(store, parent)


def redact_settings(settings: Settings) -> None:
    """Remove secrets from the settings that earlier versions of this code logged.

    Only a local folder of artifacts is looked into: what a server keeps, it alone can change.
    """
    _, artifacts = uris_of(settings)
    folder = None if artifacts is None else local_path(artifacts)
    if folder is None:
        return
    # Others may keep files of that name beside them: see `Store.make_experiment`.
    for file in folder.glob(f"{settings.name}-*/*/artifacts/{SETTINGS_FILE}"):
        try:
            logged = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            log.warning("%s: no settings as JSON, so its secrets cannot be removed", file)
            continue
        shown = redacted(logged)
        if shown != logged:
            unfinished = file.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(shown, indent=1), encoding="utf-8")
            unfinished.replace(file)


def _parents(store: Store) -> Iterator[Run]:
    """The parent runs of all polls: of weeks, and of challengers."""
    for experiment in store.client.search_experiments(filter_string=f"name LIKE '{store.lake} %'"):
        for level in (WEEK, CHALLENGE):
            yield from store.runs_with(experiment.experiment_id, {"level": level})


def _poll_of(run: Run) -> date:
    return date.fromisoformat(run.data.tags["poll"])
