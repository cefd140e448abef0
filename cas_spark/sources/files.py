"""The files of a source: which there are, their checksums, and how they are opened.

Local files are opened by Python: Hadoop takes brackets in a name for a pattern, and cannot read a
name with a colon. Hadoop opens every other place that it can reach.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyogrio.errors import DataLayerError, DataSourceError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from cas_spark.errors import CasError, error_of_task, leaving_a_task
from cas_spark.platform import storage
from cas_spark.settings.extracts import Extracts
from cas_spark.settings.paths import local_files, local_path
from cas_spark.sources.text_files import Open

LARGEST_REMOTE_BYTES = 2**31 - 1
"""Spark hands the bytes of a file that is not local to a task as one value."""

_RAISED = re.compile(r"[A-Za-z_.]+(?:Error|Exception|Exit|Interrupt): ")

Found = TypeVar("Found")


def list_files(spark: SparkSession, source: Extracts) -> list[str]:
    """Return the paths of the extracts of a source, sorted by file name.

    Raises:
        CasError: no file matches, or the file system cannot be reached.
    """
    found = files_there(spark, source)
    if not found:
        raise CasError(
            what=f"files of {source.name}",
            found=f"no file {source.files}",
            expected="at least one extract",
            do=f"Give their place, or a pattern of it, as {source.kind}.{source.name}.files",
        )
    return found


def files_there(spark: SparkSession, source: Extracts) -> list[str]:
    """Return the paths of the extracts of a source, sorted by file name; an empty list for none.

    Raises:
        CasError: the file system cannot be reached.
    """
    local = local_path(source.files)
    if local is not None:
        found = local_files(str(local))
    else:
        with refusing(f"files of {source.name}, {source.files}"):
            path = _jvm(spark).org.apache.hadoop.fs.Path(source.files)
            system = path.getFileSystem(spark._jsc.hadoopConfiguration())  # noqa: SLF001
            listed = system.globStatus(path) or []
            found = [s.getPath().toString() for s in listed if s.isFile()]
    return sorted(found, key=lambda path: (path.rsplit("/", 1)[-1], path))


def sha256_of(spark: SparkSession, path: str) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal.

    Raises:
        CasError: the file cannot be read.
    """
    with refusing(path):
        local = local_path(path)
        if local is not None:
            with local.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        return storage.sha256_of(spark, path)


def look_at(spark: SparkSession, path: str, find: Callable[[Open], Found]) -> Found:
    """Return what a function finds in a file: a local one on the driver, any other in a task.

    Args:
        spark: the session.
        path: of the file.
        find: is given a function that opens the file, and returns something that can be pickled.

    Raises:
        CasError: the file cannot be read, or `find` raises it.
    """
    with refusing(path):
        local = local_path(path)
        if local is not None:
            return find(cast("Open", partial(local.open, "rb")))

        def look(row: Any) -> Found:
            with leaving_a_task():
                return find(lambda: io.BytesIO(row["content"]))

        found: list[Found] = _contents(spark, path).rdd.map(look).collect()
        return found[0]


def rows_in_a_task(
    spark: SparkSession,
    path: str,
    read: Callable[[Open], Iterable[pa.RecordBatch]],
    schema: StructType,
) -> DataFrame:
    """Return the rows that a function reads from a file, in one task and in their order.

    Args:
        spark: the session.
        path: of the file.
        read: is given a function that opens the file, and yields its rows.
        schema: of the rows.
    """
    local = local_path(path)

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if local is not None:
                opening = cast("Open", partial(local.open, "rb"))
            else:
                opening = partial(io.BytesIO, batch.column(0)[0].as_buffer())
            with leaving_a_task():
                yield from read(opening)

    one = spark.range(1, numPartitions=1) if local is not None else _contents(spark, path)
    return one.mapInArrow(task, schema)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn what Spark, Hadoop or Arrow says about an unreadable file into an error that names it.

    Raises:
        CasError: the file `what` could not be read.
    """
    try:
        yield
    except (
        OSError,
        Py4JJavaError,
        PySparkException,
        pa.ArrowException,
        DataLayerError,
        DataSourceError,
    ) as error:
        of_task = error_of_task(str(error))
        if of_task is not None:
            raise of_task from error
        if isinstance(error, Py4JJavaError):
            found = _deepest_cause(error.java_exception)
        elif isinstance(error, OSError) and error.strerror:
            found = error.strerror
        else:
            found = _saying(str(error)) or type(error).__name__
        raise CasError(
            what=what,
            found=f"something that cannot be read ({found})",
            expected="a whole file of the format that the settings name",
            do="Have it delivered again, or mend its format in the settings; nothing was written",
        ) from error


def _saying(text: str) -> str:
    """The line of an error's text that says what happened; of a task, where its traceback ends."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    of_task = [line for line in lines if _RAISED.match(line)]
    return (of_task or lines or [""])[-1 if of_task else 0]


def bytes_of(spark: SparkSession, path: str) -> bytes | None:
    """Return the bytes of a file that only Hadoop can reach; None where there is none."""
    found = _contents(spark, path).first()
    return bytes(found["content"]) if found else None


def _contents(spark: SparkSession, path: str) -> DataFrame:
    """One row with the bytes (`content`) of a file that is not local."""
    return storage.contents(spark, path).select("content").coalesce(1)


def _jvm(spark: SparkSession) -> Any:
    return spark._jvm  # noqa: SLF001


def _deepest_cause(exception: Any) -> str:
    while exception.getCause() is not None:
        exception = exception.getCause()
    return str(exception.toString()).splitlines()[0]
