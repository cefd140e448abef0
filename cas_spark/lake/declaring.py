"""Declarations: a run writes down the folders that it is going to make, before it makes them.

So the next run knows what a broken one left behind. A folder of the lake's root that no declaration
names, and no complete run published, belongs to another person or program.
"""

import json
from collections.abc import Mapping

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.removing import listed
from cas_spark.platform import storage

FOLDER = "_writing"
"""Folder of the lake's root: a file per folder that is being made."""

_ENDING = ".json"


def declare(spark: SparkSession, root: str, name: str, by: Mapping[str, object]) -> None:
    """Write down that a folder of a lake is being made; nothing happens where that is done.

    Args:
        spark: the session.
        root: of the lake.
        name: of the folder.
        by: who makes it, for a person who looks.

    Raises:
        CasError: a folder or file of that name is there that no run of this lake began.
    """
    if storage.exists(spark, _path(root, name)):
        return
    place = f"{root}/{name}"
    found = storage.names(spark, place)
    if found or storage.is_file(spark, place):
        raise CasError(
            what=place,
            found=listed(found) if not storage.is_file(spark, place) else "a file",
            expected=f"nothing: cas-spark is going to make its folder {name} there, and no run of "
            "this lake declared what lies there",
            do="Move it out of the lake, then run the same command again",
        )
    record(spark, root, name, by)


def record(spark: SparkSession, root: str, name: str, by: Mapping[str, object]) -> None:
    """Write down that a folder of a lake is being made, or was by a run that broke off."""
    storage.write_text(spark, _path(root, name), json.dumps({"folder": name, **by}, indent=1))


def declared(spark: SparkSession, root: str) -> list[str]:
    """The folders that runs declared and did not publish, or not say so yet; sorted.

    A declaration that was cut off names nothing: its folder was not begun.
    """
    return [name for name in _files(spark, root) if _is_whole(spark, root, name)]


def withdraw(spark: SparkSession, root: str) -> None:
    """Remove all declarations: what they name is published, or gone."""
    for name in _files(spark, root):
        storage.delete(spark, _path(root, name))
    storage.delete_empty_folders(spark, f"{root}/{FOLDER}")


def is_declaration(path: str) -> bool:
    """Whether a file is a declaration.

    Args:
        path: below the lake's root.
    """
    folder, _, name = path.rpartition("/")
    return folder == FOLDER and name.endswith(_ENDING)


def _files(spark: SparkSession, root: str) -> list[str]:
    found = storage.names(spark, f"{root}/{FOLDER}")
    return [
        name.removesuffix(_ENDING)
        for name, is_folder in found.items()
        if name.endswith(_ENDING) and not is_folder
    ]


def _is_whole(spark: SparkSession, root: str, name: str) -> bool:
    try:
        content = json.loads(storage.read_text(spark, _path(root, name)))
    except (Py4JJavaError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("folder") == name


def _path(root: str, name: str) -> str:
    return f"{root}/{FOLDER}/{name}{_ENDING}"
