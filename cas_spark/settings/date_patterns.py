"""Date patterns: what Spark's pattern letters say, and which patterns cannot mean what they say.

Checked when settings load, since a pattern such as `yyyy-mm-dd` reads every row without an error
and puts it in the wrong month. The letters are those of Spark's documentation,
https://spark.apache.org/docs/4.0.0/sql-ref-datetime-pattern.html; a test holds them to Spark.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

EPOCH_SECONDS = "epoch_seconds"
EPOCH_MILLISECONDS = "epoch_milliseconds"
EPOCHS = (EPOCH_SECONDS, EPOCH_MILLISECONDS)
"""In place of a pattern: the number of seconds or milliseconds since 1970 in UTC."""

CLOCK_NUMBER = "clock_number"
"""In place of a pattern of a time: a number such as 1330 for 13:30, 5 for 00:05, or 2400."""

Unit = Literal["hour", "day", "month"]
UNITS: tuple[Unit, ...] = ("hour", "day", "month")
"""The units in which a moment may be given, from the finest to the coarsest."""

_GROUPS = {
    "year": "y",
    "month": "ML",
    "day": "dD",
    "hour": "HhK",
    "half of the day": "a",
    "minute": "m",
    "second": "s",
    "fraction of a second": "S",
    "era": "G",
    "zone or offset": "VzOXxZ",
}
_FIELD_OF = {letter: name for name, letters in _GROUPS.items() for letter in letters}
_OFFSET_LETTERS = frozenset(_GROUPS["zone or offset"])
_MAY_BE_OPTIONAL = {"second", "fraction of a second"}

_LENGTHS: dict[str, range | tuple[int, ...]] = {
    "y": range(1, 7),
    "M": range(1, 5),
    "L": range(1, 5),
    "d": range(1, 3),
    "D": (3,),
    **dict.fromkeys("HhKms", range(1, 3)),
    "a": (1,),
    "S": range(1, 10),
    "G": range(1, 5),
    "V": (2,),
    "z": range(1, 5),
    "O": (1, 4),
    **dict.fromkeys("XxZ", range(1, 6)),
}
_NOT_READ = {
    "Y": "Y is the year of the week, which differs around New Year; y is the year",
    "u": "Spark does not know u; y is the year",
    "k": "k counts the hours from 1 to 24 and takes 24:00 for the day's start; H counts from 0 to "
    "23, and with it 24:00 is the end of the day",
    **dict.fromkeys("wWec", "Spark reads no weeks"),
    **dict.fromkeys("EFqQ", "Spark writes this letter but does not read it"),
    **dict.fromkeys("ABnNp", "Spark does not know this letter"),
}
_LOOKS_LIKE_A_FIELD = re.compile(r"(?<![A-Za-z])(y{2,4}|M{2,4}|dd|HH|hh|mm|ss)(?![A-Za-z])")
_HINTS = {
    "month": ("m", "mm is minutes, MM is months"),
    "day": ("D", "D is the day of the year, d the day of the month"),
    "hour": ("k", _NOT_READ["k"]),
}


@dataclass(frozen=True)
class _Run:
    """A run of one letter in a pattern, and whether it stands in an optional section."""

    letter: str
    length: int
    is_optional: bool


@dataclass(frozen=True)
class Pattern:
    """A pattern of Spark's, taken apart.

    Attributes:
        text: as the settings have it.
        runs: its fields, in order.
        literals: its quoted texts.
        faults: what is wrong with its quotes and brackets.
    """

    text: str
    runs: tuple[_Run, ...]
    literals: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it reads."""
        return {_FIELD_OF[run.letter] for run in self.runs if run.letter in _FIELD_OF}

    @property
    def has_offset(self) -> bool:
        """Whether it reads an instant, not a local time."""
        return any(run.letter in _OFFSET_LETTERS for run in self.runs)

    @property
    def has_two_digit_year(self) -> bool:
        """Whether it reads years of two digits."""
        return any(run.letter == "y" and run.length == 2 for run in self.runs)  # noqa: PLR2004

    @property
    def is_twelve_hour(self) -> bool:
        """Whether it reads a marker such as AM or PM."""
        return "half of the day" in self.fields

    @property
    def unit(self) -> Unit | None:
        """The unit in which a moment is given: an hour, a day or a month; None for less."""
        if "minute" in self.fields:
            return None
        if "hour" in self.fields:
            return "hour"
        return "day" if "day" in self.fields else "month"


def pattern_of(text: str) -> Pattern:
    """A pattern taken apart; letters that Spark does not know are runs too."""
    runs, literals, faults = [], [], []
    place, depth = 0, 0
    while place < len(text):
        char = text[place]
        if char == "'":
            literal, end = _literal(text, place)
            if end is None:
                faults.append("a quote is left open")
                break
            literals.append(literal)
            place = end
        elif char.isascii() and char.isalpha():
            length = len(text) - place - len(text[place:].lstrip(char))
            runs.append(_Run(char, length, depth > 0))
            place += length
        else:
            depth += {"[": 1, "]": -1}.get(char, 0)
            if char in "#{}" or depth < 0:
                faults.append(f"{char} stands for nothing: put text between quotes")
                depth = max(depth, 0)
            place += 1
    if depth > 0:
        faults.append("a bracket is left open")
    return Pattern(text, tuple(runs), tuple(literals), tuple(faults))


def _literal(text: str, start: int) -> tuple[str, int | None]:
    """The quoted text from a quote on, and the place after it; None where it never ends."""
    place, found = start + 1, ""
    while place < len(text):
        if text[place] != "'":
            found += text[place]
            place += 1
        elif text[place + 1 : place + 2] == "'" and place > start + 1:
            found += "'"
            place += 2
        else:
            return found, place + 1
    return found, None


def problems_of_moments(formats: Sequence[str], *, knows_century: bool) -> list[str]:
    """What is wrong with the patterns of moments or dates.

    A pattern may stop at the month, the day or the hour: see `Pattern.unit`.

    Args:
        formats: patterns, or names of EPOCHS.
        knows_century: whether the settings say what years of two digits mean.
    """
    problems = []
    for text in formats:
        if text in EPOCHS:
            continue
        pattern = pattern_of(text)
        missing = [name for name in ("year", "month") if name not in pattern.fields]
        if pattern.fields >= {"hour"} and "day" not in pattern.fields:
            missing.append("day")
        if any(run.letter == "D" for run in pattern.runs):
            missing = [name for name in missing if name != "month"]
        found = [*_missing(pattern, missing), *_problems(pattern)]
        if pattern.has_two_digit_year and not knows_century:
            found.append(
                "yy has two digits: say by two_digit_years_from, such as 1950, which hundred years "
                "they stand for"
            )
        problems += [f"{text!r} {problem}" for problem in found]
    return problems


def problems_of_times(formats: Sequence[str]) -> list[str]:
    """What is wrong with the patterns of times of the day: hours, and no part of a date."""
    problems = []
    for text in formats:
        if text == CLOCK_NUMBER:
            continue
        pattern = pattern_of(text)
        found = [*_missing(pattern, [] if "hour" in pattern.fields else ["hour"])]
        found += _problems(pattern)
        of_dates = pattern.fields & {"year", "month", "day", "era", "zone or offset"}
        if of_dates:
            found.append(f"names the {', '.join(sorted(of_dates))}: a time has hours and minutes")
        problems += [f"{text!r} {problem}" for problem in found]
    return problems


def _missing(pattern: Pattern, missing: Sequence[str]) -> Iterator[str]:
    letters = {run.letter for run in pattern.runs}
    for name in missing:
        letter, hint = _HINTS.get(name, ("", ""))
        yield f"names no {name}" + (f"; {hint}" if letter in letters else "")


def _problems(pattern: Pattern) -> Iterator[str]:
    """What is wrong with a pattern, whatever it is for."""
    yield from pattern.faults
    for run in pattern.runs:
        yield from _problems_of_run(run, names_month=_names_the_month(pattern))
    for literal in pattern.literals:
        if _LOOKS_LIKE_A_FIELD.search(literal):
            yield f"takes {literal!r} for plain text, since it stands between quotes"
    yield from _twice(pattern)
    yield from _alone(pattern)


def _problems_of_run(run: _Run, *, names_month: bool) -> Iterator[str]:
    letters = run.letter * run.length
    if run.letter not in _FIELD_OF:
        why = _NOT_READ.get(run.letter, f"put text between quotes: '{run.letter}'")
        yield f"has the letter {run.letter}: {why}"
    elif run.letter == "D" and (run.length not in _LENGTHS["D"] or names_month):
        yield "has D, the day of the year; d is the day of the month"
    elif run.length not in _LENGTHS[run.letter]:
        yield f"has {letters}, and Spark knows no {run.letter} of that length"
    if run.is_optional and _FIELD_OF.get(run.letter) not in _MAY_BE_OPTIONAL:
        yield f"leaves {letters} open by brackets: give two formats in its place"


def _alone(pattern: Pattern) -> Iterator[str]:
    """Fields that say nothing without another."""
    fields = pattern.fields
    hours = {run.letter for run in pattern.runs} & set("HhK")
    if hours & set("hK") and "half of the day" not in fields:
        yield "has h, the 12-hour clock, without the marker a; H is the 24-hour clock"
    if "half of the day" in fields and not hours & set("hK"):
        yield "has the marker a without h, the hour of a 12-hour clock"
    for name, before in (
        ("minute", "hour"),
        ("second", "minute"),
        ("fraction of a second", "second"),
    ):
        # Where the month is missing too, `mm` was meant for it, which is said already.
        if name in fields and before not in fields and not (name == "minute" and _is_slip(fields)):
            yield f"names the {name} without the {before}"


def _names_the_month(pattern: Pattern) -> bool:
    return any(run.letter in "ML" for run in pattern.runs)


def _is_slip(fields: set[str]) -> bool:
    return "year" in fields and "month" not in fields


def _twice(pattern: Pattern) -> Iterator[str]:
    seen: dict[str, str] = {}
    for run in pattern.runs:
        name = _FIELD_OF.get(run.letter)
        if name is None:
            continue
        if name in seen:
            hint = "; MM is months, mm is minutes" if name in ("month", "minute") else ""
            yield f"names the {name} twice, by {seen[name]} and {run.letter * run.length}{hint}"
        seen[name] = run.letter * run.length
