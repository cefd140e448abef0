"""Mending: files that no table names any more, or never did, are removed.

A run that is killed leaves behind what it wrote and never committed. Delta's own VACUUM would do,
but asks Spark for ten thousand tasks a table.
"""

import logging
from collections.abc import Iterable

from delta.tables import DeltaTable

from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.removing import is_data, is_half_of_log, is_of_table, is_unfinished
from cas_spark.platform import storage

log = logging.getLogger(__name__)


def remove_leftovers(lake: Lake, names: Iterable[str]) -> None:
    """Remove what runs that did not finish had written and never committed.

    Args:
        lake: whose tables are as the last complete run left them.
        names: of the tables that it published.
    """
    published = [*names, *([tables.RUNS.name] if lake.last_manifest is not None else [])]
    removed = sum(remove_unnamed_files(lake, name) for name in published)
    log.warning("%d files of a run that did not finish are removed", removed)


def remove_unnamed_files(lake: Lake, name: str) -> int:
    """Remove the files of a table that its newest version does not name; their number.

    Readers keep to the published version, and older weeks are recomputed from facts: nothing reads
    what the newest version no longer names. A file stays whose name no writer of tables gives.
    """
    path = lake.path(name)
    rows = DeltaTable.forPath(lake.spark, path).toDF()
    named = {_base_name(file) for file in rows.inputFiles()}
    unnamed = [
        file
        for file in storage.relative_files(lake.spark, path)
        if is_of_table(file)
        and (
            is_unfinished(file)
            or is_half_of_log(file)
            or (is_data(file) and _base_name(file) not in named)
        )
    ]
    for file in unnamed:
        storage.delete(lake.spark, f"{path}/{file}")
    return len(unnamed)


def _base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
