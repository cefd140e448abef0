"""What compressed and columnar files hold, piece by piece, also one inside the other.

A file whose form is known and which cannot be decoded raises an error of UNREADABLE: what is not
seen proves nothing. Memory is bounded by CHUNK and by what a format itself keeps together: a row
group's page of Parquet, a stripe of ORC, a batch of Arrow.
"""

import bz2
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq

from cas_spark.lake.embedded import Embedded
from cas_spark.lake.needles import REACH

CHUNK = 1 << 24
DEEPEST = 8
"""Forms inside one another; deeper ones are made to fool programs like this."""

LARGEST_RATIO = 64
"""Snappy never makes a text that many times as small."""

OPAQUE = (".snappy", ".sz", ".br", ".deflate", ".zz", ".lzo", ".aes", ".gpg")
"""Endings of names of files whose first bytes need not show their form."""

HEADER = 4
"""Bytes in front of each piece of a snappy stream."""

UNREADABLE = (
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,  # an encrypted zip
    NotImplementedError,  # a form for which there is no reader here
    UnicodeDecodeError,
)

Pieces = Iterator[bytes]


def contents(stream: Any, name: str = "", depth: int = 0) -> Pieces:
    """The bytes of a stream as they lie and compressed texts amid them, then what it holds.

    Args:
        stream: that can be read again from its start.
        name: of the file, whose ending may show a form.
        depth: forms around it.

    Raises:
        an error of UNREADABLE: it has a form that cannot be decoded.
    """
    if depth > DEEPEST:
        raise NotImplementedError(depth)
    head = stream.read(CHUNK)
    begins, end = head[:16], b""
    # What the whole stream is packed in is unpacked below.
    embedded, start = Embedded(), int(begins.startswith(tuple(_STREAMED)))
    while head:
        yield end + head
        yield from embedded.found_in(head, start)
        end, head, start = head[-REACH:], stream.read(CHUNK), 0
    stream.seek(0)
    for magic, unpacked in _STREAMED.items():
        if begins.startswith(magic):
            yield from contents(_Unpacked(stream, unpacked), depth=depth + 1)
            return
    for magic, opened in _RANDOM.items():
        if begins.startswith(magic):
            with _random_access(stream, depth) as file:
                yield from opened(file, depth)
            return
    is_unpacked = yield from _without_magic(stream, begins, depth)
    if not is_unpacked and name.endswith(OPAQUE):
        raise NotImplementedError(name)


class _Unpacked(io.RawIOBase):
    """What a stream holds, as a stream that can be read again from its start."""

    def __init__(self, packed: Any, unpacked: Callable[[Any], Pieces]) -> None:
        self._packed, self._unpack = packed, unpacked
        self._pieces, self._rest = unpacked(packed), b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts, wanted = [], size if size >= 0 else CHUNK
        while wanted > 0:
            if not self._rest:
                self._rest = next((piece for piece in self._pieces if piece), b"")
                if not self._rest:
                    break
            parts.append(self._rest[:wanted])
            self._rest = self._rest[wanted:]
            wanted -= len(parts[-1])
        return b"".join(parts)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        if place or whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        self._packed.seek(0)
        self._pieces, self._rest = self._unpack(self._packed), b""
        return 0


def _random_access(stream: Any, depth: int) -> Any:
    """A stream in which a reader may jump; what is unpacked goes to a file first if it is large."""
    if depth == 0:
        return stream
    spooled = tempfile.SpooledTemporaryFile(max_size=CHUNK)  # noqa: SIM115  # the caller closes it
    shutil.copyfileobj(stream, spooled, CHUNK)
    spooled.seek(0)
    return spooled


def _read_through(opened: Callable[[Any], IO[bytes]]) -> Callable[[Any], Pieces]:
    def pieces(stream: Any) -> Pieces:
        with opened(stream) as file:
            while piece := file.read(CHUNK):
                yield piece

    return pieces


class _Kept(io.RawIOBase):
    """A stream that stays open when its reader is done."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return bytes(self._stream.read(size))


def _arrow_codec(name: str) -> Callable[[Any], Pieces]:
    def pieces(stream: Any) -> Pieces:
        file = pa.CompressedInputStream(pa.PythonFile(_Kept(stream), mode="r"), name)
        while piece := file.read(CHUNK):
            yield piece

    return pieces


def _snappy_frames(stream: Any) -> Pieces:
    """https://github.com/google/snappy/blob/main/framing_format.txt."""
    compressed, plain, skipped = 0x00, 0x01, 0x80
    codec = pa.Codec("snappy")
    while head := stream.read(HEADER):
        kind, size = head[0], int.from_bytes(head[1:4], "little")
        body = stream.read(size)
        if len(head) < HEADER or len(body) < size:
            raise EOFError
        if kind == compressed:
            yield codec.decompress(body[4:], _snappy_size(body[4:]), asbytes=True)
        elif kind == plain:
            yield body[4:]
        elif kind < skipped:
            raise NotImplementedError(kind)


def _snappy_size(body: bytes) -> int:
    """How long a text is, as its snappy form says in front.

    Raises:
        EOFError: it says no size that may be.
    """
    size = 0
    for place, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            if 0 < size <= LARGEST_RATIO * len(body):
                return size
            break
    raise EOFError


def _inflated(bits: int) -> Callable[[Any], Pieces]:
    def pieces(stream: Any) -> Pieces:
        inflater = zlib.decompressobj(bits)
        while not inflater.eof:
            packed = inflater.unconsumed_tail or stream.read(CHUNK)
            piece = inflater.decompress(packed, CHUNK)
            if not (packed or piece or inflater.eof):
                raise EOFError
            yield piece

    return pieces


def _without_magic(stream: Any, begins: bytes, depth: int) -> Generator[bytes, None, bool]:
    """What a stream holds whose form its first bytes do not show for certain.

    Returns:
        Whether it holds anything.
    """
    is_zlib = begins[:1] == b"\x78" and int.from_bytes(begins[:2]) % 31 == 0
    if is_zlib and not begins.isascii() and _first(_inflated(zlib.MAX_WBITS), stream):
        yield from contents(_Unpacked(stream, _inflated(zlib.MAX_WBITS)), depth=depth + 1)
        return True
    if _first(_inflated(-zlib.MAX_WBITS), stream):  # raw deflate, or what looks like it for a while
        try:
            yield from contents(_Unpacked(stream, _inflated(-zlib.MAX_WBITS)), depth=depth + 1)
        except UNREADABLE:
            stream.seek(0)
        else:
            return True
    whole = stream.read(CHUNK + 1)
    stream.seek(0)
    try:
        size = _snappy_size(whole)
        text = pa.Codec("snappy").decompress(whole, size, asbytes=True)
    except UNREADABLE:
        return False
    yield from contents(io.BytesIO(text), depth=depth + 1)
    return True


def _first(unpacked: Callable[[Any], Pieces], stream: Any) -> bytes:
    try:
        return next((piece for piece in unpacked(stream) if piece), b"")
    except UNREADABLE:
        return b""
    finally:
        stream.seek(0)


def _of_parquet(stream: Any, _depth: int) -> Pieces:
    file = pq.ParquetFile(stream, page_checksum_verification=True)
    leaves = [file.schema.column(place) for place in range(len(file.schema))]
    # Older Spark keeps instants in 12 bytes of their own: INT96 is no text.
    texts = [leaf.path for leaf in leaves if leaf.physical_type.endswith("BYTE_ARRAY")]
    if texts:
        for batch in file.iter_batches(columns=texts):
            for column in batch.columns:
                yield from _of_array(column)


def _of_orc(stream: Any, _depth: int) -> Pieces:
    file = pyarrow.orc.ORCFile(stream)
    for stripe in range(file.nstripes):
        for column in file.read_stripe(stripe).columns:
            yield from _of_array(column)


def _of_arrow(stream: Any, _depth: int) -> Pieces:
    with pa.ipc.open_file(stream) as file:
        for number in range(file.num_record_batches):
            for column in file.get_batch(number).columns:
                yield from _of_array(column)


def _of_array(array: pa.Array) -> Pieces:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _of_array(array.storage)
    elif pa.types.is_dictionary(kind):
        yield from _of_array(array.dictionary)
    elif pa.types.is_struct(kind):
        for field in array.flatten():
            yield from _of_array(field)
    elif pa.types.is_map(kind):
        yield from _of_array(array.keys)
        yield from _of_array(array.items)
    elif pa.types.is_nested(kind):
        yield from _of_array(array.flatten())
    elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        yield from _of_array(array.cast(pa.large_binary()))
    elif _is_text(kind):
        *_, values = array.unique().buffers()
        if values is not None:
            text = values.to_pybytes()
            yield text
            yield from Embedded().found_in(text)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _of_zip(stream: Any, depth: int) -> Pieces:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            yield member.filename.encode()
            with archive.open(member) as content:
                yield from contents(content, member.filename, depth + 1)


def _of_nothing_known(stream: Any) -> Pieces:
    raise NotImplementedError(stream)


_STREAMED: dict[bytes, Callable[[Any], Pieces]] = {
    b"\x1f\x8b": _read_through(lambda stream: gzip.GzipFile(fileobj=stream)),  # type: ignore[arg-type, return-value]
    b"BZh": _read_through(bz2.BZ2File),
    b"\xfd7zXZ": _read_through(lzma.LZMAFile),
    b"\x5d\x00\x00": _read_through(lzma.LZMAFile),
    b"\x28\xb5\x2f\xfd": _arrow_codec("zstd"),
    b"\x04\x22\x4d\x18": _arrow_codec("lz4"),
    b"\xff\x06\x00\x00sNaPpY": _snappy_frames,
    **dict.fromkeys(
        (
            b"PARE",  # encrypted Parquet
            b"7z\xbc\xaf\x27\x1c",
            b"Rar!\x1a\x07",
            b"Obj\x01",  # Avro
            b"\x1f\x9d",  # compress
            b"\x89LZO",
            b"LZIP",
            b"\x89HDF\r\n",
        ),
        _of_nothing_known,
    ),
}
"""First bytes of a form that is read from its start to its end -> what unpacks it."""

_RANDOM: dict[bytes, Callable[[Any, int], Pieces]] = {
    b"PAR1": _of_parquet,
    b"PK\x03\x04": _of_zip,
    b"ORC": _of_orc,
    b"ARROW1": _of_arrow,
}
"""First bytes of a form in which its reader jumps -> what unpacks it."""
