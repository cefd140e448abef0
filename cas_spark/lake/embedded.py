"""Compressed texts amid other bytes, such as a value of a database or a part of a document.

zlib, gzip, bzip2 and xz are known by their first bytes, wherever these stand. Most places that look
so are chance, so what cannot be decoded from there on is passed over.
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import Protocol

from cas_spark.lake.needles import REACH

STEP = 1 << 12
"""Bytes that are decoded at once: chance places fail in the first, and few bytes may unpack to
very many."""


class _Decoder(Protocol):
    """What zlib, bz2 and lzma have alike."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _zlib_or_gzip() -> _Decoder:
    return zlib.decompressobj(32 + zlib.MAX_WBITS)


_DECODERS: dict[re.Pattern[bytes], Callable[[], _Decoder]] = {
    re.compile(rb"BZh[1-9]1AY&SY"): bz2.BZ2Decompressor,
    re.compile(rb"\xfd7zXZ\0"): lzma.LZMADecompressor,
    re.compile(rb"\x1f\x8b\x08"): _zlib_or_gzip,
}
"""First bytes of a text -> what decodes it. One pattern each, since one of all is slower by far."""

for _method in range(0x08, 0x80, 0x10):
    _flags = [f for f in range(256) if (_method << 8 | f) % 31 == 0 and not f & 0x20]
    _pattern = re.escape(bytes([_method])) + b"[" + re.escape(bytes(_flags)) + b"]"
    _DECODERS[re.compile(_pattern)] = _zlib_or_gzip  # 0x20 would need a dictionary

_LONGEST = 10
"""Bytes that the beginning of a text has at most."""


@dataclass
class _Text:
    """A text that is being decoded, and the end of what was decoded so far."""

    decoder: _Decoder
    end: bytes = b""


class Embedded:
    """Finds the compressed texts in a stream, which is given piece by piece."""

    def __init__(self) -> None:
        self._before, self._begun = b"", list[_Text]()

    def found_in(self, piece: bytes, start: int = 0) -> Iterator[bytes]:
        """What the texts hold that begin or go on in a piece; overlapping by REACH.

        Args:
            piece: the next one.
            start: place in it before which no text begins.
        """
        begun, self._begun = self._begun, []
        for text in begun:
            yield from self._decoded(text, piece)
        whole = self._before + piece  # a beginning may lie on the border
        self._before = whole[1 - _LONGEST :]
        places = merge(*(_places(pattern, whole) for pattern in _DECODERS), key=itemgetter(0))
        for place, pattern in places:
            if place >= start:
                text = _Text(_DECODERS[pattern]())
                used = yield from self._decoded(text, memoryview(whole)[place:])
                start = place + used

    def _decoded(self, text: _Text, packed: bytes | memoryview) -> Generator[bytes, None, int]:
        """Decode on; the number of bytes up to the text's end, 0 where it does not end there."""
        for place in range(0, len(packed), STEP):
            try:
                found = text.decoder.decompress(bytes(packed[place : place + STEP]))
            except (zlib.error, lzma.LZMAError, OSError, EOFError):
                return 0
            if found:
                yield text.end + found
                text.end = (text.end + found)[-REACH:]
            if text.decoder.eof:
                return min(place + STEP, len(packed)) - len(text.decoder.unused_data)
        self._begun.append(text)
        return 0


def _places(pattern: re.Pattern[bytes], piece: bytes) -> Iterator[tuple[int, re.Pattern[bytes]]]:
    for match in pattern.finditer(piece):
        yield match.start(), pattern
