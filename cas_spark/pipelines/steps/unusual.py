"""What is unusual about the newest extracts: many rejected rows, or hardly any rows of a team.

Nothing is refused by it. It stands in the report, the log and the manifest of every run until newer
extracts come in.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.usual import usual_of
from cas_spark.lake import tables
from cas_spark.lake.opening import UNUSUAL
from cas_spark.pipelines.job import Job
from cas_spark.settings.intake import Intake
from cas_spark.sources.figures import OTHER_CODE, WAS_READ

log = logging.getLogger(__name__)

EXTRACTS_BEFORE = 12
FEWEST_ROWS = 5
"""Rejected rows below which a share says little."""
PERIOD = timedelta(weeks=4)
MOST_PERIODS, FEWEST_PERIODS = 26, 13
"""Periods before the newest that show what is usual: two years, at least one."""
SHOWN = 8

_PERIOD_MICROS = PERIOD // timedelta(microseconds=1)


def note_unusual(job: Job, cells: DataFrame) -> None:
    """Keep what is unusual about the newest extracts of every source with the run's facts.

    Args:
        job: at work.
        cells: cell_id and team_id of all land cells.
    """
    with job.run.stage("unusual") as noted:
        found = {"rejections": _rejections(job), "deliveries": _deliveries(job, cells)}
        job.run.facts[UNUSUAL] = found
        noted.update({name: len(entries) for name, entries in found.items()})
    for warning in warnings_of(job):
        log.warning("%s", warning)


def warnings_of(job: Job) -> list[str]:
    """What is unusual about the newest extracts, in words."""
    found = job.run.facts.get(UNUSUAL, {})
    lines = []
    for name, text in (("rejections", _of_rejections), ("deliveries", _of_delivery)):
        entries = found.get(name, [])
        lines += [text(entry) for entry in entries[:SHOWN]]
        if len(entries) > SHOWN:
            lines.append(f"... and {len(entries) - SHOWN:,} more {name}, in the run's facts")
    return lines


def _of_rejections(entry: Mapping[str, Any]) -> str:
    usual = (
        "it is the first of its source"
        if entry["usual_share"] is None
        else f"{entry['usual_share']:.1%} are usual"
    )
    return (
        f"{entry['share']:.1%} of the rows of {entry['extract']} ({entry['source']}) were "
        f"rejected, most as {entry['reason']}; {usual}"
    )


def _of_delivery(entry: Mapping[str, Any]) -> str:
    return (
        f"{entry['source']}, team {entry['team']}, {entry['priority']}: {entry['found']:,} rows "
        f"became known in the four weeks up to {entry['until']}, {entry['usual_low']:,} to "
        f"{entry['usual_high']:,} are usual. Is the delivery whole?"
    )


def _rejections(job: Job) -> list[dict[str, Any]]:
    """The newest extracts of which more rows than usual could not be read or placed."""
    run = job.run
    columns = ("source", "sha256", "name", "run_number", "rows_read")
    extracts = run.read(tables.DATASETS).select(*columns).orderBy("run_number", "name").collect()
    counted = run.read(tables.REJECTED_ROWS).groupBy("source", "dataset_sha256", "reason").count()
    failed: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    left_out = {
        source.name: {OTHER_CODE, *WAS_READ, *(e.reason for e in source.exclude)}
        for source in job.settings.sources
    }
    for row in counted.collect():
        if row["reason"] not in left_out.get(row["source"], ()):
            failed[row["source"], row["dataset_sha256"]][row["reason"]] = row["count"]
    found = []
    for source in left_out:
        of_source = [row for row in extracts if row["source"] == source]
        found += unusual_rejections(of_source, failed, job.settings.intake)
    return found


def unusual_rejections(
    extracts: Sequence[Row | Mapping[str, Any]],
    failed: Mapping[tuple[str, str], Mapping[str, int]],
    intake: Intake,
) -> list[dict[str, Any]]:
    """The extracts of a source's newest run of which unusually many rows failed.

    Args:
        extracts: of one source, rows of `datasets` in the order in which they were taken in.
        failed: source and sha256 -> reason -> rows that could not be read or placed.
        intake: the bounds.
    """
    shares: list[float] = []
    found = []
    for row in extracts:
        reasons = failed.get((row["source"], row["sha256"]), {})
        number = sum(reasons.values())
        share = number / row["rows_read"]
        before = shares[-EXTRACTS_BEFORE:]
        usual = median(before) if before else None
        shares.append(share)
        if row["run_number"] != extracts[-1]["run_number"] or number < FEWEST_ROWS:
            continue
        if share >= _bound(usual, intake):
            found.append(
                {
                    "source": row["source"],
                    "extract": row["name"],
                    "rows": row["rows_read"],
                    "rejected": number,
                    "share": share,
                    "usual_share": usual,
                    "reason": max(reasons, key=lambda reason: (reasons[reason], reason)),
                }
            )
    return found


def _bound(usual: float | None, intake: Intake) -> float:
    """The share from which on a run warns; never above that of a first extract without reason."""
    if usual is None:
        return intake.rejected_of_first
    far_above = usual + intake.rejected_above_usual
    times = max(intake.rejected_times_usual * usual, far_above)
    return min(times, max(intake.rejected_of_first, far_above))


def _deliveries(job: Job, cells: DataFrame) -> list[dict[str, Any]]:
    """Teams and priorities of which far fewer rows than usual became known in the newest weeks."""
    ends, periods = _ends(job), {}
    for source in job.settings.incidents:
        if source.name in ends:
            start = instant_of(source.complete_from, job.settings.zone)
            periods[source.name] = min((ends[source.name] - start) // PERIOD - 1, MOST_PERIODS)
    judged = [name for name, number in periods.items() if number >= FEWEST_PERIODS]
    if not judged:
        return []
    found = []
    for row in _sums(job, cells, {name: ends[name] for name in judged}).collect():
        newest, *before = row["sums"]
        usual = usual_of(before[: periods[row["source"]]])
        if newest < usual.low:
            until = ends[row["source"]].astimezone(job.settings.zone).date()
            found.append(
                {
                    "source": row["source"],
                    "team": row["team_id"],
                    "priority": row["priority"],
                    "found": newest,
                    "usual_low": usual.low,
                    "usual": usual.middle,
                    "usual_high": usual.high,
                    "until": str(until),
                }
            )
    # The gravest first: with the most rows missing.
    return sorted(
        found, key=lambda e: (e["found"] - e["usual"], e["source"], e["team"], e["priority"])
    )


def _ends(job: Job) -> dict[str, datetime]:
    """Source of incidents -> when its last row became known."""
    rows = (
        job.run.read(tables.DATASETS)
        .groupBy("source")
        .agg(F.max(F.unix_micros("known_until_at")).alias("micros"))
        .where("micros IS NOT NULL")
        .collect()
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {row["source"]: epoch + timedelta(microseconds=row["micros"]) for row in rows}


def _sums(job: Job, cells: DataFrame, ends: Mapping[str, datetime]) -> DataFrame:
    """source, team_id, priority and `sums`: rows that became known in each period, newest first.

    One row per source, team and priority that has any, however many the cells.
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    micros = [
        part
        for name, end in ends.items()
        for part in (F.lit(name), F.lit((end - epoch) // timedelta(microseconds=1)))
    ]
    ago = F.create_map(*micros)[F.col("source")] - F.unix_micros("known_at")
    period = F.floor(ago / _PERIOD_MICROS)
    counted = (
        job.run.read(tables.INCIDENTS)
        .where(F.col("version") == 1)
        .where(F.col("source").isin(list(ends)))
        .withColumn("period", period)
        .where(F.col("period").between(0, MOST_PERIODS))
        .groupBy("source", "priority", "cell_id", "period")
        .count()
    )
    sums = F.array(
        *(
            F.sum(F.when(F.col("period") == k, F.col("count")).otherwise(0))
            for k in range(MOST_PERIODS + 1)
        )
    )
    return (
        counted.join(cells.select("cell_id", "team_id"), "cell_id")
        .groupBy("source", "team_id", "priority")
        .agg(sums.alias("sums"))
    )
