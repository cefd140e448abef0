"""What a lake of an older schema version needs, so that this code can go on with it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.lake import tables


def migrated(table: str, rows: DataFrame, version: int) -> DataFrame | None:
    """A table's rows as they are declared now, or None where nothing changes.

    Args:
        table: its name.
        rows: as a lake of an older schema version holds them.
        version: that version.
    """
    if version < 2 and table == tables.FORECASTS.name:  # noqa: PLR2004 - reads best as a number
        # Older forecasts do not tell the cell's values, nor the mean of its team.
        unknown = F.lit(None).cast("double")
        return rows.withColumn(
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
    return None
