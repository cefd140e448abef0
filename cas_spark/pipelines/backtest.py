"""Backtest: forecasts of past weeks by models that knew no more than was known then, scored.

Snapshots are computed once. Models are retrained every so many weeks, each on what was known at
that moment. The weeks before are for tuning: the baselines' settings and the model's regularisation
are chosen there, with the same effort, and never looked at again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.evaluation.baselines import Baseline, candidates, left_out
from cas_spark.evaluation.measures import (
    ALL_TEAMS,
    MODEL,
    Due,
    measure_name,
    stamped,
)
from cas_spark.evaluation.model_scores import Term, model_scores, scorers_of
from cas_spark.forecasting.forecast import Scorer
from cas_spark.knowledge.calendar import instant_of, polls_between, target_weeks
from cas_spark.knowledge.settling import has_settled, newest_settled, settling_days
from cas_spark.knowledge.stretches import is_whole
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.evaluate import measure_scores, scores_of_baselines
from cas_spark.pipelines.steps.snapshots import update_snapshots
from cas_spark.pipelines.steps.train import (
    check_models,
    context_of_kept_cells,
    expected_of,
    note_checked,
    snapshot_files,
    training_data,
)
from cas_spark.training.train import train

TUNING_EVERY = 2
"""One in so many of the tuning weeks is scored."""

REG_PARAMS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


@dataclass(frozen=True)
class Span:
    """The polls of a backtest.

    Attributes:
        first, last: polls that are scored.
        retrain_every: weeks from one training to the next.
        is_as_known_then: whether each poll sees also what was purged after it.
    """

    first: date
    last: date
    retrain_every: int
    is_as_known_then: bool = False

    @property
    def name(self) -> str:
        """How `backtests` calls it."""
        known = ", as known then" if self.is_as_known_then else ""
        return f"{self.first} to {self.last}, trained every {self.retrain_every} weeks{known}"

    @property
    def polls(self) -> list[date]:
        """All polls that are scored."""
        return polls_between(self.first, self.last)

    @property
    def trainings(self) -> list[date]:
        """The polls at which models are trained."""
        return self.polls[:: self.retrain_every]


def backtest(job: Job, span: Span) -> None:
    """Tune on the weeks before, forecast the span, and score what has settled.

    Args:
        job: of the last poll of the span.
        span: what to forecast.

    Raises:
        CasError: as training; or none of the span's weeks has settled.
    """
    run, settings = job.run, job.settings
    days = settling_days(job.incidents, job.known_until, settings)
    due = _due(span.polls, job, days)
    asked = len(span.polls) * len(settings.horizons)
    scored = sum(len(horizons) for horizons in due.values())
    if not scored:
        raise CasError(
            what=f"the backtest {span.name}",
            found=f"extracts that end at {job.known_until:%Y-%m-%d}",
            expected=f"target weeks that have settled, {days} days after their end",
            do="Choose an earlier --to, or load newer extracts",
        )
    tuning = _tuning_polls(job, span)
    begun = instant_of(span.first, settings.zone)
    at_tuning = job.at(tuning[0])
    polls = polls_between(at_tuning.schedule.training[0], span.last)
    update_snapshots(at_tuning, polls)

    with run.stage("tune") as noted:
        chosen, reg_param = _tune(job, at_tuning, tuning, begun)
        run.facts["tuned_baselines"] = {of: [b.name for b in bs] for of, bs in chosen.items()}
        run.facts["tuned_reg_param"] = reg_param
        run.facts["tuned_on_polls"] = [str(tuning[0]), str(tuning[-1])]
        noted["reg_param"] = f"{reg_param:g}"
    terms = []
    with (
        run.stage("train") as noted,
        job.show_progress("trainings", len(span.trainings)) as advance,
    ):
        for poll in span.trainings:
            last = min(poll + timedelta(weeks=span.retrain_every - 1), span.last)
            models = _train(job.at(poll), at_tuning, reg_param, list(settings.horizons))
            terms.append(Term(MODEL, poll, last, models))
            advance(1)
        noted["trainings"] = len(terms)
    run.facts["poll_horizons_not_yet_scored"] = asked - scored
    with run.stage("score") as noted:
        asked_baselines = {of: {b.method: b for b in best} for of, best in chosen.items()}
        scores = _model_scores(at_tuning, terms).unionByName(
            scores_of_baselines(job, asked_baselines, span.polls, job.cells())
        )
        measures = measure_scores(job, scores, due, job.known_until)
        measures = stamped(measures, job.known_until, run.number)
        rows = measures.select(F.lit(span.name).alias("backtest"), "*")
        run.replace(tables.BACKTESTS, rows, where=f"backtest = '{span.name}'")
        noted["poll-horizons scored"] = scored
        noted["not yet settled"] = asked - scored
    run.poll = span.last


def _tuning_polls(job: Job, span: Span) -> list[date]:
    """Polls of the time before whose target weeks had settled when the span begins."""
    settings = job.settings
    begun = instant_of(span.first, settings.zone)
    days = settling_days(job.incidents, begun, settings)
    first_horizon = next(iter(settings.horizons.values()))
    newest = newest_settled(span.first, first_horizon, days, settings.zone)
    newest = min(newest, span.first - timedelta(weeks=1))
    return polls_between(newest - timedelta(weeks=settings.evaluation.tuning_weeks - 1), newest)


def _tune(
    job: Job, at_tuning: Job, polls: Sequence[date], begun: datetime
) -> tuple[dict[str, list[Baseline]], float]:
    """The candidate of each method that caught most, per priority; and the regularisation.

    All are judged alike: by the incidents caught in the chosen share of all land cells, by the
    first horizon's forecasts; the regularisation over all priorities, as a share of each. What
    became known after the span began counts for nothing.
    """
    settings = job.settings
    horizon = next(iter(settings.horizons))
    used = polls[::TUNING_EVERY]
    weeks = job.weeks_of_history(polls[0])
    every = {of: candidates(of, weeks) for of in settings.priorities}
    job.run.facts["left_out_baselines"] = left_out(weeks)
    terms = []
    for value in REG_PARAMS:
        trained = _train(at_tuning, at_tuning, value, [horizon])
        terms.append(Term(f"reg_param {value:g}", used[0], used[-1], trained))
    at_used = F.col("poll_on").isin(list(used))
    models = _model_scores(at_tuning, terms).where(at_used)
    named = {of: {b.name: b for b in baselines} for of, baselines in every.items()}
    baselines = scores_of_baselines(job, named, polls, job.cells()).where(at_used)
    due = {poll: target_weeks(poll, {horizon: settings.horizons[horizon]}) for poll in used}
    share = settings.forecast.share
    rows = (
        measure_scores(job, models.unionByName(baselines), due, begun)
        .where((F.col("team_id") == ALL_TEAMS) & (F.col("measure") == measure_name(share)))
        .groupBy("priority", "method")
        .agg(F.sum("caught").alias("caught"), F.sum("incidents").alias("incidents"))
        .collect()
    )
    caught = {(row["priority"], row["method"]): row["caught"] / row["incidents"] for row in rows}
    chosen = {
        of: _best_of_each_method(every[of], {name: v for (p, name), v in caught.items() if p == of})
        for of in settings.priorities
    }
    reg_param = max(
        REG_PARAMS,
        key=lambda value: sum(caught.get((of, f"reg_param {value:g}"), 0.0) for of in every),
    )
    return chosen, reg_param


def _best_of_each_method(every: Iterable[Baseline], caught: Mapping[str, float]) -> list[Baseline]:
    best: dict[str, Baseline] = {}
    for candidate in every:
        rival = best.get(candidate.method)
        if rival is None or caught.get(candidate.name, 0) > caught.get(rival.name, 0):
            best[candidate.method] = candidate
    return list(best.values())


def _train(
    job: Job, at_tuning: Job, reg_param: float, horizons: Sequence[str]
) -> dict[str, list[Scorer]]:
    """Models trained at the job's poll, per team; the few that may fail make no forecast.

    Raises:
        CasError: as `check_models`.
    """
    # The backtest looks at the indicators of its earliest poll, also where history grew since.
    job = job.looking_at(at_tuning.catalogue)
    expected = replace(expected_of(job), horizons=tuple(horizons))
    settings = job.settings.training.model_copy(update={"reg_param": reg_param})
    data = training_data(job)
    data.labels.persist()
    models = train(data, expected, settings, lambda _: None)
    if settings.engine == "grouped":
        note_checked(job, data.files)
    data.labels.unpersist()
    check_models(models, expected, settings)
    return scorers_of(models)


def _model_scores(at_tuning: Job, terms: Sequence[Term]) -> DataFrame:
    first, last = min(t.first for t in terms), max(t.last for t in terms)
    files = snapshot_files(at_tuning, first, last)
    context = context_of_kept_cells(at_tuning, first, last)
    return model_scores(context, files, at_tuning.catalogue, terms)


def _due(polls: Sequence[date], job: Job, days: int) -> Due:
    """The target weeks of each poll that are whole, and have settled by the end of the extracts."""
    zone, whole = job.settings.zone, job.stretches
    return {
        poll: {
            name: week_on
            for name, week_on in target_weeks(poll, job.settings.horizons).items()
            if is_whole(week_on, whole) and has_settled(week_on, days, zone, job.known_until)
        }
        for poll in polls
    }
