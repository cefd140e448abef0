"""The one loadable model of a week: logged with its signature and pinned needs, and registered.

`models:/<lake>@latest` is the model of the newest poll. MLflow reserves that alias for the highest
version, so when an older poll is logged late the newest poll's model gets a new version.
"""

import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.sql import Row

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.indicator import NEVER_WEEKS, Indicator
from cas_spark.tracking.store import PAGE, Store
from cas_spark.training.transforms import ROUNDING
from cas_spark.training.unfitted import in_words

CODE = Path(__file__).with_name("served_model.py")
OF_WEEK = "week_run"
"""Tag of a model that is logged under a team's run: the parent of that run."""

NEEDS = ("mlflow", "numpy", "pandas")


def signature_of(catalogue: Catalogue) -> ModelSignature:
    """Team, priority, horizon and every indicator in; logit and probability out."""
    keys = [ColSpec("string", name) for name in ("team", "priority", "horizon")]
    indicators = [ColSpec("double", name) for name in catalogue.names]
    results = Schema([ColSpec("double", "logit"), ColSpec("double", "probability")])
    return ModelSignature(inputs=Schema([*keys, *indicators]), outputs=results)


def environment(name: str, needs: Sequence[str]) -> dict[str, Any]:
    """What a logged model needs, pinned; inferring it takes ten seconds and may find anything.

    Args:
        name: of the environment.
        needs: Python packages.
    """
    pinned = [f"{need}=={library_version(need)}" for need in needs]
    return {
        "name": name,
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": pinned}],
    }


def log_week_model(
    store: Store,
    parent: Run,
    name: str,
    models: Sequence[Row],
    catalogue: Catalogue,
    metadata: Mapping[str, Any],
) -> str:
    """Log the model of a week under its parent run.

    Args:
        store: where to.
        parent: the week's run.
        name: of the logged model.
        models: rows of `models`, failed ones included, so that asking for them says why.
        catalogue: the indicators of the snapshots.
        metadata: kept in the model, such as what must be said wherever its figures are shown.

    Returns:
        The id of the logged model.
    """
    client, run_id = store.client, parent.info.run_id
    logged = client.create_logged_model(
        parent.info.experiment_id,
        name=name,
        source_run_id=run_id,
        tags={key: str(value) for key, value in metadata.items()},
    )
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    description = Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        run_id=run_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as scratch:
        coefficients = Path(scratch, "models.json")
        coefficients.write_text(_as_json(models, catalogue), encoding="utf-8")
        folder = Path(scratch, "model")
        mlflow.pyfunc.save_model(
            folder,
            python_model=str(CODE),
            artifacts={"models": str(coefficients)},
            mlflow_model=description,
            signature=signature_of(catalogue),
            input_example=_example(models, catalogue),
            conda_env=environment("cas-spark-week", NEEDS),
            metadata=dict(metadata),
        )
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return str(logged.model_id)


def _as_json(models: Sequence[Row], catalogue: Catalogue) -> str:
    """What the served model reads; numbers in the shortest form that gives the same bits back."""
    content = {
        "rounding": ROUNDING,
        "indicators": [
            {"name": i.name, "transform": i.transform, "meaning": i.meaning}
            for i in catalogue.indicators
        ],
        "models": [
            {
                "team": model["team_id"],
                "priority": model["priority"],
                "horizon": model["horizon"],
                "status": model["status"],
                "reason": in_words(model.asDict()),
                "intercept": model["intercept"],
                "coefficients": dict(model["coefficients"]),
            }
            for model in models
        ],
    }
    return json.dumps(content, allow_nan=False)


def _example(models: Sequence[Row], catalogue: Catalogue) -> pd.DataFrame:
    """A cell in which nothing ever happened."""
    first = next((model for model in models if model["intercept"] is not None), models[0])
    keys = {"team": first["team_id"], "priority": first["priority"], "horizon": first["horizon"]}
    values = {i.name: _nothing_happened(i) for i in catalogue.indicators}
    return pd.DataFrame([keys | values])


def _nothing_happened(indicator: Indicator) -> float:
    if indicator.kind == "nearest_suspect":
        return float(indicator.radius_m or 0)
    return float(NEVER_WEEKS) if indicator.kind == "weeks_since" else 0.0


def register(store: Store, model_id: str, parent: Run, tags: Mapping[str, str]) -> None:
    """Make the week's model a version of the lake's registered model.

    Args:
        store: where to.
        model_id: of the logged model.
        parent: the week's run.
        tags: of the version; must hold its poll.
    """
    try:
        store.client.create_registered_model(store.lake)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    run_id = parent.info.run_id
    _add_version(store, {**tags, "model_id": model_id, "run_id": run_id})
    keep_latest(store)


def _add_version(store: Store, tags: Mapping[str, str]) -> None:
    model_id = tags["model_id"]
    # Not models:/<id>, which MLflow would look up in whatever store the process has as its own.
    source = store.client.get_logged_model(model_id).artifact_location
    store.client.create_model_version(
        store.lake,
        source=source,
        run_id=tags["run_id"],
        model_id=model_id,
        tags=dict(tags),
        description=tags.get("labels"),
    )


def versions(store: Store) -> list[ModelVersion]:
    """All versions of the lake's registered model."""
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = store.client.search_model_versions(
            f"name = '{store.lake}'", max_results=PAGE, page_token=token
        )
        found += page
        token = page.token
        if not token:
            return found


def keep_latest(store: Store) -> None:
    """See to it that the highest version, which is `@latest`, is that of the newest poll."""
    known = [v for v in versions(store) if "poll" in v.tags]
    if not known:
        return
    newest = max(known, key=lambda v: (date.fromisoformat(v.tags["poll"]), int(v.version)))
    if int(newest.version) < max(int(v.version) for v in known):
        _add_version(store, newest.tags)
    same = [v for v in versions(store) if v.run_id == newest.run_id]
    for version in sorted(same, key=lambda v: int(v.version))[:-1]:  # also what a kill left
        store.client.delete_model_version(store.lake, version.version)


def forget_models_of(store: Store, parent: Run) -> None:
    """Delete a week's logged models and their versions, whole or half-made."""
    run_id = parent.info.run_id
    for version in versions(store):
        if version.run_id == run_id:
            store.client.delete_model_version(store.lake, version.version)
    for model in models_of(store, parent):
        store.client.delete_logged_model(model.model_id)


def models_of(store: Store, parent: Run) -> list[LoggedModel]:
    """A week's logged models: its own, and those that were exported under its teams' runs."""
    run_id = parent.info.run_id
    return [
        model
        for of_week in (f"source_run_id = '{run_id}'", f"tags.`{OF_WEEK}` = '{run_id}'")
        for model in store.client.search_logged_models(
            [parent.info.experiment_id], filter_string=of_week
        )
    ]
