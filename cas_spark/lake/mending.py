"""Mending: what a killed run wrote and never committed goes before the next run begins."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from cas_spark.lake import storage, tables
from cas_spark.lake.lake import Lake

log = logging.getLogger(__name__)

HALF_WRITTEN = (".unfinished", ".tmp")
"""How files end that the Arrow door and Delta's log write before they give them their names."""

AT_ONCE = {
    # Delta keeps a week of files for readers of older versions; here these keep to the newest.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    # To tell of it in the log would be a new version of the table.
    "spark.databricks.delta.vacuum.logging.enabled": "false",
}


def remove_leftovers(lake: Lake, names: Iterable[str]) -> None:
    """Remove the files under the lake that no table's newest version names.

    Args:
        lake: whose tables are as the last complete run left them.
        names: of the tables that it published.
    """
    spark = lake.spark
    with _set(spark, AT_ONCE):
        for name in [*names, tables.RUNS.name]:
            path = lake.path(name)
            for file in storage.files(spark, path, recursive=True):
                if file.endswith(HALF_WRITTEN):
                    storage.delete(spark, file)
            if DeltaTable.isDeltaTable(spark, path):
                DeltaTable.forPath(spark, path).vacuum(0)
            else:  # killed while its first version was made
                storage.delete(spark, path)
    log.warning("what a run that did not finish had written is removed")


@contextmanager
def _set(spark: SparkSession, settings: dict[str, str]) -> Iterator[None]:
    """Have the session's settings so for a while."""
    before = {name: spark.conf.get(name, None) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)
