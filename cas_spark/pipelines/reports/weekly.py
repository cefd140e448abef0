"""What a step or a week reports to the person who started it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.evaluation.measures import ALL_TEAMS, MODEL, measure_name
from cas_spark.knowledge.revisions import count_by_status
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.unusual import warnings_of
from cas_spark.reporting import Report, ReportTable

TEAMS_SHOWN = 8


Figures = list[tuple[str, str]]
"""What is counted, and the figure as text."""


def report_of(job: Job) -> Report:
    """Return the figures of the lake as the run left it, for the run's poll where it has some."""
    figures = _figures_of_rows(job)
    if job.run.holds(tables.CELLS):
        figures += _figures_of_cells(job)
    figures += _figures_of_recomputed_teams(job)
    figures += _figures_of_left_out(job)
    if job.run.holds(tables.MODELS):
        figures += _figures_of_models(job)
    if job.run.holds(tables.EVALUATIONS):
        figures += _figures_of_measures(job)
    table = ReportTable(f"{job.settings.title} ({job.run.step})", [], figures)
    return Report([table], warnings=warnings_of(job), labels=job.labels)


def _figures_of_rows(job: Job) -> Figures:
    counts = ["rows_read", "rows_accepted", "rows_revisions", "rows_rejected"]
    sums = job.run.read(tables.DATASETS).agg(*[F.sum(name).alias(name) for name in counts]).first()
    if sums is None or sums["rows_read"] is None:
        return []
    read, accepted, revisions, rejected = (f"{sums[name]:,}" for name in counts)
    statuses = count_by_status(job.run.read(tables.REVISIONS))
    became = ", ".join(f"{count:,} {status}" for status, count in statuses.items())
    return [
        ("rows read", read),
        ("  accepted", accepted),
        ("  revisions", f"{revisions}: {became}" if became else revisions),
        ("  rejected, each with its reason", rejected),
    ]


def _figures_of_cells(job: Job) -> Figures:
    cells = job.cells()
    kept = cells.where("is_kept").count()
    removed = cells.where("NOT is_kept")
    share = share_in_removed_cells(job.incidents, removed)
    return [
        ("cells kept", f"{kept:,}"),
        ("cells removed", f"{removed.count():,}, with {share:.3%} of all incidents"),
    ]


def share_in_removed_cells(incidents: DataFrame, removed: DataFrame) -> float:
    """The share of all incidents that happened in cells that the grid removed."""
    total = incidents.count()
    inside = incidents.join(removed.select("cell_id"), "cell_id", "left_semi").count()
    return inside / total if total else 0.0


def _figures_of_recomputed_teams(job: Job) -> Figures:
    """Return the teams whose past polls the run recomputed, since facts that these saw changed."""
    recomputed = job.run.facts.get("teams_computed_anew")
    if not recomputed:
        return []
    of_run = job.run.read(tables.REVISION_COSTS).where(F.col("run_number") == job.run.number)
    revisions = of_run.where("polls_recomputed > 0").select("revision_id").distinct().count()
    more = ", ..." if len(recomputed) > TEAMS_SHOWN else ""
    teams = ", ".join(sorted(recomputed)[:TEAMS_SHOWN]) + more
    polls = f"{sum(recomputed.values()):,} of their polls"
    figure = f"{len(recomputed)} ({teams}), {polls}, for {revisions:,} revisions"
    return [("teams recomputed", f"{figure}; their models retrained")]


def _figures_of_left_out(job: Job) -> Figures:
    """Return the indicators and baselines that need more history than the extracts have."""
    left_out = {what: job.run.facts.get(f"left_out_{what}") for what in ("indicators", "baselines")}
    return [
        (f"{what} left out: too short a history", ", ".join(names))
        for what, names in left_out.items()
        if names
    ]


def _figures_of_models(job: Job) -> Figures:
    at_poll = job.run.read(tables.MODELS).where(F.col("poll_on") == F.lit(job.poll))
    counts = {row["status"]: row["count"] for row in at_poll.groupBy("status").count().collect()}
    if not counts:
        return []
    statuses = ("fitted", "pooled", "failed")
    figure = ", ".join(f"{counts.get(status, 0)} {status}" for status in statuses)
    return [(f"models at {job.poll}", figure)]


def _figures_of_measures(job: Job) -> Figures:
    """Return the share of incidents that each method caught, over all teams and priorities."""
    settings = job.settings
    at_poll = (F.col("poll_on") == F.lit(job.poll)) & (
        F.col("measure") == measure_name(settings.forecast.share)
    )
    sums = (
        job.run.read(tables.EVALUATIONS)
        .where(at_poll & (F.col("team_id") != ALL_TEAMS))
        .groupBy("horizon", "method")
        .agg(F.sum("caught").alias("caught"), F.sum("incidents").alias("incidents"))
        .collect()
    )
    figures = []
    for horizon in settings.horizons:
        of_horizon = {row["method"]: row for row in sums if row["horizon"] == horizon}
        if MODEL not in of_horizon:
            figures.append((f"caught, {horizon}", "not yet scored: its week has not settled"))
            continue
        shares = [
            f"{method} {row['caught'] / row['incidents']:.1%}" if row["incidents"] else method
            for method, row in sorted(of_horizon.items(), key=lambda item: item[0] != MODEL)
        ]
        incidents = of_horizon[MODEL]["incidents"]
        what = f"caught in the top {settings.forecast.share:.0%}, {horizon}"
        figures.append((what, f"{', '.join(shares)} of {incidents:,} incidents"))
    return figures
