"""Views: maps and MLflow, made from the tables once a run is complete.

The tables are the record. Where making a view breaks off, the same command again mends it.
"""

from collections.abc import Iterable

import pandas as pd
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.evaluation.comparing import caught_in_teams
from cas_spark.evaluation.measures import ALL_TEAMS
from cas_spark.lake import tables
from cas_spark.lake.manifest import Manifest
from cas_spark.pipelines.experiment import Challenge
from cas_spark.pipelines.job import Job
from cas_spark.platform import storage
from cas_spark.platform.progress import following_tasks
from cas_spark.publishing.map_trial import try_maps
from cas_spark.publishing.maps import FOLDER, write_maps
from cas_spark.settings import Settings
from cas_spark.settings.texts import one_line
from cas_spark.tracking.challenger import log_experiment
from cas_spark.tracking.scores import log_measures, not_yet_logged
from cas_spark.tracking.store import open_store
from cas_spark.tracking.week import log_models

LONGEST_ID = 250
"""Characters of a team's id."""


def try_to_track(settings: Settings) -> None:
    """Find out before a run whether what it makes can be logged after it.

    Raises:
        CasError: MLflow cannot be reached or written.
    """
    open_store(settings).try_to_write()


def try_to_draw(job: Job) -> None:
    """Find out before a run is published whether its maps can be drawn after it.

    Raises:
        CasError: the folder of the maps cannot be written, or a name breaks a map.
    """
    lake = job.run.lake
    rows = (
        job.cells()
        .groupBy("team_id")
        .agg(F.min("team_name").alias("team_name"), F.min("cell_id").alias("cell_id"))
        .collect()
    )
    teams = {row["team_id"]: row["team_name"] for row in rows}
    _refuse_unfit_ids(teams)
    storage.try_to_write(lake.spark, lake.path(FOLDER))
    try_maps(job.settings, job.poll, teams, rows[0]["cell_id"])


def _refuse_unfit_ids(teams: Iterable[str]) -> None:
    """Refuse ids that stand for something else, or that MLflow's tags and folders cannot hold.

    Raises:
        CasError: names the first of them.
    """
    for team in teams:
        if team == ALL_TEAMS or len(team) > LONGEST_ID:
            is_long = len(team) > LONGEST_ID
            raise CasError(
                what=f"team {one_line(team, 80)}",
                found=f"an id of {len(team)} characters"
                if is_long
                else "an id that stands for all teams together in `evaluations`",
                expected=f"an id of at most {LONGEST_ID} characters, other than {ALL_TEAMS}",
                do="Change it in the layer of the teams, or name another column in grid.teams.id; "
                "nothing was published",
            )


def draw_maps(job: Job) -> None:
    """Write the maps of the run's poll."""
    run = job.run
    at_poll = F.col("poll_on") == F.lit(job.poll)
    chosen = run.read(tables.FORECASTS).where(at_poll).where("is_chosen")
    teams = chosen.select("team_id").distinct().count()
    with (
        run.stage("maps") as noted,
        job.show_progress("teams", teams) as advance,
        following_tasks(run.lake.spark, teams, advance, teams),
    ):
        noted["files"] = len(write_maps(chosen, job.cells(), job.settings, job.poll, run.lake))


def track(job: Job, manifest: Manifest) -> None:
    """Log the models of the run's poll, and the measures that MLflow does not know of yet."""
    run, settings = job.run, job.settings
    store = open_store(settings)
    with run.stage("mlflow") as noted:
        at_poll = F.col("poll_on") == F.lit(job.poll)
        models = run.read(tables.MODELS).where(at_poll).collect()
        if models:
            log_models(store, settings, manifest, models, job.catalogue, _team_names(job))
            noted["models"] = len(models)
        evaluations = run.read(tables.EVALUATIONS)
        moments = evaluations.select("poll_on", "horizon", "scored_as_of_at").distinct().collect()
        missing = not_yet_logged(store, [(row[0], row[1], row[2]) for row in moments])
        if missing:
            wanted = run.lake.spark.createDataFrame(missing, "poll_on date, horizon string")
            keys = ["poll_on", "horizon"]
            log_measures(store, evaluations.join(wanted, keys, "left_semi").collect())
        noted["poll-horizons scored"] = len(missing)


def track_experiment(
    job: Job,
    manifest: Manifest,
    challenge: Challenge,
    results: pd.DataFrame,
    measures: pd.DataFrame,
) -> None:
    """Log a challenger and how it compares, in an experiment of its own."""
    run, settings = job.run, job.settings
    with run.stage("mlflow") as noted:
        of_experiment = (F.col("experiment") == challenge.name) & (F.col("poll_on") == job.poll)
        models = run.read(tables.CHALLENGERS).where(of_experiment).collect()
        log_experiment(
            open_store(settings),
            settings,
            manifest,
            models,
            job.catalogue,
            results,
            caught_in_teams(measures, settings.forecast.share),
            _team_names(job),
        )
        noted["models"] = len(models)


def _team_names(job: Job) -> dict[str, str]:
    """Team id -> name, of the teams that have one."""
    names = job.cells().select("team_id", "team_name").distinct().collect()
    return {row["team_id"]: row["team_name"] for row in names if row["team_name"]}
