"""Spark's own writer for `snapshots`, where tasks cannot reach the lake's storage themselves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import unquote

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.lake.table import Table
from cas_spark.platform import storage


@dataclass(frozen=True)
class SliceOfFile:
    """Where the rows of a team at a poll lie.

    Attributes:
        file: a path below the table's.
        sha256: of the file's bytes.
        rows: of the slice.
    """

    file: str
    sha256: str
    rows: int


def commit_rows(
    root: str,
    table: Table,
    rows: DataFrame,
    removed: Mapping[str, Collection[date]],
    recorded: Mapping[str, str],
) -> dict[tuple[str, date], SliceOfFile]:
    """Add rows to a table, once others are removed from it.

    Args:
        root: the lake's root.
        table: the table.
        rows: of the table, each partition with those of one team, which become one file.
        removed: team -> the polls whose rows are no longer part of the table.
        recorded: file -> the sha256 of its bytes, of those that are known; others are read once.

    Returns:
        What the table then holds: team and poll -> where its rows lie.
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
    found = {
        (row["team_id"], row["poll_on"]): (unquote(row["file"]).rsplit(marker, 1)[1], row["count"])
        for row in where.count().collect()
    }
    new = sorted({file for file, _ in found.values()} - set(recorded))
    sha256 = {**recorded, **_sha256_of(spark, path, new)}
    return {key: SliceOfFile(file, sha256[file], count) for key, (file, count) in found.items()}


def _sha256_of(spark: SparkSession, path: str, files: Sequence[str]) -> dict[str, str]:
    """File of a table -> the sha256 of its bytes."""
    if not files:
        return {}
    content = storage.contents(spark, [f"{path}/{file}" for file in files])
    by_base_name = {file.rsplit("/", 1)[-1]: file for file in files}
    rows = content.select(
        F.element_at(F.split("path", "/"), -1).alias("name"), F.sha2("content", 256).alias("sha256")
    )
    return {by_base_name[row["name"]]: row["sha256"] for row in rows.collect()}
