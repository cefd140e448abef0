"""Removes only files with names that Spark, Delta and tasks give, and folders that get empty.

A person may put a file anywhere, also into the folder of a table. It stays there: what is removed
must bear a name that only a writer of tables gives, at a place where such a writer puts it.
"""

import re
from collections.abc import Callable, Iterable

from pyspark.sql import SparkSession

from cas_spark.platform import storage

LOG = "_delta_log"
"""Folder of a table's log."""

COMMIT = re.compile(r"(\d{20})\.json")
"""A file in a table's log, named by the version that it makes."""

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_DATA = re.compile(
    rf"part-\d{{5}}-{_UUID}[\w.-]*\.parquet"  # of Spark and of Delta
    r"|(?:layout\d+-)?[0-9a-f]{40}\.parquet"  # of arrow_access
)
_HALF = (
    rf"(?:\.[\w.-]*{_UUID}\.tmp|\.\d{{20}}\.[\w.-]+\.tmp|_commit_{_UUID}\.json\.tmp)(?:#\d+)?"
    r"|\d{20}\.json#\d+"
)
_HALF_IN_LOG = re.compile(_HALF)
_IN_LOG = re.compile(
    rf"\d{{20}}\.(?:json|crc|checkpoint[\w.-]*\.parquet|\d{{20}}\.compacted\.json)"
    rf"|_last_checkpoint|{_HALF}"
)
_PARTITION = re.compile(r"\w+=.*")
_CHECKSUM = re.compile(r"\.(.+)\.crc")
_OF_SPARK = re.compile(rf"_SUCCESS|part-(?:r-)?\d{{5}}(?:-{_UUID})?[\w.-]*")


def is_of_table(path: str) -> bool:
    """Whether a file is one that the writers of a table make.

    Args:
        path: below the table's folder.
    """
    *folders, name = path.split("/")
    if folders == [LOG]:
        return _IN_LOG.fullmatch(_without_checksum(name)) is not None
    return all(map(_PARTITION.fullmatch, folders)) and (is_data(path) or is_unfinished(path))


def is_data(path: str) -> bool:
    """Whether a file bears the name of one with rows of a table, or of such a file's checksum."""
    return _DATA.fullmatch(_without_checksum(path.rsplit("/", 1)[-1])) is not None


def is_unfinished(path: str) -> bool:
    """Whether a file is one that a task or the driver began to write and did not finish."""
    return storage.UNFINISHED_NAME.fullmatch(_without_checksum(path.rsplit("/", 1)[-1])) is not None


def is_half_of_log(path: str) -> bool:
    """Whether a file of a table's log is one that Delta had not given its name yet.

    Args:
        path: below the table's folder.
    """
    *folders, name = path.split("/")
    return folders == [LOG] and _HALF_IN_LOG.fullmatch(_without_checksum(name)) is not None


def is_of_spark(path: str) -> bool:
    """Whether a file is one that Spark's own writers make, finished or not.

    Args:
        path: below the folder that was written.
    """
    *folders, name = path.split("/")
    is_known = _OF_SPARK.fullmatch(_without_checksum(name)) is not None
    return is_known and (not folders or folders[0] == "_temporary")


def remove_files(spark: SparkSession, folder: str, is_ours: Callable[[str], bool]) -> list[str]:
    """Remove files of a folder, and the folders that they leave empty.

    Args:
        spark: the session.
        folder: to look into, at any depth.
        is_ours: given a file's path below the folder, whether it goes.

    Returns:
        The paths, below the folder, of the files that stay; sorted.
    """
    stay = []
    for name in storage.relative_files(spark, folder):
        if is_ours(name):
            storage.delete(spark, f"{folder}/{name}")
        else:
            stay.append(name)
    storage.delete_empty_folders(spark, folder)
    return sorted(stay)


def listed(names: Iterable[str], most: int = 5) -> str:
    """Some names for an error, and how many more there are."""
    all_names = sorted(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more


def _without_checksum(name: str) -> str:
    """The name of the file that Hadoop keeps a checksum of, or the name as it is."""
    found = _CHECKSUM.fullmatch(name)
    return found[1] if found is not None else name
