"""Forecast: every kept cell at the poll, by the poll's models."""

from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.forecasting.forecast import forecast as forecast_cells
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.train import context_of_kept_cells, note_checked, snapshot_files
from cas_spark.platform.progress import following_tasks


def forecast(job: Job) -> None:
    """Forecast the run's poll with the models trained for it.

    Raises:
        CasError: there is no model for the poll.
    """
    run, settings = job.run, job.settings
    at_poll = F.col("poll_on") == F.lit(job.poll)
    models = run.read(tables.MODELS).where(at_poll).where("intercept IS NOT NULL")
    if models.isEmpty():
        raise CasError(
            what=f"the forecast of {job.poll}",
            found="no model that was trained for this poll",
            expected="the models that the step train makes",
            do="Run `cas-spark train` with the same --poll first",
        )
    land = job.cells().groupBy("team_id").count().collect()
    teams = len(land)
    with (
        run.stage("forecast") as noted,
        job.show_progress("teams", teams) as advance,
        following_tasks(run.lake.spark, teams, advance, teams),
    ):
        files = snapshot_files(job, job.poll, job.poll)
        rows = forecast_cells(
            context_of_kept_cells(job, job.poll, job.poll),
            files,
            models,
            {row["team_id"]: row["count"] for row in land},
            job.catalogue,
            settings.forecast,
            job.poll,
            settings.horizons,
            run.number,
        )
        run.replace(tables.FORECASTS, rows, poll=job.poll)
        note_checked(job, files)
        noted["rows"] = run.read(tables.FORECASTS).where(at_poll).count()
