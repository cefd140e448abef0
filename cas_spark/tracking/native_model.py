"""A single model as Spark's own in MLflow, logged on demand under the run of its team."""

import hashlib
import shutil
import tempfile
from datetime import date
from pathlib import Path

import mlflow.spark
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.models import Model
from pyspark.ml.classification import LogisticRegressionModel

from cas_spark.errors import CasError
from cas_spark.tracking.registry import OF_WEEK, environment
from cas_spark.tracking.store import PARENT, Store
from cas_spark.tracking.week import CONTENT, week_of

NEEDS = ("mlflow", "pyspark")


def run_of_team(store: Store, poll: date, team: str, priority: str) -> Run:
    """The run of a team and priority at a poll.

    Raises:
        CasError: MLflow has none.
    """
    week = week_of(store, poll)
    for child in store.children_of(week) if week is not None else ():
        if (child.data.tags["team"], child.data.tags["priority"]) == (team, priority):
            return child
    raise CasError(
        what=f"the run of {priority}, team {team}, in MLflow",
        found=f"none of poll {poll}",
        expected="the run that is logged when the models of a poll are trained",
        do=f"Run `cas-spark weekly --poll {poll}` again, which logs it",
    )


def log_native_model(
    store: Store,
    run: Run,
    model: LogisticRegressionModel,
    description: Path,
    horizon: str,
    shared_folder: str,
) -> str:
    """Log a native Spark model, which `mlflow.spark.load_model` loads; the same once.

    Args:
        store: where to.
        run: of its team and priority.
        model: the model.
        description: file that says what it is and what its features are; kept with it.
        horizon: of its forecasts.
        shared_folder: that Spark's tasks and the driver can reach, for what is under way.

    Returns:
        The id of the logged model.
    """
    client, experiment = store.client, run.info.experiment_id
    content = hashlib.sha256(description.read_bytes()).hexdigest()
    name = f"spark_{horizon}"
    of_run = f"source_run_id = '{run.info.run_id}' AND name = '{name}'"
    for logged in client.search_logged_models([experiment], filter_string=of_run):
        is_ready = logged.status == LoggedModelStatus.READY
        if is_ready and logged.tags.get(CONTENT) == content:
            return str(logged.model_id)
        client.delete_logged_model(logged.model_id)
    kept = ("lake", "poll", "labels", "is_generated", "is_assumed", "is_proxy", "team", "priority")
    tags = {key: run.data.tags[key] for key in kept if key in run.data.tags}
    logged = client.create_logged_model(
        experiment,
        name=name,
        source_run_id=run.info.run_id,
        tags={**tags, "horizon": horizon, CONTENT: content, OF_WEEK: run.data.tags[PARENT]},
    )
    client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        mlflow.spark.save_model(
            model,
            str(folder),
            mlflow_model=Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=run.info.run_id,
                model_id=logged.model_id,
            ),
            conda_env=environment("cas-spark-native", NEEDS),
            dfs_tmpdir=shared_folder,
            metadata={**tags, "horizon": horizon},
        )
        shutil.copy(description, folder)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return str(logged.model_id)
