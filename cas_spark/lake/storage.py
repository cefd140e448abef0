"""Folders and files under the lake's root, on whatever file system Hadoop can reach."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from cas_spark.errors import CasError

UNFINISHED = ".unfinished"
"""How the names of files end that a task still writes, or wrote when it was killed."""


def _file_system(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Hadoop's file system of a path, and the path as Hadoop writes it."""
    jvm: Any = spark._jvm  # noqa: SLF001 - pyspark has no public way to Hadoop's file systems
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    return hadoop_path.getFileSystem(spark._jsc.hadoopConfiguration()), hadoop_path  # noqa: SLF001


def exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a file or folder at `path`."""
    system, hadoop_path = _file_system(spark, path)
    return bool(system.exists(hadoop_path))


def delete(spark: SparkSession, path: str) -> None:
    """Remove a file, or a folder with all that is in it; nothing happens where there is none."""
    system, hadoop_path = _file_system(spark, path)
    system.delete(hadoop_path, True)


def folders(spark: SparkSession, path: str) -> list[str]:
    """Names of the folders in `path`, sorted; none where there is no such folder."""
    system, hadoop_path = _file_system(spark, path)
    if not system.exists(hadoop_path):
        return []
    return sorted(s.getPath().getName() for s in system.listStatus(hadoop_path) if s.isDirectory())


def arrow_file_system(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Arrow's file system of a path, which tasks can use, and the path as Arrow writes it."""
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    return pyarrow.fs.LocalFileSystem(), path


def check_arrow_reaches(path: str) -> None:
    """Refuse storage that Arrow, and so a scan of all its bytes, cannot reach.

    Raises:
        CasError: it cannot.
    """
    try:
        system, place = arrow_file_system(path)
        system.get_file_info(place)
    except (OSError, pa.ArrowException) as error:
        raise CasError(
            what=f"the lake {path}",
            found=f"storage that Arrow cannot reach: {error}",
            expected="storage of which every byte can be searched, since what is removed for good "
            "must be shown to be gone",
            do="Run it on a machine that sees the lake as a folder, with `lake` set to that; "
            "nothing was removed",
        ) from error


def copy_whole(local: Path, path: str) -> list[str]:
    """Copy the files of a local folder into one of the lake; in a task.

    Each appears whole or not at all, also where a task is tried twice at once.

    Returns:
        Their paths, sorted.
    """
    system, folder = arrow_file_system(path)
    system.create_dir(folder, recursive=True)
    names = sorted(file.name for file in local.iterdir())
    for name in names:
        unfinished = f"{folder}/.{uuid4().hex}{UNFINISHED}"
        pyarrow.fs.copy_files(
            str(local / name),
            unfinished,
            source_filesystem=pyarrow.fs.LocalFileSystem(),
            destination_filesystem=system,
        )
        system.move(unfinished, f"{folder}/{name}")
    return [f"{path}/{name}" for name in names]


def remove_unfinished(spark: SparkSession, path: str) -> None:
    """Remove what tasks that were killed had begun to write in a folder or below it."""
    for file in files(spark, path, recursive=True):
        if file.endswith(UNFINISHED):
            delete(spark, file)


def upload(spark: SparkSession, local: str, path: str) -> None:
    """Copy a local file or folder to `path`, replacing what was there."""
    system, hadoop_path = _file_system(spark, path)
    system.delete(hadoop_path, True)
    system.mkdirs(hadoop_path.getParent())
    _, source = _file_system(spark, f"file://{local}")
    system.copyFromLocalFile(False, True, source, hadoop_path)


def files(spark: SparkSession, path: str, *, recursive: bool = False) -> dict[str, int]:
    """The files in a folder: path -> milliseconds since 1970 at which it was last written.

    The time is told by the storage's own clock. There are none where there is no such folder.
    """
    system, hadoop_path = _file_system(spark, path)
    if not system.exists(hadoop_path):
        return {}
    found: dict[str, int] = {}
    # listStatus bears with files that go meanwhile, listFiles does not.
    for status in system.listStatus(hadoop_path):
        name = str(status.getPath())
        if not status.isDirectory():
            found[name] = int(status.getModificationTime())
        elif recursive:
            found |= files(spark, name, recursive=True)
    return found


def read_text(spark: SparkSession, path: str) -> str:
    """The content of a small file."""
    system, hadoop_path = _file_system(spark, path)
    stream = system.open(hadoop_path)
    try:
        return bytes(stream.readAllBytes()).decode()
    finally:
        stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a small file, in place of what was there; where that fails, nothing is left."""
    write_bytes(spark, path, text.encode())


def write_bytes(spark: SparkSession, path: str, content: bytes) -> None:
    """The same for bytes."""
    system, hadoop_path = _file_system(spark, path)
    try:
        stream = system.create(hadoop_path, True)
        try:
            stream.write(content)
        finally:
            stream.close()
    except Py4JJavaError:
        system.delete(hadoop_path, False)
        raise


def try_to_write(spark: SparkSession, folder: str) -> None:
    """Write a file into a folder and remove it; where there is no such folder yet, do nothing."""
    if exists(spark, folder):
        path = f"{folder}/.{uuid4().hex}{UNFINISHED}"
        write_bytes(spark, path, b"")
        delete(spark, path)


def rename(spark: SparkSession, path: str, new_path: str) -> None:
    """Give a file another name, which nothing has yet."""
    system, hadoop_path = _file_system(spark, path)
    _, new = _file_system(spark, new_path)
    system.rename(hadoop_path, new)
