"""Texts that people and files bring: as a person sees them, and fit for a line or a file's name.

Settings and files are compared as a person sees them, so that a code, a key or a column name
matches wherever it looks the same: `1-é` is the same key whether its accent is one character or
two, and whether or not a no-break space or a byte order mark follows it.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

_RANGES = (
    (0x0000, 0x0020),  # control characters, tab, line ends, space
    (0x007F, 0x00A0),  # more control characters, no-break space
    (0x00AD, 0x00AD),  # soft hyphen
    (0x061C, 0x061C),  # direction marks
    (0x1680, 0x1680),
    (0x180E, 0x180E),
    (0x2000, 0x200F),  # spaces of several widths, of none, joiners, direction marks
    (0x2028, 0x202F),
    (0x205F, 0x2064),
    (0x2066, 0x206F),
    (0x3000, 0x3000),  # ideographic space
    (0xFEFF, 0xFEFF),  # byte order mark
    (0xFFF9, 0xFFFB),
    (0xE0001, 0xE0001),  # tags
    (0xE0020, 0xE007F),
)

INVISIBLE = "".join(chr(point) for first, last in _RANGES for point in range(first, last + 1))
"""Control and format characters and every kind of space: what is trimmed from both ends."""

_NOT_SHOWN = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode: control characters, halves of pairs, ends of lines and paragraphs."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows, so that a text reads as another."""

LONGEST_STEM = 120
"""Characters, each of one byte: endings and SQLite's journal come on top, and 255 is the most."""
_KEPT, _DIGITS = 90, 16


def as_seen(text: str) -> str:
    r"""Return the text in Unicode's composed form (NFC), without invisible characters at its ends.

    Example:
        >>> as_seen("\ufeff\u00a0Cafe\u0301 \t")
        'Café'
    """
    return unicodedata.normalize("NFC", text).strip(INVISIBLE)


def text_as_seen(values: pa.Array) -> pa.Array:
    r"""Return text as `settings.texts.as_seen` makes it, null where it is blank; other types as is.

    Example:
        >>> text_as_seen(pa.array(["\u00a0A1\ufeff", " ", None])).to_pylist()
        ['A1', None, None]
    """
    if not pa.types.is_string(values.type):
        return values
    if not pc.all(pc.string_is_ascii(values)).as_py():
        # Arrow's own normalisation to NFC (25.0) leaves letters and accents apart.
        composed = [v and unicodedata.normalize("NFC", v) for v in values.to_pylist()]
        values = pa.array(composed, pa.string())
    trimmed = pc.utf8_trim(values, characters=INVISIBLE)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def one_line(text: str, longest: int | None = None) -> str:
    """A text on one line that cannot steer a terminal; what could stands there by its number.

    Args:
        text: of any characters.
        longest: characters at most; a longer one ends in `…`.
    """
    line = "".join(_visible(character) for character in text)
    if longest is not None and len(line) > longest:
        return f"{line[: longest - 1]}…"
    return line


def lines(text: str) -> str:
    """A text of several lines that cannot steer a terminal."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def _visible(character: str) -> str:
    if character == "\t":
        return " "
    if character in _TURNING or unicodedata.category(character) in _NOT_SHOWN:
        return f"\\u{ord(character):04x}"
    return character


def file_stems(names: Iterable[str]) -> dict[str, str]:
    """Name -> the part of a file's name that stands for it, which no other name shares.

    It holds only letters, digits and `_ . - ~ %`, begins with neither `.` nor `-`, and is short
    enough for any file system. A plain name stands for itself. A long one, or one that differs from
    another only in capitals, which some file systems take for the same, ends in a checksum.
    """
    quoted = {name: _quoted(name) for name in names}
    alike = Counter(stem.casefold() for stem in quoted.values())
    return {
        name: _with_checksum(name, stem)
        if len(stem) > LONGEST_STEM or alike[stem.casefold()] > 1 or not stem
        else stem
        for name, stem in quoted.items()
    }


def _quoted(name: str) -> str:
    stem = quote(name, safe="", errors="surrogatepass")
    if stem[:1] in {".", "-"}:
        stem = f"%{ord(stem[0]):02X}{stem[1:]}"
    return stem


def _with_checksum(name: str, stem: str) -> str:
    checksum = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{stem[:_KEPT]}~{checksum}"
