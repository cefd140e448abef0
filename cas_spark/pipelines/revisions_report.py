"""Dirty data by number: what corrections came in, and what became of them."""

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.knowledge.linking import LINKED, PENDING, REJECTED
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.report import TextReport, TextTable
from cas_spark.settings import Settings

STATUSES = (LINKED, PENDING, REJECTED)


def count_revisions(lake: Lake, settings: Settings, year: int | None = None) -> pd.DataFrame:
    """Revisions per year, source, kind and reason, as the last complete run left them.

    Args:
        lake: to look into.
        settings: of the lake, for the zone in which years begin.
        year: in which they became known; None for all.

    Returns:
        year, source, kind, reason (of a rejection; empty without), received, linked, pending,
        rejected, median_days (between the incident and its correction becoming known; of linked
        ones, missing without).

    Raises:
        CasError: the lake has no complete run.
    """
    revisions, incidents = lake.read(tables.REVISIONS), lake.read(tables.INCIDENTS)
    found = _counted(revisions, incidents, str(settings.zone)).toPandas()
    counted = found.sort_values(["year", "source", "kind", "reason"], ignore_index=True)
    return counted if year is None else counted[counted["year"] == year].reset_index(drop=True)


def _counted(revisions: DataFrame, incidents: DataFrame, zone: str) -> DataFrame:
    first_known = incidents.select(
        F.col("incident_id").alias("linked_incident_id"), F.col("known_at").alias("incident_at")
    )
    micros = F.unix_micros("effective_at") - F.unix_micros("incident_at")
    year = F.year(F.from_utc_timestamp("known_at", zone)).alias("year")
    reason = F.coalesce("reason", F.lit("")).alias("reason")
    return (
        revisions.join(first_known, "linked_incident_id", "left")
        .groupBy(year, "source", "kind", reason)
        .agg(
            F.count("*").alias("received"),
            *(F.count_if(F.col("status") == status).alias(status) for status in STATUSES),
            F.median(micros / F.lit(86_400e6)).alias("median_days"),
        )
    )


def revisions_report(counts: pd.DataFrame, settings: Settings) -> TextReport:
    """The counts as a table, with their totals.

    Args:
        counts: of `count_revisions`.
        settings: of the lake.
    """
    totals = counts[["received", *STATUSES]].sum()
    rows = [
        [
            *(str(line[name]) for name in ("year", "source", "kind", "reason")),
            *(f"{line[name]:,}" for name in ("received", *STATUSES)),
            "" if pd.isna(line["median_days"]) else f"{line['median_days']:.0f}",
        ]
        for line in counts.to_dict("records")
    ]
    rows.append(["all", "", "", "", *(f"{total:,}" for total in totals), ""])
    columns = ["year", "source", "kind", "reason", "received", *STATUSES, "days (median)"]
    return TextReport(
        [TextTable(f"{settings.title}: corrections", columns, rows)],
        [
            "year: in which a correction became known; days: from when its incident was known",
            *settings.labels,
        ],
    )
