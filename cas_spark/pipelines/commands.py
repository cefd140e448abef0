"""A command: opens a run on the lake, does its steps in order, and publishes what they left."""

import logging
from collections.abc import Callable, Mapping
from datetime import date

from pyspark.sql import SparkSession

from cas_spark.evaluation.comparing import paired
from cas_spark.lake.lake import Lake
from cas_spark.lake.run import open_run
from cas_spark.pipelines.backtest import Span, backtest
from cas_spark.pipelines.evaluate import evaluate
from cas_spark.pipelines.experiment import Challenge, champion_of, experiment, measures_of
from cas_spark.pipelines.experiment_report import experiment_report
from cas_spark.pipelines.forecast import forecast
from cas_spark.pipelines.grid import grid
from cas_spark.pipelines.ingest import ingest
from cas_spark.pipelines.job import Job, ShowProgress
from cas_spark.pipelines.report import TextReport
from cas_spark.pipelines.retain import retain
from cas_spark.pipelines.retain_report import retain_report
from cas_spark.pipelines.snapshots import snapshots
from cas_spark.pipelines.train import train
from cas_spark.pipelines.views import draw_maps, track, track_experiment
from cas_spark.settings import Settings

log = logging.getLogger(__name__)

Step = Callable[[Job], None]

STEPS: Mapping[str, Step] = {
    "ingest": ingest,
    "grid": grid,
    "snapshots": snapshots,
    "train": train,
    "forecast": forecast,
    "evaluate": evaluate,
}
WEEKLY = "weekly"


def run_backtest(
    spark: SparkSession, settings: Settings, span: Span, show_progress: ShowProgress
) -> Job:
    """Forecast and score a span of past weeks, and publish.

    Args:
        spark: the session.
        settings: of the lake.
        span: what to forecast.
        show_progress: shows how far long work is.

    Raises:
        CasError: as the steps do.
    """
    lake = Lake(spark, settings.lake)
    run = open_run(lake, "backtest", span.last, settings.as_json(), settings.sha256())
    job = Job(run, settings, span.last, show_progress)
    for step in (ingest, grid):
        step(job)
    backtest(job, span)
    manifest = run.publish()
    log.info("run %d is complete", manifest.number)
    return job


def run_experiment(
    spark: SparkSession, settings: Settings, challenge: Challenge, show_progress: ShowProgress
) -> TextReport:
    """Train a challenger, measure it against the latest weekly run, publish and log it.

    Nothing is ingested: both know what the lake holds.

    Args:
        spark: the session.
        settings: of the challenger.
        challenge: name and weeks.
        show_progress: shows how far long work is.

    Raises:
        CasError: there is no champion, or the settings describe other facts; and as training.
    """
    lake = Lake(spark, settings.lake)
    champion = champion_of(lake.last_manifest_of(WEEKLY), settings)
    run = open_run(lake, "experiment", champion.poll, settings.as_json(), settings.sha256())
    job = Job(run, settings, champion.poll, show_progress)
    experiment(job, champion, challenge)
    manifest = run.publish()
    log.info("run %d is complete", manifest.number)
    measures = measures_of(job, challenge)
    results = paired(measures, settings.forecast.share)
    track_experiment(job, manifest, challenge, results, measures)
    return experiment_report(job, challenge, results)


def run_retain(spark: SparkSession, settings: Settings, as_of: date) -> TextReport:
    """Remove for good what is past its term or ordered erased, and prove it.

    Args:
        spark: the session.
        settings: of the lake.
        as_of: day as of which terms are counted.

    Raises:
        CasError: a key is still found somewhere; the same command again goes on from there.
    """
    retained = retain(Lake(spark, settings.lake), settings, as_of)
    return retain_report(Lake(spark, settings.lake), settings, retained)


def run_command(
    spark: SparkSession,
    command: str,
    settings: Settings,
    poll: date | None,
    show_progress: ShowProgress,
) -> Job:
    """Run one step, or all in order, and publish.

    Nothing of it is seen by readers before it is complete; a run that breaks leaves the lake as the
    last complete run left it.

    Args:
        spark: the session.
        command: a name of STEPS, or `weekly` for all of them.
        settings: of the lake.
        poll: asked for; None for the newest that the extracts reach.
        show_progress: shows how far long work is.

    Raises:
        CasError: as the steps do.
    """
    run = open_run(Lake(spark, settings.lake), command, poll, settings.as_json(), settings.sha256())
    job = Job(run, settings, poll, show_progress)
    for name, step in STEPS.items():
        if command in (name, WEEKLY):
            step(job)
    manifest = run.publish()
    if command in ("forecast", WEEKLY):
        draw_maps(job)
    if command in ("train", "evaluate", WEEKLY):
        track(job, manifest)
    log.info("run %d is complete", manifest.number)
    return job
