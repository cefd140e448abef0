"""What a lake of an older schema version needs, so that this code can go on with it."""

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.lake import tables


def _tell_values_of_contributions(forecasts: DataFrame) -> DataFrame:
    """Older forecasts tell neither the cell's values nor what is above the mean of its team."""
    unknown = F.lit(None).cast("double")
    return forecasts.withColumn(
        "contributions",
        F.transform(
            "contributions",
            lambda pair: F.struct(
                pair["indicator"].alias("indicator"),
                unknown.alias("value"),
                pair["contribution"].alias("contribution"),
                unknown.alias("above_mean"),
            ),
        ),
    )


def _tell_no_draws(models: DataFrame) -> DataFrame:
    """Older models tell no draws."""
    return models.withColumn("draws", F.lit(None).cast("binary"))


def _tell_no_stability(forecasts: DataFrame) -> DataFrame:
    """Older forecasts do not tell how stable their choices are."""
    return forecasts.withColumn("stability", F.lit(None).cast("double"))


def _leave_revisions_undecided(revisions: DataFrame) -> DataFrame:
    """Older lakes linked no revision; the next ingest does."""
    nothing = F.lit(None)
    return revisions.withColumns(
        {
            "kind": nothing.cast("string"),
            "reason": nothing.cast("string"),
            "linked_incident_id": nothing.cast("string"),
            "effective_at": nothing.cast("timestamp"),
        }
    ).select(*(column.name for column in tables.REVISIONS.columns))


def _as_they_are(rows: DataFrame) -> DataFrame:
    """Only the table's checks are others."""
    return rows


MIGRATIONS: Mapping[tuple[int, str], Callable[[DataFrame], DataFrame]] = {
    (1, tables.FORECASTS.name): _tell_values_of_contributions,
    (2, tables.MODELS.name): _tell_no_draws,
    (2, tables.FORECASTS.name): _tell_no_stability,
    (3, tables.INCIDENTS.name): _as_they_are,
    (3, tables.REVISIONS.name): _leave_revisions_undecided,
}
"""(schema version, table) -> its rows as the next version has them."""


def migrated(table: str, rows: DataFrame, version: int) -> DataFrame | None:
    """A table's rows as they are declared now, or None where nothing changes.

    Args:
        table: its name.
        rows: as a lake of an older schema version holds them.
        version: that version.
    """
    steps = [
        MIGRATIONS[step, table]
        for step in range(version, tables.SCHEMA_VERSION)
        if (step, table) in MIGRATIONS
    ]
    for step in steps:
        rows = step(rows)
    return rows if steps else None
