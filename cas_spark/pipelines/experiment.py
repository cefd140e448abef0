"""Experiment: a challenger beside the champion, which is the latest complete weekly run.

The challenger is trained at the champion's poll, on what was known then, and kept in `challengers`.
Weeks to come cannot judge either, so both are also trained as of an earlier poll and forecast
the weeks since then that have settled: the same weeks, cells and outcomes for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.evaluation.baselines import usual
from cas_spark.evaluation.measures import CHALLENGER, MODEL, measure_name, stamped
from cas_spark.evaluation.model_scores import Term, model_scores, scorers_of
from cas_spark.indicators.catalogue import Catalogue, whole_catalogue
from cas_spark.knowledge.calendar import polls_between, target_weeks
from cas_spark.knowledge.settling import newest_settled, settling_days
from cas_spark.knowledge.stretches import is_whole
from cas_spark.lake import tables
from cas_spark.lake.manifest import Manifest
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.recorded import settings_of
from cas_spark.pipelines.steps.evaluate import measure_scores, scores_of_baselines
from cas_spark.pipelines.steps.snapshots import update_snapshots
from cas_spark.pipelines.steps.train import (
    context_of_kept_cells,
    expected_of,
    snapshot_files,
    trained,
)
from cas_spark.settings import Settings
from cas_spark.settings.differences import differences


@dataclass(frozen=True)
class Champion:
    """The weekly run that a challenger is measured against.

    Attributes:
        run_number: of the weekly run.
        poll: of that run.
        settings: with which it was made.
    """

    run_number: int
    poll: date
    settings: Settings


@dataclass(frozen=True)
class Challenge:
    """What a user asks for.

    Attributes:
        name: of the experiment.
        weeks: settled weeks on which challenger and champion are compared.
    """

    name: str
    weeks: int

    def backtest(self, poll: date) -> str:
        """How `backtests` calls it, beside the champion of a poll."""
        return f"experiment {self.name}: beside the weekly run of {poll}"


def champion_of(weekly: Manifest | None, challenger: Settings) -> Champion:
    """The champion, if a challenger with these settings may be measured against it.

    Args:
        weekly: manifest of the latest complete weekly run.
        challenger: settings of the challenger.

    Raises:
        CasError: there is no weekly run, its settings can no longer be read, or the challenger's
            settings describe other facts; names every difference.
    """
    if weekly is None or weekly.poll_on is None:
        raise CasError(
            what=f"the lake {challenger.lake}",
            found="no complete weekly run",
            expected="one, whose models are the champion",
            do="Run `cas-spark weekly` with the champion's settings first",
        )
    settings = settings_of(weekly, challenger)
    found = differences(settings, challenger)
    if found:
        raise CasError(
            what=f"the challenger's settings beside those of the weekly run {weekly.number}",
            found="; ".join(found),
            expected="other indicators, training or polls.count, and nothing else",
            do="Let the file extend the champion's; other facts need a lake of their own",
        )
    # The lake may have been moved since; both look at it where it is now.
    here = {"lake": challenger.lake, "tracking": challenger.tracking}
    return Champion(weekly.number, weekly.poll_on, settings.model_copy(update=here))


def experiment(job: Job, champion: Champion, challenge: Challenge) -> None:
    """Train the challenger at the champion's poll, and measure both on the same settled weeks.

    Args:
        job: of the challenger, at the champion's poll.
        champion: what it is measured against.
        challenge: name and weeks.

    Raises:
        CasError: as training; or the extracts begin too late for that many weeks.
    """
    run = job.run
    of_champion = Job(run, champion.settings, champion.poll, job.show_progress)
    polls = _scored_polls(job, challenge.weeks)
    then = {MODEL: of_champion.at(polls[0]), CHALLENGER: job.at(polls[0])}
    # The last job that looked sets the facts of the run: the challenger at the champion's poll.
    holding = _with_snapshots_for([*then.values(), of_champion, job])
    _keep_challenger(job, challenge)
    terms = []
    for method, side in then.items():
        models = trained(side, expected_of(side), f"train {method} to compare")
        terms.append(Term(method, polls[0], polls[-1], scorers_of(models)))
    with run.stage("score") as noted:
        _score(holding, terms, polls, challenge.backtest(champion.poll))
        noted["polls"] = len(polls)
    run.facts["experiment"] = challenge.name
    run.facts["champion_run"] = champion.run_number
    run.facts["scored_polls"] = [str(polls[0]), str(polls[-1])]
    run.poll = champion.poll


def measures_of(job: Job, challenge: Challenge) -> pd.DataFrame:
    """What champion and challenger caught in the chosen share: rows of `backtests`."""
    of_experiment = F.col("backtest") == challenge.backtest(job.poll)
    name = measure_name(job.settings.forecast.share)
    rows = job.run.read(tables.BACKTESTS).where(of_experiment & (F.col("measure") == name))
    return rows.toPandas()


def _scored_polls(job: Job, weeks: int) -> list[date]:
    """The newest polls up to the job's of which every target week has settled by now."""
    settings = job.settings
    days = settling_days(job.incidents, job.known_until, settings)
    furthest = settings.longest_horizon_weeks
    newest = newest_settled(job.poll, furthest, days, settings.zone, job.known_until)
    return polls_between(newest - timedelta(weeks=weeks - 1), newest)


def _with_snapshots_for(jobs: Sequence[Job]) -> Job:
    """Bring `snapshots` up to date with all that these jobs look at.

    Returns:
        A job that looks at every indicator that any of them looks at.
    """
    try:
        first = min(job.schedule.training[0] for job in jobs)
        names = {name for job in jobs for name in job.catalogue.names}
    except CasError as error:
        do = f"{error.do}; or compare on fewer --weeks"
        raise CasError(error.what, error.found, error.expected, do) from error
    job = jobs[-1]
    every = whole_catalogue(job.settings).indicators
    needed = Catalogue(tuple(indicator for indicator in every if indicator.name in names))
    holding = job.looking_at(needed)
    update_snapshots(holding, polls_between(first, job.poll))
    return holding


def _keep_challenger(job: Job, challenge: Challenge) -> None:
    """Train the challenger at the champion's poll, and keep its models in `challengers`."""
    run, expected = job.run, expected_of(job)
    models = trained(job, expected, "train challenger")
    engine = job.settings.training.engine
    rows = [
        {"experiment": challenge.name} | model.to_row(expected, engine, run.number)
        for model in models
    ]
    frame = run.lake.spark.createDataFrame(rows, tables.CHALLENGERS.schema)
    where = f"experiment = '{challenge.name}' AND poll_on = DATE '{job.poll}'"
    run.replace(tables.CHALLENGERS, frame, where=where)


def _score(holding: Job, terms: Sequence[Term], polls: Sequence[date], backtest: str) -> None:
    """Write the measures of both, on all land cells, which plain counting scores beside them."""
    run, settings = holding.run, holding.settings
    files = snapshot_files(holding, polls[0], polls[-1])
    context = context_of_kept_cells(holding, polls[0], polls[-1])
    of_models = model_scores(context, files, holding.catalogue, terms)
    weeks = holding.weeks_of_history(polls[0])
    counting = {of: {b.method: b for b in usual(of, weeks)[:1]} for of in settings.priorities}
    scores = of_models.unionByName(scores_of_baselines(holding, counting, polls, holding.cells()))
    whole = holding.stretches
    due = {
        poll: {
            name: week_on
            for name, week_on in target_weeks(poll, settings.horizons).items()
            if is_whole(week_on, whole)
        }
        for poll in polls
    }
    measures = measure_scores(holding, scores, due, holding.known_until)
    measures = stamped(measures, holding.known_until, run.number)
    rows = measures.select(F.lit(backtest).alias("backtest"), "*")
    run.replace(tables.BACKTESTS, rows, where=f"backtest = '{backtest}'")
