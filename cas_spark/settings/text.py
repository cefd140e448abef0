"""Text as a person sees it: without invisible characters at its ends, accents in one form.

Settings and files are compared after this rule, so that a code, a key or a column name matches
wherever it looks the same. `1-é` is the same key whether its accent is one character or two, and
whether or not a no-break space or a byte order mark follows it.
"""

import unicodedata

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


def as_seen(text: str) -> str:
    r"""Return the text in Unicode's composed form (NFC), without invisible characters at its ends.

    Example:
        >>> as_seen("\ufeff\u00a0Cafe\u0301 \t")
        'Café'
    """
    return unicodedata.normalize("NFC", text).strip(INVISIBLE)
