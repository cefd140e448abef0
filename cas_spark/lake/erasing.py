"""Erasing for good: a table loses its past; a journal lists what is to go until it is gone.

A row that is deleted from a Delta table is still in older versions, in their statistics and in the
commit that deleted it. So the newest version becomes a commit that says nothing of rows, with a
checkpoint of its own, and every other file of the table is deleted.
"""

from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame

from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.lake.removing import (
    LOG,
    is_of_spark,
    is_of_table,
    listed,
    remove_files,
)
from cas_spark.lake.run import Run
from cas_spark.lake.table import Table
from cas_spark.platform import storage

RETAINING = "retaining"
"""Folder of the journal in the lake's root."""


def end_with_a_commit_without_rows(run: Run, table: Table) -> None:
    """Write a version of a table whose commit names no row or file."""
    run.lake.spark.sql(
        f"ALTER TABLE {run.lake.as_sql(table.name)} "
        f"SET TBLPROPERTIES ('cas.past_forgotten_by_run' = '{run.number}')"
    )
    run.note_change(table)


def forget_past(lake: Lake, table: Table, version: int) -> None:
    """Delete every file of a table but those of its newest version; again and again if need be.

    A file stays whose name no writer of tables gives: a person put it there.

    Args:
        lake: that holds it.
        table: ended by `end_with_a_commit_without_rows`.
        version: its newest, as the last complete run published it.
    """
    spark, path = lake.spark, lake.path(table.name)
    jvm: Any = spark._jvm  # noqa: SLF001 - pyspark has no public way to Delta's checkpoints
    log = jvm.org.apache.spark.sql.delta.DeltaLog
    log.clearCache()
    log.forTable(spark._jsparkSession, path).checkpoint()  # noqa: SLF001
    live = {_name(file) for file in lake.read_version(table.name, version).inputFiles()}
    for file in storage.relative_files(spark, path):
        name = _name(file)
        if file.startswith(f"{LOG}/"):
            stays = name.startswith(f"{version:020d}.") or name == "_last_checkpoint"
        else:
            stays = name in live
        if not stays and is_of_table(file):
            storage.delete(spark, f"{path}/{file}")
    log.clearCache()


def _name(file: str) -> str:
    return unquote(file.rsplit("/", 1)[-1])


class Journal:
    """The keys that are to be removed for good, kept in the lake until none of them is left.

    So that a command that breaks off leaves nothing that is not listed.
    """

    def __init__(self, lake: Lake) -> None:
        self._spark, self._path = lake.spark, lake.path(RETAINING)

    def is_there(self) -> bool:
        """Whether a command broke off."""
        return any(map(is_of_spark, self._files()))

    def add(self, keys: DataFrame) -> None:
        """Write down keys, one text column, beside those that are there.

        Raises:
            CasError: the journal's folder holds files that cas-spark did not write.
        """
        others = [name for name in self._files() if not is_of_spark(name)]
        if others:
            raise CasError(
                what=self._path,
                found=listed(others),
                expected="nothing but the journal of `cas-spark retain`",
                do="Move these files out of the lake, then run the same command again",
            )
        keys.write.mode("append").parquet(self._path)

    def keys(self) -> DataFrame:
        """The keys, in the column `key`."""
        return self._spark.read.schema("key string").parquet(self._path).distinct()

    def delete(self) -> None:
        """Remove the journal."""
        remove_files(self._spark, self._path, is_of_spark)

    def _files(self) -> list[str]:
        return storage.relative_files(self._spark, self._path)
