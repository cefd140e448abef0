"""A command: opens a run on the lake, does its steps in order, and publishes what they left."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date

from pyspark.sql import SparkSession

from cas_spark.evaluation.comparing import paired
from cas_spark.lake.lake import Lake
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.opening import held, open_run
from cas_spark.lake.orphans import remove_unnamed_files
from cas_spark.lake.run import Run
from cas_spark.pipelines.backtest import Span, backtest
from cas_spark.pipelines.experiment import Challenge, champion_of, experiment, measures_of
from cas_spark.pipelines.former_ids import with_ids_keyed
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.poll_digests import note_poll_digests
from cas_spark.pipelines.rebuild import Rebuilt, rebuild, run_to_rebuild
from cas_spark.pipelines.reports.experiment import experiment_report
from cas_spark.pipelines.reports.rebuild import rebuild_report
from cas_spark.pipelines.reports.retain import retain_report
from cas_spark.pipelines.retain import RETAIN, retain
from cas_spark.pipelines.steps.evaluate import evaluate
from cas_spark.pipelines.steps.forecast import forecast
from cas_spark.pipelines.steps.grid import grid
from cas_spark.pipelines.steps.ingest import ingest
from cas_spark.pipelines.steps.snapshots import snapshots
from cas_spark.pipelines.steps.train import train
from cas_spark.pipelines.steps.views import (
    draw_maps,
    track,
    track_experiment,
    try_to_draw,
    try_to_track,
)
from cas_spark.platform.failures import explaining_storage_failures
from cas_spark.platform.progress import ShowProgress
from cas_spark.platform.storage import check_arrow_reaches
from cas_spark.reporting import Report
from cas_spark.settings import Settings

log = logging.getLogger(__name__)

Step = Callable[[Job], None]

INGEST = "ingest"
STEPS: Mapping[str, Step] = {
    INGEST: ingest,
    "grid": grid,
    "snapshots": snapshots,
    "train": train,
    "forecast": forecast,
    "evaluate": evaluate,
}
WEEKLY = "weekly"
DRAWN, TRACKED = ("forecast", WEEKLY), ("train", "evaluate", WEEKLY)
"""Commands after which maps are drawn, and those after which MLflow is written."""
SNAPSHOTS = "snapshots"


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
    with _opened(Lake(spark, settings.lake), "backtest", settings, span.last) as run:
        job = Job(run, settings, span.last, show_progress, not span.is_as_known_then)
        for step in (ingest, grid):
            step(job)
        backtest(job, span)
        _publish(run)
    return job


def run_experiment(
    spark: SparkSession, settings: Settings, challenge: Challenge, show_progress: ShowProgress
) -> Report:
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
    with _opened(lake, "experiment", settings, None) as run:
        try_to_track(settings)
        champion = champion_of(lake.last_manifest_of(WEEKLY), settings)
        job = Job(run, settings, champion.poll, show_progress)
        experiment(job, champion, challenge)
        manifest = _publish(run)
        measures = measures_of(job, challenge)
        results = paired(measures, settings.forecast.share)
        track_experiment(job, manifest, challenge, results, measures)
    return experiment_report(job, challenge, results)


def run_rebuild(
    spark: SparkSession,
    settings: Settings,
    number: int,
    to: str | None,
    show_progress: ShowProgress,
) -> tuple[Rebuilt, Report]:
    """Make the week of a past run again, and compare it with what the run recorded.

    Args:
        spark: the session.
        settings: of the lake.
        number: of the run.
        to: folder that gets the rebuilt forecast and its maps; None for none.
        show_progress: shows how far long work is.

    Raises:
        CasError: the run cannot be rebuilt; and as the steps do.
    """
    lake = Lake(spark, settings.lake)
    with explaining_storage_failures(lake.root), held(spark, lake.root, "rebuild") as lease:
        lake = with_ids_keyed(lake, settings, lease)
        manifest = run_to_rebuild(lake, number)
        rebuilt = rebuild(spark, settings, manifest, show_progress, to)
    return rebuilt, rebuild_report(rebuilt, settings)


def run_retain(spark: SparkSession, settings: Settings, as_of: date) -> Report:
    """Remove for good what is past its term or ordered erased, and prove it.

    Args:
        spark: the session.
        settings: of the lake.
        as_of: day as of which terms are counted.

    Raises:
        CasError: a key is still found somewhere; the same command again goes on from there.
    """
    lake = Lake(spark, settings.lake)
    check_arrow_reaches(lake.root)  # or the proof could not be given, once the rows are gone
    with explaining_storage_failures(lake.root), held(spark, lake.root, RETAIN) as lease:
        retained = retain(with_ids_keyed(lake, settings, lease), settings, as_of, lease)
    return retain_report(Lake(spark, settings.lake), settings, retained)


def run_command(
    spark: SparkSession,
    command: str,
    settings: Settings,
    poll: date | None,
    show_progress: ShowProgress,
    reread: Collection[str] = (),
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
        reread: names of the sources whose extracts the step ingest reads again.

    Raises:
        CasError: as the steps do.
    """
    with _opened(Lake(spark, settings.lake), command, settings, poll) as run:
        job = Job(run, settings, poll, show_progress, reread=frozenset(reread))
        if command in TRACKED:
            try_to_track(settings)
        for name, step in STEPS.items():
            if command in (name, WEEKLY):
                if command in DRAWN and name == _first_with_cells(command):
                    try_to_draw(job)
                step(job)
        if command == WEEKLY:
            note_poll_digests(job)
        manifest = _publish(run)
        if command in DRAWN:
            draw_maps(job)
        if command in TRACKED:
            track(job, manifest)
    return job


def _first_with_cells(command: str) -> str:
    """The first step of a command that finds the cells made."""
    return "snapshots" if command == WEEKLY else command


@contextmanager
def _opened(lake: Lake, step: str, settings: Settings, poll: date | None) -> Iterator[Run]:
    """A run that holds the lake until all that is made from it is made."""
    with explaining_storage_failures(lake.root), held(lake.spark, lake.root, step) as lease:
        lake = with_ids_keyed(lake, settings, lease)
        yield open_run(lake, step, poll, settings.as_json(), settings.sha256(), lease)


def _publish(run: Run) -> Manifest:
    manifest = run.publish()
    log.info("run %d is complete", manifest.number)
    if SNAPSHOTS in run.versions:
        # A cache of what facts say: what is superseded would only fill the disk.
        remove_unnamed_files(run.lake, SNAPSHOTS)
    return manifest
