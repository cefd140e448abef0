"""Evaluate: every stored forecast whose target week has settled by the end of the extracts."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.evaluation.baselines import Baseline, baseline_scores, left_out, usual
from cas_spark.evaluation.measures import MODEL, Due, measure, stamped
from cas_spark.indicators.snapshots import edges_until
from cas_spark.knowledge.calendar import WEEK
from cas_spark.knowledge.settling import has_settled, settling_days
from cas_spark.knowledge.stretches import is_whole
from cas_spark.knowledge.visibility import known_at
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job


def evaluate(job: Job) -> None:
    """Score what can be scored by now and is not scored yet; the rest is counted, never zero.

    Forecasts of the run's own poll are scored again, since they may have been recomputed. A horizon
    is scored by the target week that its forecast was made for, whatever the settings say of it by
    now; a priority that they no longer have is not, since its incidents are no longer counted. Nor
    is a week that touches a gap in the extracts, or whose poll does.
    """
    run, settings = job.run, job.settings
    days = settling_days(job.incidents, job.known_until, settings)
    due: dict[date, dict[str, date]] = {}
    not_yet = in_gaps = 0
    whole = job.stretches
    for poll, horizon, week_on in _unscored(job):
        if not all(is_whole(week, whole) for week in (poll - WEEK, week_on)):
            in_gaps += 1
        elif has_settled(week_on, days, settings.zone, job.known_until):
            due.setdefault(poll, {})[horizon] = week_on
        else:
            not_yet += 1
    run.facts["scored_as_of_at"] = job.known_until.isoformat()
    run.facts["forecasts_not_yet_scored"] = not_yet
    run.facts["forecasts_of_gaps_never_scored"] = in_gaps
    run.facts["left_out_baselines"] = left_out(min(map(job.weeks_of_history, due))) if due else []
    with run.stage("evaluate") as noted:
        for poll, weeks in due.items():
            rows = _score_poll(job, poll, weeks)
            names, priorities = (
                ", ".join(f"'{name}'" for name in of) for of in (weeks, settings.priorities)
            )
            where = (
                f"poll_on = DATE '{poll}' AND horizon IN ({names}) AND priority IN ({priorities})"
            )
            run.replace(tables.EVALUATIONS, rows, where=where)
        noted["polls scored"] = len(due)
        noted["poll-horizons not yet settled"] = not_yet


def _unscored(job: Job) -> list[tuple[date, str, date]]:
    """Poll, horizon and target week of the stored forecasts that are not scored, sorted."""
    run, priorities = job.run, job.settings.priorities
    scored = {
        (row["poll_on"], row["horizon"])
        for row in run.read(tables.EVALUATIONS).select("poll_on", "horizon").distinct().collect()
        if row["poll_on"] != job.poll
    }
    # Only polls with models can have any, so that years of scored forecasts are not read.
    models = run.read(tables.MODELS).where("intercept IS NOT NULL")
    made = models.select("poll_on", "priority", "horizon").distinct().collect()
    open_polls = {row["poll_on"] for row in made if (row["poll_on"], row["horizon"]) not in scored}
    run.facts["priorities_no_longer_scored"] = sorted(
        {row["priority"] for row in made} - set(priorities)
    )
    stored = run.read(tables.FORECASTS).where(
        F.col("poll_on").isin(sorted(open_polls)) & F.col("priority").isin(list(priorities))
    )
    found = stored.select("poll_on", "horizon", "target_week_on").distinct().collect()
    return sorted(tuple(row) for row in found if (row["poll_on"], row["horizon"]) not in scored)


def _score_poll(job: Job, poll: date, weeks: Mapping[str, date]) -> DataFrame:
    """The rows of `evaluations` of a poll for the horizons whose target weeks have settled."""
    run, settings = job.run, job.settings
    forecasts = run.read(tables.FORECASTS).where(
        (F.col("poll_on") == F.lit(poll))
        & F.col("horizon").isin(list(weeks))
        & F.col("priority").isin(list(settings.priorities))
    )
    by_cell = F.sort_array(F.collect_list(F.struct("cell_id", "logit")))
    of_model = (
        forecasts.groupBy("poll_on", "team_id", "priority", "horizon")
        .agg(by_cell.alias("cells"))
        .select(
            "poll_on", "team_id", "priority", "horizon", F.lit(MODEL).alias("method"),
            F.col("cells.cell_id").alias("cell_ids"), F.col("cells.logit").alias("scores"),
        )
    )  # fmt: skip
    history = job.weeks_of_history(poll)
    asked = {of: {b.method: b for b in usual(of, history)} for of in settings.priorities}
    cells = job.cells(_grid_version_of(job, forecasts))
    scores = of_model.unionByName(scores_of_baselines(job, asked, [poll], cells))
    measures = measure_scores(job, scores, {poll: weeks}, job.known_until)
    return stamped(measures, job.known_until, run.number)


def _grid_version_of(job: Job, forecasts: DataFrame) -> str:
    """The grid version that a poll's forecasts were made for, on whose cells they are scored."""
    newest = forecasts.agg(F.max("run_number")).first()
    made_by = None if newest is None else job.run.lake.manifest_of(newest[0])
    if made_by is None:  # the run that goes on now
        return job.settings.grid.version
    # Not by `settings_of`: a week must be scored also where this code no longer knows all of them.
    return str(json.loads(made_by.settings)["grid"]["version"])


def scores_of_baselines(
    job: Job, asked: Mapping[str, Mapping[str, Baseline]], polls: Sequence[date], cells: DataFrame
) -> DataFrame:
    """What baselines think of all these land cells at consecutive polls; see `baseline_scores`."""
    settings = job.settings
    edges = edges_until(polls[-1], job.history_from(polls), settings.zone)
    return baseline_scores(cells, job.incidents, asked, polls, edges, settings.grid.crs)


def measure_scores(job: Job, scores: DataFrame, due: Due, as_of: datetime) -> DataFrame:
    """The measures of what is due, by the outcomes that were known as of a moment."""
    settings = job.settings
    outcomes = known_at(job.outcomes, as_of)
    return measure(scores, outcomes, due, settings.evaluation.shares)
