"""Mending: files that no table names any more, or never did, are removed.

A run that is killed leaves behind what it wrote and never committed. Delta's own VACUUM would do,
but asks Spark for ten thousand tasks a table.
"""

import logging
from collections.abc import Iterable

from delta.tables import DeltaTable

from cas_spark.lake import storage, tables
from cas_spark.lake.lake import Lake

log = logging.getLogger(__name__)

HALF_WRITTEN = (storage.UNFINISHED, ".tmp")
"""How files end that the Arrow door and Delta's log write before they give them their names."""


def remove_leftovers(lake: Lake, names: Iterable[str]) -> None:
    """Remove what runs that did not finish had written and never committed.

    Args:
        lake: whose tables are as the last complete run left them.
        names: of the tables that it published.
    """
    removed = sum(remove_unnamed_files(lake, name) for name in [*names, tables.RUNS.name])
    log.warning("%d files of a run that did not finish are removed", removed)


def remove_unnamed_files(lake: Lake, name: str) -> int:
    """Remove the files of a table that its newest version does not name; their number.

    Readers keep to the published version, and older weeks are made anew from facts: nothing reads
    what the newest version no longer names.
    """
    path = lake.path(name)
    if not DeltaTable.isDeltaTable(lake.spark, path):  # killed while its first version was made
        storage.delete(lake.spark, path)
        return 0
    rows = DeltaTable.forPath(lake.spark, path).toDF()
    named = {_base_name(file) for file in rows.inputFiles()}
    unnamed = [
        file
        for file in storage.files(lake.spark, path, recursive=True)
        if file.endswith(HALF_WRITTEN)
        or (
            file.endswith(".parquet")
            and not _is_hidden(file, name)
            and _base_name(file) not in named
        )
    ]
    for file in unnamed:
        storage.delete(lake.spark, file)
    return len(unnamed)


def _is_hidden(path: str, name: str) -> bool:
    """Whether a file lies in a folder of the table's own that is none of its data's."""
    return "/_" in "/" + path.rsplit(f"/{name}/", 1)[-1]


def _base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
