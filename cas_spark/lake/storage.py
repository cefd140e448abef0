"""Folders and files under the lake's root, on whatever file system Hadoop can reach."""

from typing import Any

import pyarrow.fs
from pyspark.sql import SparkSession


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


def files(spark: SparkSession, path: str) -> list[str]:
    """Paths of the files in `path` and its folders, hidden ones too; none without such a folder."""
    system, hadoop_path = _file_system(spark, path)
    found: list[str] = []
    if system.exists(hadoop_path):
        statuses = system.listFiles(hadoop_path, True)
        while statuses.hasNext():
            found.append(str(statuses.next().getPath().toString()))
    return found


def arrow_file_system(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Arrow's file system of a path, which tasks can use, and the path as Arrow writes it."""
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    return pyarrow.fs.LocalFileSystem(), path


def upload(spark: SparkSession, local: str, path: str) -> None:
    """Copy a local file or folder to `path`, replacing what was there."""
    system, hadoop_path = _file_system(spark, path)
    system.delete(hadoop_path, True)
    system.mkdirs(hadoop_path.getParent())
    _, source = _file_system(spark, f"file://{local}")
    system.copyFromLocalFile(False, True, source, hadoop_path)
