"""Looks for keys in bytes, in whatever way these write text.

A key is 32 hexadecimal digits. Its first 16 are looked for, since Delta's statistics cut long
values off; that many fit by chance once in 10¹⁹ places. They are found as UTF-8, UTF-16 and UTF-32
in either order of bytes, in either case, with dashes as a UUID has them, escaped as JSON, Python
and URLs do, as base64 wherever that begins, and as the hexadecimal digits of the text. Each byte is
looked at a fixed number of times.
"""

import binascii
import re
from collections.abc import Collection, Iterable, Iterator

DIGITS = 16
REACH = 512
"""Bytes within which a key's first digits lie, however they are written."""

_RUN = re.compile(rb"[0-9a-fA-F-]{%d,}" % DIGITS)
_WIDE = re.compile(rb"(?:[0-9a-fA-F-](?:\0{3}|\0)){%d,}[0-9a-fA-F-]" % (DIGITS - 1))
_ESCAPE = re.compile(rb"(?:\\(?:u\{?0*|U0{6}|x)|%|&#x0*)([2-7][0-9a-fA-F])[};]?")
_BACKSLASHES = re.compile(rb"\\{2,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\r\n-]{21,}")
_IN_RUN = bytes.maketrans(
    bytes(range(256)),
    bytes(
        ord("h") if chr(byte) in "0123456789abcdefABCDEF-" else 0 if byte == 0 else ord("x")
        for byte in range(256)
    ),
)
"""Marks each byte that may be part of a key: to look for many of them in a row is far
quicker than a regular expression is."""

_IN_BASE64 = bytes.maketrans(
    bytes(range(256)),
    bytes(
        ord("b" if re.fullmatch(rb"[A-Za-z0-9+/_\r\n-]", bytes([i])) else "x") for i in range(256)
    ),
)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def needles_of(keys: Iterable[str]) -> frozenset[bytes]:
    """What is looked for of each key."""
    return frozenset(key[:DIGITS].encode() for key in keys)


def needles_in(content: bytes, needles: Collection[bytes]) -> Iterator[bytes]:
    """Those of the needles that the content holds, each once or more often."""
    yield from _as_text(content, needles)
    if _ESCAPE.search(content):
        once = _BACKSLASHES.sub(rb"\\", content)  # JSON inside JSON doubles them
        yield from _as_text(_ESCAPE.sub(_unescaped, once), needles)
    is_there = b"b" * (DIGITS * 4 // 3) in content.translate(_IN_BASE64)
    for match in _BASE64.finditer(content) if is_there else ():
        run = match.group().translate(_URL_SAFE, b"\r\n")
        for start in range(4):
            whole = run[start : len(run) - (len(run) - start) % 4]
            yield from _as_text(binascii.a2b_base64(whole), needles)


def _as_text(content: bytes, needles: Collection[bytes]) -> Iterator[bytes]:
    classes = content.translate(_IN_RUN)
    for match in _RUN.finditer(content) if b"h" * DIGITS in classes else ():
        digits = match.group().replace(b"-", b"").lower()
        yield from _windows(digits, needles)
        for start in range(2 if len(digits) >= 2 * DIGITS else 0):
            whole = digits[start : len(digits) - (len(digits) - start) % 2]
            text = binascii.unhexlify(whole).replace(b"\0", b"")
            for inner in _RUN.finditer(text):
                yield from _windows(inner.group().replace(b"-", b"").lower(), needles)
    is_wide = any((b"h" + nuls) * (DIGITS - 1) in classes for nuls in (b"\0", b"\0\0\0"))
    for match in _WIDE.finditer(content) if is_wide else ():
        digits = match.group().replace(b"\0", b"").replace(b"-", b"").lower()
        yield from _windows(digits, needles)


def _windows(digits: bytes, needles: Collection[bytes]) -> Iterator[bytes]:
    for start in range(len(digits) - DIGITS + 1):
        if (window := digits[start : start + DIGITS]) in needles:
            yield window


def _unescaped(match: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(match[1])
