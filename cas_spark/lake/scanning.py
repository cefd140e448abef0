"""Looks for keys in bytes: in files as they lie, and in what compressed files hold.

A key is 32 hexadecimal digits. Its first 16 are looked for, since Delta's statistics cut long
values off; that many fit by chance once in 10¹⁹ places. What Parquet, zip, gzip, bzip2 and xz hold
is decoded, also one inside the other; a file that cannot be decoded proves nothing and is told.
"""

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from cas_spark.lake.storage import arrow_file_system

DIGITS = 16
CHUNK = 1 << 24
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{%d,}" % DIGITS)
_UNREADABLE = (
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a zip with a compression that Python lacks
)


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


def needles_of(keys: Iterable[str]) -> frozenset[bytes]:
    """What is looked for of each key."""
    return frozenset(key[:DIGITS].encode() for key in keys)


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
        found = set(_found([path.encode()], needles))
        is_readable = True
        if system.get_file_info(place).type == pyarrow.fs.FileType.NotFound:
            continue  # such as a database's journal, since the files were listed
        with system.open_input_file(place) as stream:
            size = stream.size()
            try:
                found.update(_found(_contents(stream), needles))
            except _UNREADABLE:
                is_readable = False
        scan += Scan(
            1, size, ((path, len(found)),) if found else (), () if is_readable else (path,)
        )
    return scan


def _found(contents: Iterable[bytes], needles: Collection[bytes]) -> Iterator[bytes]:
    for content in contents:
        for match in _HEXADECIMAL.finditer(content):
            digits = match.group().lower()
            for start in range(len(digits) - DIGITS + 1):
                if (window := digits[start : start + DIGITS]) in needles:
                    yield window


def _contents(stream: Any) -> Iterator[bytes]:
    """The bytes of a stream as they lie, then what they hold."""
    head = stream.read(CHUNK)
    begins, end = head[:6], b""
    while head:
        yield end + head
        end, head = head[-DIGITS:], stream.read(CHUNK)
    for magic, opened in _FORMS.items():
        if begins.startswith(magic):
            stream.seek(0)
            yield from opened(stream)


def _of_parquet(stream: Any) -> Iterator[bytes]:
    file = pq.ParquetFile(stream, page_checksum_verification=True)
    leaves = [file.schema.column(place) for place in range(len(file.schema))]
    # Older Spark keeps instants in 12 bytes of their own: INT96 is no text.
    texts = [leaf.path for leaf in leaves if leaf.physical_type.endswith("BYTE_ARRAY")]
    if texts:
        for batch in file.iter_batches(columns=texts):
            for column in batch.columns:
                yield from _of_array(column)


def _of_array(array: pa.Array) -> Iterator[bytes]:
    kind = array.type
    if pa.types.is_struct(kind):
        for field in array.flatten():
            yield from _of_array(field)
    elif pa.types.is_map(kind):
        yield from _of_array(array.keys)
        yield from _of_array(array.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _of_array(array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        *_, values = array.unique().buffers()
        if values is not None:
            yield values.to_pybytes()


def _of_zip(stream: Any) -> Iterator[bytes]:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            yield member.filename.encode()
            with archive.open(member) as content:
                yield from _contents(content)


def _of_gzip(stream: Any) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as content:
        yield from _contents(content)


def _of_bzip2(stream: Any) -> Iterator[bytes]:
    with bz2.BZ2File(stream) as content:
        yield from _contents(content)


def _of_xz(stream: Any) -> Iterator[bytes]:
    with lzma.LZMAFile(stream) as content:
        yield from _contents(content)


def _of_nothing_known(stream: IO[bytes]) -> Iterator[bytes]:
    raise NotImplementedError(stream)


_FORMS: dict[bytes, Callable[[Any], Iterator[bytes]]] = {
    b"PAR1": _of_parquet,
    b"PK\x03\x04": _of_zip,
    b"\x1f\x8b": _of_gzip,
    b"BZh": _of_bzip2,
    b"\xfd7zXZ": _of_xz,
    b"\x28\xb5\x2f\xfd": _of_nothing_known,  # zstd
    b"7z\xbc\xaf": _of_nothing_known,
    b"\x04\x22\x4d\x18": _of_nothing_known,  # lz4
}
"""First bytes of a file -> what decodes it."""
