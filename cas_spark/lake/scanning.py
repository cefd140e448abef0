"""Looks for keys in files: as they lie, in what they hold, and in their names.

A file of a compressed form that cannot be decoded proves nothing and is named.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow.fs
from pyspark.sql import SparkSession

from cas_spark.lake.needles import needles_in
from cas_spark.lake.unpacking import UNREADABLE, contents
from cas_spark.platform.storage import arrow_file_system


@dataclass(frozen=True)
class Scan:
    """What a scan looked at, and where it found a key or could not look.

    Attributes:
        files, bytes: looked at, as they lie.
        found: file -> how many of the keys are in it.
        unreadable: files that are compressed and cannot be decoded.
    """

    files: int = 0
    bytes: int = 0
    found: tuple[tuple[str, int], ...] = ()
    unreadable: tuple[str, ...] = ()

    def __add__(self, other: "Scan") -> "Scan":
        return Scan(
            self.files + other.files,
            self.bytes + other.bytes,
            self.found + other.found,
            self.unreadable + other.unreadable,
        )


def files_below(place: str, leaving_out: str | None = None) -> list[str]:
    """All files of a folder and its folders, or the one file; none where there is nothing.

    Args:
        place: local, or a URI that Arrow knows.
        leaving_out: a folder of it that is not looked into.
    """
    system, root = arrow_file_system(place)
    if system.get_file_info(root).type == pyarrow.fs.FileType.File:
        return [place]
    selector = pyarrow.fs.FileSelector(root, recursive=True, allow_not_found=True)
    paths = [info.path for info in system.get_file_info(selector) if info.is_file]
    scheme = place[: len(place) - len(root)] if place.endswith(root) else ""
    inside = f"{root.rstrip('/')}/{leaving_out}/"
    return sorted(
        f"{scheme}{path}" for path in paths if not leaving_out or not path.startswith(inside)
    )


def scan_in_tasks(
    spark: SparkSession, paths: Sequence[str], needles: Collection[bytes], tasks: int
) -> Scan:
    """Look for keys in files that every task can reach."""
    context = spark.sparkContext
    sought = context.broadcast(needles)
    stripes = [paths[start::tasks] for start in range(min(tasks, len(paths)))]
    found = context.parallelize(stripes, max(len(stripes), 1)).map(
        lambda stripe: scan_files(stripe, sought.value)
    )
    return sum(found.collect(), Scan())


def scan_files(paths: Iterable[str], needles: Collection[bytes]) -> Scan:
    """Look for keys in files and their names."""
    scan = Scan()
    for path in paths:
        system, place = arrow_file_system(path)
        found = set(needles_in(path.encode(), needles))
        is_readable = True
        if system.get_file_info(place).type == pyarrow.fs.FileType.NotFound:
            continue  # such as a database's journal, since the files were listed
        with system.open_input_file(place) as stream:
            size = stream.size()
            try:
                for content in contents(stream, path):
                    found.update(needles_in(content, needles))
            except UNREADABLE:
                is_readable = False
        scan += Scan(
            1, size, ((path, len(found)),) if found else (), () if is_readable else (path,)
        )
    return scan
