"""Spark's own writer for `snapshots`, where tasks cannot reach the lake's storage themselves."""

from collections.abc import Collection, Mapping
from datetime import date
from urllib.parse import unquote

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.lake.table import Table


def commit_rows(
    root: str, table: Table, rows: DataFrame, removed: Mapping[str, Collection[date]]
) -> dict[tuple[str, date], tuple[str, int]]:
    """Add rows to a table, once others are removed from it.

    Args:
        root: the lake's root.
        table: the table.
        rows: of the table, each partition with those of one team, which become one file.
        removed: team -> the polls whose rows are no longer part of the table.

    Returns:
        What the table then holds: team and poll -> the file, as a path below the table's, and the
        number of its rows of that poll.
    """
    path, spark = f"{root}/{table.name}", rows.sparkSession
    gone = [(team, poll) for team, polls in removed.items() for poll in polls]
    if gone:
        keys = spark.createDataFrame(gone, "team_id string, poll_on date")
        held = DeltaTable.forPath(spark, path).alias("held")
        same = "held.team_id = gone.team_id AND held.poll_on = gone.poll_on"
        held.merge(F.broadcast(keys).alias("gone"), same).whenMatchedDelete().execute()
    # In the order of the keys, for the writer would otherwise sort by team alone.
    ordered = rows.sortWithinPartitions(*table.keys)
    ordered.write.format("delta").mode("append").save(path)
    where = (
        spark.read.format("delta")
        .load(path)
        .groupBy("team_id", "poll_on", F.col("_metadata.file_path").alias("file"))
    )
    marker = f"/{table.name}/"
    return {
        (row["team_id"], row["poll_on"]): (unquote(row["file"]).rsplit(marker, 1)[1], row["count"])
        for row in where.count().collect()
    }
