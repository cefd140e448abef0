"""Guesses how moments are written, as Spark's patterns, from the values of a column.

A pattern is proposed only if it reads the values. Where two read them all with day and month
swapped, both are returned, since no value shows which one is meant.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import product

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""Years beyond which a number is hardly a year."""
MOST = 0.95
"""Share of the values that the patterns must read together."""
MOST_PATTERNS = 3

_DATES = (
    "yyyy-MM-dd",
    "yyyy-M-d",
    "yyyy/M/d",
    "yyyy.M.d",
    "yyyyMMdd",
    "d.M.yyyy",
    "d-M-yyyy",
    "d/M/yyyy",
    "M/d/yyyy",
    "M-d-yyyy",
    "d-MMM-yyyy",
    "d MMM yyyy",
    "MMM d, yyyy",
)
_MONTHS_ONLY = ("yyyy-MM", "yyyy/MM", "MM/yyyy", "MM-yyyy")
_GAPS = (" ", "'T'")
_TIMES = (
    "H:mm",
    "H:mm:ss",
    "H:mm:ss.SSS",
    "H:mm:ss.SSSSSS",
    "HHmm",
    "H.mm",
    "h:mm a",
    "h:mm:ss a",
    "h:mma",
)
_ZONES = ("", "XXX", "XX")
PATTERNS = (
    *_DATES,
    *(f"{day}{gap}{time}{zone}" for day, gap, time, zone in product(_DATES, _GAPS, _TIMES, _ZONES)),
    *_MONTHS_ONLY,
)
"""Every pattern that is tried; of those that read the same values, the first is proposed."""
TIMES = ("H:mm:ss", "H:mm", "h:mm:ss a", "h:mm a", "clock_number")
"""How times of the day stand in a column of their own."""

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PIECES = {
    "yyyy": r"(?P<year>\d{4})",
    "MMM": rf"(?P<month_name>(?i:{'|'.join(_MONTH_NAMES)}))",
    "MM": r"(?P<month>\d{2})",
    "M": r"(?P<month>\d{1,2})",
    "dd": r"(?P<day>\d{2})",
    "d": r"(?P<day>\d{1,2})",
    "HH": r"(?P<hour>\d{2})",
    "H": r"(?P<hour>\d{1,2})",
    "h": r"(?P<hour_of_half>\d{1,2})",
    "mm": r"(?P<minute>\d{2})",
    "ss": r"(?P<second>\d{2})",
    "SSSSSS": r"(?P<fraction>\d{6})",
    "SSS": r"(?P<fraction>\d{3})",
    "a": r"(?P<half>[AaPp][Mm])",
    "XXX": r"(?P<zone>Z|[+-]\d{2}:\d{2})",
    "XX": r"(?P<zone>Z|[+-]\d{4})",
}
_TOKEN = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>([A-Za-z])\3*)|(?P<sign>.)")
_DAY_FIRST = re.compile(r"d(?P<sign>[/-])M\1yyyy")


@dataclass(frozen=True)
class Guess:
    """How the moments of a column seem to be written.

    Attributes:
        patterns: read most of the values together, the one that reads most first.
        others: read all that `patterns` do, with day and month swapped.
    """

    patterns: tuple[str, ...]
    others: tuple[str, ...] = ()


def guess_patterns(values: Sequence[str]) -> Guess | None:
    """Return the patterns that read most of some values; None where no usual ones do.

    Example:
        >>> guess_patterns(["3/4/2024", "3/14/2024"])
        Guess(patterns=('M/d/yyyy',), others=())
        >>> guess_patterns(["3/4/2024", "5/6/2024"])
        Guess(patterns=('d/M/yyyy',), others=('M/d/yyyy',))
    """
    distinct = list(dict.fromkeys(values))
    if not distinct:
        return None
    left, chosen = set(distinct), list[str]()
    while left and len(chosen) < MOST_PATTERNS:
        read = {pattern: _those_read(pattern, left) for pattern in PATTERNS}
        other_order = {_swapped(pattern) for pattern in chosen}
        best = max(
            (pattern for pattern in PATTERNS if pattern not in other_order),
            key=lambda pattern: len(read[pattern]),
        )
        if not read[best]:
            break
        chosen.append(best)
        left -= read[best]
    if not chosen or len(left) > (1 - MOST) * len(distinct):
        return None
    swapped = [_swapped(pattern) for pattern in chosen]
    is_either = all(
        other is None or _those_read(other, distinct) >= _those_read(pattern, distinct)
        for pattern, other in zip(chosen, swapped, strict=True)
    )
    others = tuple(other for other in swapped if other is not None)
    return Guess(tuple(chosen), others if is_either else ())


def guess_time_pattern(values: Sequence[str]) -> str | None:
    """Return how the times of the day in a column are written; None where they are none.

    `clock_number` stands for numbers such as 1330 and 5.
    """
    distinct = list(dict.fromkeys(values))
    if not distinct:
        return None
    for pattern in TIMES:
        if pattern == "clock_number":
            fits = [text for text in distinct if _is_clock_number(text)]
        else:
            fits = [text for text in distinct if read_as(f"2000-01-01 {text}", _on_a_day(pattern))]
        if len(fits) >= MOST * len(distinct):
            return pattern
    return None


def read_as(text: str, pattern: str) -> datetime | None:
    """Return the moment that a text is under a pattern of `PATTERNS`; None where it does not fit.

    A month is its first day.
    """
    found = _regex_of(pattern).fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    year = int(part["year"])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    if part.get("month_name"):
        month = _MONTH_NAMES.index(part["month_name"].lower()) + 1
    else:
        month = int(part["month"])
    try:
        return datetime(
            year,
            month,
            int(part.get("day") or 1),
            _hour_of(part),
            int(part.get("minute") or 0),
            int(part.get("second") or 0),
            int((part.get("fraction") or "0").ljust(6, "0")),
            _zone_of(part.get("zone")),
        )
    except ValueError:
        return None


def has_time(pattern: str) -> bool:
    """Return whether a pattern has the time of the day."""
    return "mm" in pattern


def has_day(pattern: str) -> bool:
    """Return whether a pattern has the day of the month."""
    return "d" in pattern


def _on_a_day(time_pattern: str) -> str:
    return f"yyyy-MM-dd {time_pattern}"


def _is_clock_number(text: str) -> bool:
    """Whether a text is a time such as 1330 or 5, hours and minutes in one number."""
    if not re.fullmatch(r"\d{1,4}", text):
        return False
    hour, minute = divmod(int(text), 100)
    return hour <= 24 and minute < 60  # noqa: PLR2004  # hours of a day, minutes of an hour


def _those_read(pattern: str, values: Sequence[str] | set[str]) -> set[str]:
    return {text for text in values if read_as(text, pattern) is not None}


def _swapped(pattern: str) -> str | None:
    """The same pattern with the month before the day; None where it is not written so."""
    if not _DAY_FIRST.match(pattern):
        if re.match(r"M(?P<sign>[/-])d\1yyyy", pattern):
            return f"d{pattern[1]}M{pattern[3:]}"
        return None
    return f"M{pattern[1]}d{pattern[3:]}"


def _hour_of(part: dict[str, str | None]) -> int:
    of_half, half = part.get("hour_of_half"), part.get("half")
    if of_half is None or half is None:
        return int(part.get("hour") or 0)
    hour = int(of_half)
    if not 1 <= hour <= 12:  # noqa: PLR2004  # a clock of twelve hours
        raise ValueError(of_half)
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _zone_of(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


@cache
def _regex_of(pattern: str) -> re.Pattern[str]:
    pieces = []
    for token in _TOKEN.finditer(pattern):
        if token["quoted"] is not None:
            pieces.append(re.escape(token["quoted"]))
        elif token["letters"] is not None:
            pieces.append(_PIECES[token["letters"]])
        else:
            pieces.append(re.escape(token["sign"]))
    return re.compile("".join(pieces))
