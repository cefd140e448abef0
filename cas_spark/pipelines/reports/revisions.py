"""Dirty data by number: what revisions came in, what became of them, and what that cost."""

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.knowledge.linking import LINKED, PENDING, REJECTED
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings import Settings

STATUSES = (LINKED, PENDING, REJECTED)
COSTS = ("polls_recomputed", "models_retrained")
DAYS = ("days_to_delivery", "days_to_processing")
LEGEND = """\
year: in which a revision became known; polls recomputed and models retrained: of the teams that it
touched, each once a run; days (median of linked): from the decision, or else from when what it is
about was known, until it was known; days after: until the poll of the run that processed it"""
PENDING_SHOWN = 50
GROUP = ("year", "source", "kind", "reason")


def count_revisions(lake: Lake, settings: Settings, year: int | None = None) -> pd.DataFrame:
    """Revisions per year, source, kind and reason, as the last complete run left them.

    Args:
        lake: to look into.
        settings: of the lake, for the zone in which years begin.
        year: in which they became known; None for all.

    Returns:
        year, source, kind, reason (of a rejection; empty without), received, linked, pending,
        rejected; polls_recomputed and models_retrained (of teams, each counted once a run);
        days_to_delivery (median, from the decision, or where that is not given from when what it is
        about became known, until the revision was known) and days_to_processing (median, until the
        poll of the run that processed it, or the day on which a run without a poll ended), missing
        without any.

    Raises:
        CasError: the lake has no complete run.
    """
    revisions = _grouped(lake.read(tables.REVISIONS), settings)
    found = _counted(revisions, lake, str(settings.zone)).toPandas()
    if lake.holds(tables.REVISION_COSTS):
        costs = _costs(revisions, lake.read(tables.REVISION_COSTS)).toPandas()
        found = found.merge(costs, how="left", on=list(GROUP))
        found[list(COSTS)] = found[list(COSTS)].fillna(0).astype("int64")
    else:
        found[list(COSTS)] = 0
    counted = found.sort_values(list(GROUP), ignore_index=True)
    return counted if year is None else counted[counted["year"] == year].reset_index(drop=True)


def pending_revisions(lake: Lake) -> pd.DataFrame:
    """The revisions that wait for what they are about, the longest waiting first.

    Args:
        lake: to look into.

    Returns:
        source, extract (name of the file), row_number, about, kind, known_at (UTC).

    Raises:
        CasError: the lake has no complete run.
    """
    extracts = lake.read(tables.DATASETS).select(
        "source", F.col("sha256").alias("dataset_sha256"), F.col("name").alias("extract")
    )
    waiting = lake.read(tables.REVISIONS).where(F.col("status") == PENDING)
    listed = waiting.join(extracts, ["source", "dataset_sha256"]).select(
        "source", "extract", "row_number", "about", "kind", "known_at"
    )
    return listed.orderBy("known_at", "source", "extract", "row_number").toPandas()


def pending_report(pending: pd.DataFrame, settings: Settings) -> Report:
    """The waiting revisions as a table, of which the first are shown.

    Args:
        pending: of `pending_revisions`.
        settings: of the lake.
    """
    shown = pending.head(PENDING_SHOWN).astype(str).to_numpy().tolist()
    rest = len(pending) - len(shown)
    more = [f"and {rest:,} more: --csv writes all"] if rest else []
    title = f"{settings.title}: {len(pending):,} revisions wait for what they are about"
    return Report([ReportTable(title, list(pending.columns), shown)], more)


def _grouped(revisions: DataFrame, settings: Settings) -> DataFrame:
    year = F.year(F.from_utc_timestamp("known_at", str(settings.zone)))
    reason = F.coalesce("reason", F.lit(""))
    return revisions.withColumns({"year": year, "reason": reason})


def _counted(revisions: DataFrame, lake: Lake, zone: str) -> DataFrame:
    dated = revisions.join(_known_first(lake), "linked_id", "left")
    begun = F.coalesce(F.col("decided_on"), _day("fact_known_at", zone))
    known = _day("known_at", zone)
    runs = lake.runs
    if runs is not None:
        processed = F.coalesce(F.col("poll_on"), _day("finished_at", zone)).alias("processed_on")
        numbers = runs.select(F.col("number").alias("processed_run"), processed)
        dated = dated.join(numbers, "processed_run", "left")
    days = (F.datediff(known, begun), F.datediff("processed_on", known))
    is_linked = F.col("status") == LINKED
    return dated.groupBy(*GROUP).agg(
        F.count("*").alias("received"),
        *(F.count_if(F.col("status") == status).alias(status) for status in STATUSES),
        *(
            F.median(F.when(is_linked, between)).alias(name)
            for name, between in zip(DAYS, days, strict=True)
        ),
    )


def _known_first(lake: Lake) -> DataFrame:
    """When each fact became known: linked_id, fact_known_at."""
    facts = lake.read(tables.INCIDENTS).select(F.col("incident_id").alias("linked_id"), "known_at")
    if lake.holds(tables.SUSPECTS):
        links = lake.read(tables.SUSPECTS)
        facts = facts.union(links.select(F.col("link_id").alias("linked_id"), "known_at"))
    return facts.groupBy("linked_id").agg(F.min("known_at").alias("fact_known_at"))


def _costs(revisions: DataFrame, costs: DataFrame) -> DataFrame:
    """A team that several revisions touched in a run was recomputed once."""
    of_group = costs.join(revisions.select("revision_id", *GROUP), "revision_id")
    once = of_group.select(*GROUP, "run_number", "team_id", *COSTS).distinct()
    return once.groupBy(*GROUP).agg(*(F.sum(name).alias(name) for name in COSTS))


def _day(instant: str, zone: str) -> Column:
    return F.to_date(F.from_utc_timestamp(instant, zone))


def revisions_report(counts: pd.DataFrame, settings: Settings) -> Report:
    """The counts as a table, with their totals.

    Args:
        counts: of `count_revisions`.
        settings: of the lake.
    """
    numbers = ("received", *STATUSES, *COSTS)
    totals = counts[list(numbers)].sum()
    rows = [
        [
            *(str(line[name]) for name in GROUP),
            *(f"{line[name]:,}" for name in numbers),
            *("" if pd.isna(line[name]) else f"{line[name]:.0f}" for name in DAYS),
        ]
        for line in counts.to_dict("records")
    ]
    rows.append(["all", "", "", "", *(f"{totals[name]:,}" for name in numbers), "", ""])
    columns = [
        *GROUP,
        "received",
        *STATUSES,
        "polls recomputed",
        "models retrained",
        "days",
        "days after",
    ]
    return Report(
        [ReportTable(f"{settings.title}: revisions", columns, rows)],
        [LEGEND, *settings.labels],
    )
