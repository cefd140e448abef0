"""Folders and files under the lake's root, on whatever file system Hadoop can reach.

Nothing here removes a folder with what is in it: `lake.removing` removes files by their names.
"""

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from cas_spark.errors import CasError
from cas_spark.platform.objects import UNFINISHED, LocalFolder, NoHardLinksError

CHUNK = 1 << 24
"""Bytes that are read at once to compute a checksum."""

UNFINISHED_NAME = re.compile(rf"\.[0-9a-f]{{32}}{re.escape(UNFINISHED)}")
"""The whole name of such a file: a person's `.notes.unfinished` is none."""


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
    """Remove a file or an empty folder; nothing happens where there is none."""
    system, hadoop_path = _file_system(spark, path)
    system.delete(hadoop_path, False)


def folders(spark: SparkSession, path: str) -> list[str]:
    """Names of the folders in `path`, sorted; none where there is no such folder."""
    return [name for name, is_folder in names(spark, path).items() if is_folder]


def names(spark: SparkSession, path: str) -> dict[str, bool]:
    """Names of all that lies in a folder, sorted -> whether it is a folder; none without it.

    For a file, its own name.
    """
    system, hadoop_path = _file_system(spark, path)
    if not system.exists(hadoop_path):
        return {}
    statuses = {
        s.getPath().getName(): bool(s.isDirectory()) for s in system.listStatus(hadoop_path)
    }
    return dict(sorted(statuses.items()))


def is_file(spark: SparkSession, path: str) -> bool:
    """Whether there is a file, and no folder, at `path`."""
    system, hadoop_path = _file_system(spark, path)
    return bool(system.exists(hadoop_path)) and bool(system.getFileStatus(hadoop_path).isFile())


def contents(spark: SparkSession, paths: str | list[str]) -> DataFrame:
    """Return the bytes (`content`) of files by their `path`; of a folder, those of its files.

    Paths are meant as they stand: Spark would otherwise take brackets and stars for patterns.
    """
    reader = spark.read.format("binaryFile").option("__globPaths__", "false")
    return reader.load(paths).select("path", "content")


def arrow_file_system(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Arrow's file system of a path, which tasks can use, and the path as Arrow writes it."""
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    return pyarrow.fs.LocalFileSystem(), path


def sha256_of_stream(stream: pa.NativeFile) -> str:
    """The sha256 of what is left of a stream of Arrow's, which is read to its end; in a task."""
    state = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        state.update(chunk)
    return state.hexdigest()


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
    for name in relative_files(spark, path):
        if UNFINISHED_NAME.fullmatch(name.rsplit("/", 1)[-1]):
            delete(spark, f"{path}/{name}")


def upload(spark: SparkSession, local: str, path: str) -> None:
    """Copy a local file to `path`, in place of the file that was there."""
    system, hadoop_path = _file_system(spark, path)
    system.mkdirs(hadoop_path.getParent())
    _, source = _file_system(spark, f"file://{local}")
    system.copyFromLocalFile(False, True, source, hadoop_path)


def files(spark: SparkSession, path: str, *, recursive: bool = False) -> dict[str, int]:
    """The files in a folder: path -> milliseconds since 1970 at which it was last written.

    The time is by the storage's own clock. There are none where there is no such folder.
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


def relative_files(spark: SparkSession, path: str) -> list[str]:
    """The files of a folder at any depth, as paths below it; none where there is no such folder."""
    found = []
    for name, is_folder in names(spark, path).items():
        if is_folder:
            found += [f"{name}/{file}" for file in relative_files(spark, f"{path}/{name}")]
        else:
            found.append(name)
    return found


def delete_empty_folders(spark: SparkSession, path: str) -> None:
    """Remove a folder if no file lies in it at any depth, and each such folder of it."""
    for name in folders(spark, path):
        delete_empty_folders(spark, f"{path}/{name}")
    if not names(spark, path):
        # A checksum of a file that is gone is not listed, and keeps its folder: that does no harm.
        with suppress(Py4JJavaError):
            delete(spark, path)


def read_text(spark: SparkSession, path: str) -> str:
    """The content of a small file."""
    system, hadoop_path = _file_system(spark, path)
    stream = system.open(hadoop_path)
    try:
        return bytes(stream.readAllBytes()).decode()
    finally:
        stream.close()


def sha256_of(spark: SparkSession, path: str) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    jvm: Any = spark._jvm  # noqa: SLF001 - so that the bytes never pass through Python
    system, hadoop_path = _file_system(spark, path)
    stream = system.open(hadoop_path)
    try:
        return str(jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
    finally:
        stream.close()


def put_if_absent(spark: SparkSession, path: str, text: str) -> bool:
    """Write a small file unless there is one already; of two that try at once one wins.

    On a local disk it appears whole or not at all, also when this process is killed.

    Returns:
        Whether this call wrote it.
    """
    system, hadoop_path = _file_system(spark, path)
    if system.getUri().getScheme() == "file":  # Hadoop looks first there, and creates then
        return _put_if_absent_locally(Path(hadoop_path.toUri().getPath()), text)
    if system.exists(hadoop_path):
        return False
    try:
        stream = system.create(hadoop_path, False)
    except Py4JJavaError:
        if system.exists(hadoop_path):
            return False
        raise
    try:
        stream.write(text.encode())
    finally:
        stream.close()
    return True


def _put_if_absent_locally(path: Path, text: str) -> bool:
    try:
        return LocalFolder(path.parent).put_if_absent(path.name, text.encode())
    except NoHardLinksError:  # the file may be half written when the process is killed
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
        return True


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a small file, in place of what was there; where that fails, nothing is left."""
    write_bytes(spark, path, text.encode())


def write_bytes(spark: SparkSession, path: str, content: bytes) -> None:
    """Write the bytes of a small file, in place of what was there."""
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
