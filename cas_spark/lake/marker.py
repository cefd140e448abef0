"""The place of a lake: a folder becomes one only if it is empty, and is known by its marker.

The marker is a file in the lake's root with the lake's id and schema version. A command that writes
looks for it before it writes anything, so that a wrong `lake` in the settings costs no file.
"""

import json
import logging
import re
import time
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pydantic import TypeAdapter
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.declaring import record
from cas_spark.lake.lake import Lake, has_log, reads_as_runs
from cas_spark.lake.removing import listed
from cas_spark.platform import storage
from cas_spark.platform.objects import UNFINISHED

log = logging.getLogger(__name__)

MARKER = "lake.json"
"""File in the root of a lake."""

REMARK = (
    "cas-spark keeps its tables in this folder. Without this file it writes to none that has others"
)

WRITING_SECONDS = 1.0
"""How long a marker may stay empty while another process writes it."""

_DRAFT = re.compile(rf"\.{re.escape(MARKER)}-[0-9a-f]{{32}}{re.escape(UNFINISHED)}")
"""What is left of a marker whose writer was killed."""


@dataclass(frozen=True)
class Marker:
    """What makes a folder a lake.

    Attributes:
        id: of the lake; copies have the same.
        schema_version: of the code that made the folder a lake. The manifests have the tables' own.
        made_by: this program; another one may use the same name of a file.
    """

    id: UUID
    schema_version: int
    made_by: Literal["cas-spark"]


_MARKERS = TypeAdapter(Marker)


def check_place(spark: SparkSession, root: str) -> None:
    """Make an empty folder a lake; see to it that any other one is.

    Args:
        spark: the session.
        root: of the lake, which may not exist.

    Raises:
        CasError: the folder holds other things, or is of a newer version.
    """
    if storage.is_file(spark, root):
        raise _refusal(root, "a file")
    found = _others(spark, root)
    if not found:
        _put_marker(spark, root)
        found = _others(spark, root)
    if MARKER in found:
        if read_marker(spark, root) is None:
            raise _refusal(root, f"a {MARKER} that is not of cas-spark, or is broken")
        return
    if not _is_of_earlier_version(spark, root):
        lacks = ""
        if tables.RUNS.name in found:
            lacks = f"; its folder {tables.RUNS.name} is no table of complete runs"
        raise _refusal(root, listed(found) + lacks)


def settle(lake: Lake) -> None:
    """Give a lake of an earlier version its marker; remove what attempts to do so left behind.

    Args:
        lake: that `check_place` let pass, and that this process holds.
    """
    if read_marker(lake.spark, lake.root) is None:
        _adopt(lake)
    for name in storage.names(lake.spark, lake.root):
        if _DRAFT.fullmatch(name):
            storage.delete(lake.spark, f"{lake.root}/{name}")


def read_marker(spark: SparkSession, root: str) -> Marker | None:
    """The marker of a lake; None where there is none, or a file of that name that is none.

    Raises:
        CasError: it is of a newer schema version.
    """
    text = _text_of_marker(spark, root)
    marker = None if text is None else marker_in(text)
    if marker is not None and marker.schema_version > tables.SCHEMA_VERSION:
        raise CasError(
            what=f"the lake {root}",
            found=f"{MARKER} of schema version {marker.schema_version}",
            expected=f"at most {tables.SCHEMA_VERSION}, which this code can read",
            do="Use the newer cas-spark that made it, or another lake",
        )
    return marker


def marker_in(text: str) -> Marker | None:
    """The marker that the text of a file says, or None where it says none of this program."""
    try:
        return _MARKERS.validate_json(text)
    except ValueError:
        return None


def _text_of_marker(spark: SparkSession, root: str) -> str | None:
    """The content of a marker's file; None where it is not there, a folder, or no text."""
    try:
        return storage.read_text(spark, f"{root}/{MARKER}")
    except (Py4JJavaError, UnicodeDecodeError):
        return None


def _put_marker(spark: SparkSession, root: str) -> None:
    content = {
        "made_by": "cas-spark",
        "remark": REMARK,
        "id": str(uuid4()),
        "schema_version": tables.SCHEMA_VERSION,
    }
    storage.put_if_absent(spark, f"{root}/{MARKER}", json.dumps(content, indent=1) + "\n")


def _others(spark: SparkSession, root: str) -> list[str]:
    """What lies in a folder, but for what is left of an attempt to make it a lake."""
    found = [name for name in storage.names(spark, root) if not _DRAFT.fullmatch(name)]
    if found == [MARKER] and _text_of_marker(spark, root) == "":
        # Storage without links shows a file before it has content, also that of a killed writer.
        time.sleep(WRITING_SECONDS)
        if _text_of_marker(spark, root) == "":
            storage.delete(spark, f"{root}/{MARKER}")
            return []
    return found


def _refusal(root: str, found: str) -> CasError:
    return CasError(
        what=f"the lake {root}",
        found=found,
        expected="no folder yet, an empty one, or a lake of cas-spark",
        do="Nothing was written there. Name an empty or new folder in the setting `lake`; a lake "
        f"that has lost its {MARKER} is known by its table {tables.RUNS.name}, once a broken "
        f"{MARKER} is moved away",
    )


def _is_of_earlier_version(spark: SparkSession, root: str) -> bool:
    """Whether a folder is a lake of a version that wrote no marker: a complete run says so.

    Without one it is unknown whether its tables were published.
    """
    path = f"{root}/{tables.RUNS.name}"
    if not has_log(spark, path):
        return False
    try:
        rows = spark.read.format("delta").load(path)
        return reads_as_runs(rows) and not rows.isEmpty()
    except (Py4JJavaError, PySparkException) as error:
        log.warning("%s cannot be read: %s", path, str(error).strip().splitlines()[0])
        return False


def _adopt(lake: Lake) -> None:
    """Make a lake of an earlier version one with a marker, and declare what a broken run left.

    Such a version declared nothing. What is provably a table of this program and not published is
    declared now, so that it is removed; any other folder stays.
    """
    spark, root = lake.spark, lake.root
    last = lake.newest_manifest()
    if last is None:  # `check_place` saw a complete run; nothing is removed without one
        return
    published = {*last.versions_out, tables.RUNS.name}
    for name in storage.folders(spark, root):
        is_left = name in tables.NAMES and name not in published
        if is_left and _is_own_table(spark, f"{root}/{name}"):
            record(spark, root, name, {"by": "a run of an earlier version of cas-spark"})
    _put_marker(spark, root)
    log.info("the lake %s is of an earlier version: its marker %s is written", root, MARKER)


def _is_own_table(spark: SparkSession, path: str) -> bool:
    """Whether a folder is a Delta table with the comment that this program gives its tables."""
    if not has_log(spark, path):
        return False
    try:
        [detail] = DeltaTable.forPath(spark, path).detail().collect()
    except (Py4JJavaError, PySparkException):
        return False
    return str(detail["description"] or "").startswith("One row is ")
