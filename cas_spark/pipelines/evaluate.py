"""Evaluate: every stored forecast whose target week has settled by the end of the extracts."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.evaluation.baselines import BASELINES, baseline_scores
from cas_spark.evaluation.measures import MODEL, caught_shares, rank_land_cells
from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.settling import settled_at, settling_days
from cas_spark.knowledge.visibility import known_at, week_on
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job


def evaluate(job: Job) -> None:
    """Score what can be scored by now and is not scored yet; the rest is counted, never zero.

    Forecasts of the run's own poll are scored again, since they may have been made anew.
    """
    run, settings = job.run, job.settings
    incidents = run.read(tables.INCIDENTS)
    days = settling_days(incidents, job.known_until, settings)
    stored = run.read(tables.FORECASTS).select("poll_on", "horizon", "target_week_on").distinct()
    scored = {
        (row["poll_on"], row["horizon"])
        for row in run.read(tables.EVALUATIONS).select("poll_on", "horizon").distinct().collect()
        if row["poll_on"] != job.poll
    }
    due: dict[date, list[str]] = {}
    not_yet = 0
    for row in stored.collect():
        if (row["poll_on"], row["horizon"]) in scored:
            continue
        if settled_at(row["target_week_on"], days, settings.zone) > job.known_until:
            not_yet += 1
        else:
            due.setdefault(row["poll_on"], []).append(row["horizon"])
    run.facts["scored_as_of_at"] = job.known_until.isoformat()
    run.facts["forecasts_not_yet_scored"] = not_yet
    with run.stage("evaluate") as said:
        for poll, horizons in sorted(due.items()):
            rows = _score_poll(job, poll, sorted(horizons))
            names = ", ".join(f"'{name}'" for name in sorted(horizons))
            where = f"poll_on = DATE '{poll}' AND horizon IN ({names})"
            run.replace(tables.EVALUATIONS, rows, where=where)
        said["polls scored"] = len(due)
        said["poll-horizons not yet settled"] = not_yet


def _score_poll(job: Job, poll: date, horizons: list[str]) -> DataFrame:
    """The rows of `evaluations` of a poll for the horizons that have settled."""
    run, settings = job.run, job.settings
    land = job.cells().select("cell_id", "team_id").persist()
    forecasts = run.read(tables.FORECASTS).where(
        (F.col("poll_on") == F.lit(poll)) & F.col("horizon").isin(horizons)
    )
    models = forecasts.select(
        "poll_on", "team_id", "priority", "horizon", "target_week_on",
        F.lit(MODEL).alias("method"), "cell_id", "rank",
    )  # fmt: skip
    known = known_at(run.read(tables.INCIDENTS), instant_of(poll, settings.zone))
    week = week_on(settings.zone, settings.polls.weekday_number)
    age = (F.datediff(F.lit(poll), week) / 7).cast("int")
    scores = baseline_scores(known, age, settings.evaluation.decayed_count_half_life_weeks)
    kinds = models.select("team_id", "priority", "horizon", "target_week_on").distinct()
    baselines = rank_land_cells(scores, land).join(kinds, ["team_id", "priority"], "inner")
    ranks = models.unionByName(baselines.select(F.lit(poll).alias("poll_on"), *models.columns[1:]))
    outcomes = known_at(run.read(tables.OUTCOMES), job.known_until).where("incidents > 0")
    return caught_shares(
        ranks,
        outcomes.select("priority", "cell_id", "week_on", "incidents"),
        land,
        settings.evaluation.shares,
        job.known_until,
        run.number,
    )


METHODS = (MODEL, *BASELINES)
