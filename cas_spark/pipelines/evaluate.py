"""Evaluate: every stored forecast whose target week has settled by the end of the extracts."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.evaluation.baselines import BASELINES, baseline_scores, usual
from cas_spark.evaluation.measures import MODEL, measure, stamped
from cas_spark.indicators.snapshots import edges_until
from cas_spark.knowledge.settling import settled_at, settling_days
from cas_spark.knowledge.visibility import known_at
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job

METHODS = (MODEL, *BASELINES)


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
    forecasts = run.read(tables.FORECASTS).where(
        (F.col("poll_on") == F.lit(poll)) & F.col("horizon").isin(horizons)
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
    of_baselines = baseline_scores(
        job.cells(),
        run.read(tables.INCIDENTS),
        {priority: usual(priority) for priority in settings.priorities},
        [poll],
        edges_until(poll, job.calendar_from, settings.zone),
        settings.grid.crs,
    ).withColumn("method", F.element_at(F.split("method", ": "), 1))
    outcomes = known_at(run.read(tables.OUTCOMES), job.known_until)
    return stamped(
        measure(
            of_model.unionByName(of_baselines),
            outcomes,
            {poll: horizons},
            settings.evaluation.shares,
            settings.horizons,
        ),
        job.known_until,
        run.number,
    )
