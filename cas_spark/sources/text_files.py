"""From the bytes of a text file to its lines: compression, encoding, line ends.

Spark's CSV reader replaces bytes that do not fit the encoding and knows few encodings, so the
program decodes files itself.
"""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any, cast

from cas_spark.errors import CasError

Open = Callable[[], IO[bytes]]
"""Opens a file at its first byte."""

LONGEST_LINE = 1_000_000
"""Characters of a line, and of a record of several lines, beyond which a quote must be open."""

_BLOCK = 1 << 20
_GZIP, _BZIP2, _ZIP, _OLE = b"\x1f\x8b", b"BZh", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
ENDS_EARLY = "the file ends before its last stream does"
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, OSError, zipfile.BadZipFile)
"""What Python raises for a compressed file that is cut off or damaged."""


class TooLong:
    """Stands for a line of more than LONGEST_LINE characters, whose text is not kept."""


Line = str | TooLong


class _Bzip2(io.RawIOBase):
    """Unpacks all streams of a bzip2 file; Python's own reader takes a damaged one for the end."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._stream = bz2.BZ2Decompressor()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer)
        while True:
            packed = b""
            if self._stream.eof:
                packed = self._stream.unused_data or self._packed.read(_BLOCK)
                if not packed:
                    return 0
                self._stream = bz2.BZ2Decompressor()
            elif self._stream.needs_input and not (packed := self._packed.read(_BLOCK)):
                raise EOFError(ENDS_EARLY)
            if unpacked := self._stream.decompress(packed, len(room)):
                room[: len(unpacked)] = unpacked
                return len(unpacked)


@contextmanager
def decompressed(open_file: Open, what: str) -> Iterator[IO[bytes]]:
    """Open a file; what gzip, bzip2 or zip (of one file) has packed is unpacked while it is read.

    The first bytes decide, not the name.

    Args:
        open_file: opens it.
        what: the file, for messages.

    Raises:
        CasError: it is a workbook of a spreadsheet program, or holds several files; later, while
            it is read, that it is cut off or damaged.
    """
    with ExitStack() as stack:
        raw = stack.enter_context(open_file())
        first = raw.read(4)
        raw.seek(0)
        if first.startswith(_OLE):
            raise _workbook(what)
        with _refusing_broken(what):
            if first.startswith(_GZIP):
                yield cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw)))
            elif first.startswith(_BZIP2):
                yield stack.enter_context(io.BufferedReader(_Bzip2(raw), _BLOCK))
            elif first.startswith(_ZIP):
                yield _only_member(raw, stack, what)
            else:
                yield raw


@contextmanager
def lines_of(open_file: Open, encoding: str, what: str) -> Iterator[Iterator[Line]]:
    r"""Open a text file as its physical lines, without their ends.

    `\n`, `\r\n` and `\r` end a line. A byte order mark at the beginning is no part of the first.

    Args:
        open_file: opens it.
        encoding: as Python names it.
        what: the file, for messages.

    Raises:
        CasError: as `decompressed`; or a byte does not fit the encoding: says where; or a byte
            order mark says that the file is in another.
    """
    try:
        with decompressed(open_file, what) as stream:
            yield _lines(stream, encoding, what)
    except UnicodeError as error:
        raise _misfit(open_file, encoding, what) from error


def _lines(stream: IO[bytes], encoding: str, what: str) -> Iterator[Line]:
    text = io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline=None)
    line = text.readline(LONGEST_LINE)
    mark = codecs.BOM_UTF8.decode(encoding, "ignore")
    if len(mark) == len(codecs.BOM_UTF8) and line.startswith(mark):  # each byte as a character
        raise CasError(
            what=what,
            found="a byte order mark of UTF-8 at its beginning",
            expected=f"text in {encoding}, the encoding of the settings",
            do="Set `encoding: utf-8` of the source, or leave it out; nothing was written",
        )
    if line.startswith("\ufeff"):
        line = line[1:] + ("" if line.endswith("\n") else text.readline(1))
    while line:
        if line.endswith("\n"):
            yield line[:-1]
        elif len(line) < LONGEST_LINE:
            yield line  # the last one may lack its end
        else:
            while line and not line.endswith("\n"):
                line = text.readline(LONGEST_LINE)
            yield TooLong()
        line = text.readline(LONGEST_LINE)
    text.detach()


def _only_member(raw: IO[bytes], stack: ExitStack, what: str) -> IO[bytes]:
    """The only file of a zip archive, open as long as `stack` is."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
        return stack.enter_context(archive.open(_name_in(archive, what)))
    # A password, an unknown version or compression; a name or a place that cannot be.
    except (RuntimeError, ValueError) as error:
        raise _broken(what, error) from error


def _name_in(archive: zipfile.ZipFile, what: str) -> str:
    """The name of the only file of a zip archive."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if "[Content_Types].xml" in names:
        raise _workbook(what)
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise CasError(
            what=what,
            found=f"a zip archive of {len(names)} files ({', '.join(names[:5])})",
            expected="an archive of one file",
            do="Unpack it, and name its files in the settings",
        )
    return names[0]


@contextmanager
def _refusing_broken(what: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:  # the storage's, not the file's
            raise
        raise _broken(what, error) from error


def _broken(what: str, error: Exception) -> CasError:
    return CasError(
        what=what,
        found=f"a broken compressed file ({str(error) or type(error).__name__})",
        expected="a whole gzip, bzip2 or zip file without a password",
        do="Have it delivered again; nothing of it was used",
    )


def _workbook(what: str) -> CasError:
    return CasError(
        what=what,
        found="a workbook of a spreadsheet program (Excel)",
        expected="CSV, Parquet or a file of places",
        do="Save the sheet as CSV (in Excel: Save as, CSV UTF-8), check that dates and leading "
        "zeros are as they were, and name that file",
    )


def _misfit(open_file: Open, encoding: str, what: str) -> CasError:
    """The error for the first byte that does not fit, found by reading the file once more."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    read, line = 0, 1
    where, found = "", f"bytes that are not {encoding}"
    with decompressed(open_file, what) as stream:
        is_last = False
        while not is_last:
            block = stream.read(_BLOCK)
            is_last = not block
            read += len(block)
            try:
                line += decoder.decode(block, final=is_last).count("\n")
            except UnicodeDecodeError as error:
                at = read - len(error.object) + error.start
                before = error.object[: error.start].decode(encoding, "ignore")
                line += before.replace("\r\n", "\n").replace("\r", "\n").count("\n")
                where = f"line {line}, byte {at:,}"
                found = f"0x{error.object[error.start]:02X} in {where}, which is not {encoding}"
                break
            except UnicodeError as error:  # such as UTF-16 without its mark
                found = f"{error} ({encoding})"
                break
    return CasError(
        what=what,
        found=found,
        expected=f"text in {encoding}, the encoding of the settings (utf-8 unless they name one)",
        do="Set `encoding` of the source to the file's own, such as windows-1252, latin-1 or "
        "utf-16; nothing was written",
    )
