"""Track: what the complete run trained and scored, logged to MLflow from the published tables.

MLflow is a view on the lake: where logging breaks off, the same command again mends it.
"""

import logging

from pyspark.sql import functions as F

from cas_spark.lake import tables
from cas_spark.lake.manifest import Manifest
from cas_spark.pipelines.job import Job
from cas_spark.tracking.measures import log_measures, not_yet_logged
from cas_spark.tracking.store import open_store
from cas_spark.tracking.week import log_models

log = logging.getLogger(__name__)


def track(job: Job, manifest: Manifest) -> None:
    """Log the models of the run's poll, and the measures that MLflow does not know of yet."""
    run, settings = job.run, job.settings
    store = open_store(settings)
    with run.stage("mlflow") as said:
        at_poll = F.col("poll_on") == F.lit(job.poll)
        models = run.read(tables.MODELS).where(at_poll).collect()
        if models:
            names = job.cells().select("team_id", "team_name").distinct().collect()
            team_names = {row["team_id"]: row["team_name"] for row in names if row["team_name"]}
            log_models(store, settings, manifest, models, job.catalogue, team_names)
            said["models"] = len(models)
        evaluations = run.read(tables.EVALUATIONS)
        moments = evaluations.select("poll_on", "horizon", "scored_as_of_at").distinct().collect()
        missing = not_yet_logged(store, [(row[0], row[1], row[2]) for row in moments])
        if missing:
            wanted = run.lake.spark.createDataFrame(missing, "poll_on date, horizon string")
            keys = ["poll_on", "horizon"]
            log_measures(store, evaluations.join(wanted, keys, "left_semi").collect())
        said["poll-horizons scored"] = len(missing)
