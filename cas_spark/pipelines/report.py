"""What a run tells the person who started it: tables, lines, and the labels that belong to them."""

from dataclasses import dataclass, field

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.evaluation.measures import ALL_TEAMS, MODEL, measure_name
from cas_spark.knowledge.revisions import count_by_status
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.unusual import warnings_of

TEAMS_SHOWN = 8


@dataclass
class Report:
    """Lines of (what, figure), what is unusual, and the labels that must stand beside them."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TextTable:
    """A table as text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class TextReport:
    """Tables, and lines to print below them."""

    tables: list[TextTable]
    lines: list[str]


def report_of(job: Job) -> Report:
    """The figures of the lake as the run left it, for the run's poll where they have one."""
    report = Report(warnings=warnings_of(job), labels=job.labels)
    _say_rows(job, report)
    if job.run.holds(tables.CELLS):
        _say_cells(job, report)
    _say_what_was_done_anew(job, report)
    _say_what_was_left_out(job, report)
    if job.run.holds(tables.MODELS):
        _say_models(job, report)
    if job.run.holds(tables.EVALUATIONS):
        _say_measures(job, report)
    return report


def _say_rows(job: Job, report: Report) -> None:
    counts = ["rows_read", "rows_accepted", "rows_revisions", "rows_rejected"]
    sums = job.run.read(tables.DATASETS).agg(*[F.sum(name).alias(name) for name in counts]).first()
    if sums is None or sums["rows_read"] is None:
        return
    read, accepted, revisions, rejected = (f"{sums[name]:,}" for name in counts)
    report.lines.append(("rows read", read))
    report.lines.append(("  accepted", accepted))
    statuses = count_by_status(job.run.read(tables.REVISIONS))
    became = ", ".join(f"{count:,} {status}" for status, count in statuses.items())
    report.lines.append(("  revisions", f"{revisions}: {became}" if became else revisions))
    report.lines.append(("  rejected, each with its reason", rejected))


def _say_cells(job: Job, report: Report) -> None:
    cells = job.cells()
    kept = cells.where("is_kept").count()
    removed = cells.where("NOT is_kept")
    share = share_in_removed_cells(job.incidents, removed)
    report.lines.append(("cells kept", f"{kept:,}"))
    report.lines.append(
        ("cells removed", f"{removed.count():,}, with {share:.3%} of all incidents")
    )


def share_in_removed_cells(incidents: DataFrame, removed: DataFrame) -> float:
    """The share of all incidents that happened in cells that the grid removed."""
    total = incidents.count()
    inside = incidents.join(removed.select("cell_id"), "cell_id", "left_semi").count()
    return inside / total if total else 0.0


def _say_what_was_done_anew(job: Job, report: Report) -> None:
    """Which teams' past polls the run computed again, since facts that they had seen changed."""
    anew = job.run.facts.get("teams_computed_anew")
    if not anew:
        return
    of_run = job.run.read(tables.REVISION_COSTS).where(F.col("run_number") == job.run.number)
    revisions = of_run.where("polls_recomputed > 0").select("revision_id").distinct().count()
    teams = ", ".join(sorted(anew)[:TEAMS_SHOWN]) + (", ..." if len(anew) > TEAMS_SHOWN else "")
    figures = f"{len(anew)} ({teams}), {sum(anew.values()):,} of their polls, for {revisions:,}"
    report.lines.append(("teams computed anew", f"{figures} revisions; their models retrained"))


def _say_what_was_left_out(job: Job, report: Report) -> None:
    """Which indicators and baselines look further back than the extracts reach without a gap."""
    for what in ("indicators", "baselines"):
        names = job.run.facts.get(f"left_out_{what}")
        if names:
            report.lines.append((f"{what} left out: too short a history", ", ".join(names)))


def _say_models(job: Job, report: Report) -> None:
    at_poll = job.run.read(tables.MODELS).where(F.col("poll_on") == F.lit(job.poll))
    counts = {row["status"]: row["count"] for row in at_poll.groupBy("status").count().collect()}
    if counts:
        names = ("fitted", "pooled", "failed")
        figures = ", ".join(f"{counts.get(name, 0)} {name}" for name in names)
        report.lines.append((f"models at {job.poll}", figures))


def _say_measures(job: Job, report: Report) -> None:
    """Incidents caught by each method, all teams and priorities together."""
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
    for horizon in settings.horizons:
        of_horizon = {row["method"]: row for row in sums if row["horizon"] == horizon}
        if MODEL not in of_horizon:
            report.lines.append((f"caught, {horizon}", "not yet scored: its week has not settled"))
            continue
        shares = [
            f"{method} {row['caught'] / row['incidents']:.1%}" if row["incidents"] else method
            for method, row in sorted(of_horizon.items(), key=lambda item: item[0] != MODEL)
        ]
        incidents = of_horizon[MODEL]["incidents"]
        what = f"caught in the top {settings.forecast.share:.0%}, {horizon}"
        report.lines.append((what, f"{', '.join(shares)} of {incidents:,} incidents"))
