"""Guesses what the columns of a file mean, by their names and values; a person decides.

Names are those that police forces publish in English and Dutch. A guess that only a name supports
is offered as a choice, never as a fact.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from cas_spark.sources.date_guesses import (
    Guess,
    guess_patterns,
    guess_time_pattern,
    has_day,
    has_time,
    read_as,
)
from cas_spark.sources.first_look import PERIOD, FirstLook

MOST_CODES = 500
FEWEST_GIVEN = 0.5
"""Share of the rows that must have a value, for a column to be proposed."""
MANY = 0.1
"""Share of a column's numbers above 1, from which it can be a count."""
FEWEST_TO_JUDGE = 5
MIDNIGHT = time(0)

_KNOWN = re.compile(
    r"report|rpt|known|register|registratie|enter|creat|notif|discover|coded|gemeld|melding|"
    r"kennis|opname|aangifte",
    re.IGNORECASE,
)
_OCCURRED = re.compile(
    r"occ|incident|committed|happen|event|offence|offense|crime|(^|_)fr(om)?(_|$)|begin|began|start|"
    r"pleeg|gebeur|datum|date|month|maand",
    re.IGNORECASE,
)
_END = re.compile(r"(^|_| )(to|until|end|ended|thru|tot|eind)(_| |$)|until|eind", re.IGNORECASE)
_UPDATED = re.compile(r"update|modif|edit|load|export|gewijzigd|closed|arrest", re.IGNORECASE)
_KEY = re.compile(
    r"(^|_| )(id|nr|no|num|number|key|nummer|uuid)(_| |$)|dr_no|cmplnt|case|incident|zaak",
    re.IGNORECASE,
)
_CODE = (
    r"offence|offense|crime.?(type|code|desc)|straftat|delict|misdrijf|feit|^code|iucr|ucr|nibrs",
    r"primary|type|catego|crm|code|charge|law|soort|aard|ofns|kind",
    r"desc",
)
_X = (
    r"^lon(g(itude)?)?$|longitude|^lng$",
    r"^x$|x.?coord|^x_|coord.*x$|east(ing)?|^rd_?x$|point_x",
)
_Y = (r"^lat(itude)?$|latitude", r"^y$|y.?coord|^y_|coord.*y$|north(ing)?|^rd_?y$|point_y")
_COUNT = re.compile(
    r"count|number of|aantal|total|incidents$|offences$|offenses$|crimes$|misdrijven|"
    r"delicten|geregistreerde",
    re.IGNORECASE,
)
_TIME = re.compile(r"time|tm$|_tm|tijd|hour", re.IGNORECASE)
_NUMBER = {
    ".": re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d+,\d+"),
}
_LARGEST_LONGITUDE, _LARGEST_LATITUDE = 180.0, 90.0


@dataclass(frozen=True)
class MomentColumn:
    """A column of moments.

    Attributes:
        name: of the column.
        guess: its patterns; None for a typed column.
        first, last: earliest and latest moment.
        has_time: whether it has the time of the day.
        has_day: whether it has the day; else the month alone.
        share: of the rows that have a value.
    """

    name: str
    guess: Guess | None
    first: datetime
    last: datetime
    has_time: bool
    has_day: bool
    share: float


@dataclass(frozen=True)
class Coordinates:
    """Two columns with coordinates.

    Attributes:
        x, y: names of the columns.
        decimal: sign between the whole and the decimals.
        is_degrees: whether the numbers are longitudes and latitudes.
        box: least and largest x and y (left, bottom, right, top), without zeros.
        has_zeros: whether some are 0, which then means: unknown.
    """

    x: str
    y: str
    decimal: str
    is_degrees: bool
    box: tuple[float, float, float, float]
    has_zeros: bool


def moment_columns(look: FirstLook) -> list[MomentColumn]:
    """Return the columns of moments, in the file's order."""
    found = []
    for name in look.columns:
        values = look.given(name)
        if not values or len(values) < 0.01 * look.rows:
            continue
        if name in look.types:
            moments = [datetime.fromisoformat(value) for value in values]
            is_day = look.types[name] == "date"
            guess = None
        else:
            guess = guess_patterns(values[:2_000])
            if guess is None:
                continue
            moments = [moment for value in values if (moment := _first_read(value, guess))]
            is_day = not all(map(has_time, guess.patterns))
        plain = [moment.replace(tzinfo=None) for moment in moments]
        found.append(
            MomentColumn(
                name,
                guess,
                min(plain),
                max(plain),
                # A midnight in every row is no time of the day.
                has_time=not is_day and any(moment.time() != MIDNIGHT for moment in plain),
                has_day=guess is None or all(map(has_day, guess.patterns)),
                share=len(values) / look.rows,
            )
        )
    return found


def _first_read(value: str, guess: Guess) -> datetime | None:
    return next((m for pattern in guess.patterns if (m := read_as(value, pattern))), None)


def time_columns(look: FirstLook) -> dict[str, str]:
    """Return the columns of times of the day by name, and how they are written."""
    return {
        name: pattern
        for name in look.columns
        if _TIME.search(name)
        and name not in look.types
        and (pattern := guess_time_pattern(look.given(name)[:2_000]))
    }


def is_of_changes(moment: MomentColumn) -> bool:
    """Return whether a column's name suggests when a row was last changed."""
    return _UPDATED.search(moment.name) is not None


def occurred_column(moments: Sequence[MomentColumn]) -> MomentColumn | None:
    """Return the column that most likely holds when an incident happened, or began."""
    fit = [m for m in moments if not is_of_changes(m) and m.share >= FEWEST_GIVEN]
    fit = [m for m in fit if not _END.search(m.name)] or fit
    not_known = [m for m in fit if not _KNOWN.search(m.name)] or fit
    named = [m for m in not_known if _OCCURRED.search(m.name)]
    return next(iter([*named, *not_known]), None)


def end_column(moments: Sequence[MomentColumn], start: MomentColumn | None) -> MomentColumn | None:
    """Return the column that most likely ends the interval in which an incident happened."""
    return next((m for m in moments if m is not start and _END.search(m.name) and m.has_day), None)


def known_columns(
    moments: Sequence[MomentColumn], taken: Sequence[MomentColumn | None]
) -> list[MomentColumn]:
    """Return the columns that may hold when a row became known, the likeliest first."""
    left = [m for m in moments if m not in taken and m.share >= FEWEST_GIVEN]
    return sorted(left, key=lambda m: (not _KNOWN.search(m.name), is_of_changes(m)))


def coordinates_of(look: FirstLook) -> Coordinates | None:
    """Return the two columns with coordinates, by name and range; degrees before others."""
    for place, is_degrees in ((0, True), (1, False), (0, False), (1, True)):
        x = _named_numbers(look, _X[place])
        y = _named_numbers(look, _Y[place])
        if x is None or y is None:
            continue
        xs, ys = _numbers(look, x), _numbers(look, y)
        there = [(a, b) for a, b in zip(xs, ys, strict=False) if a != 0 and b != 0]
        if not there:
            continue
        box = (*map(min, zip(*there, strict=True)), *map(max, zip(*there, strict=True)))
        left, bottom, right, top = box
        fits = max(-left, right) <= _LARGEST_LONGITUDE and max(-bottom, top) <= _LARGEST_LATITUDE
        if fits == is_degrees:
            has_zeros = 0.0 in xs or 0.0 in ys
            decimal = _decimal_of(look.given(x)) or "."
            return Coordinates(x, y, decimal, is_degrees, (left, bottom, right, top), has_zeros)
    return None


def _named_numbers(look: FirstLook, pattern: str) -> str | None:
    for name in look.columns:
        if re.search(pattern, name, re.IGNORECASE) and _decimal_of(look.given(name)):
            return name
    return None


def _numbers(look: FirstLook, name: str) -> list[float]:
    numbers = []
    for value in look.given(name):
        try:
            numbers.append(float(value.replace(",", ".")))
        except ValueError:
            continue
    return numbers


def _decimal_of(values: Sequence[str]) -> str | None:
    """The decimal sign of a column of numbers; None where it holds others."""
    if not values:
        return None
    plain = sum(bool(_NUMBER["."].fullmatch(value)) for value in values)
    comma = sum(bool(_NUMBER[","].fullmatch(value)) for value in values)
    if plain + comma < 0.9 * len(values):  # the rest are slips
        return None
    return "," if comma > 0 and comma >= plain / 10 else "."


def key_column(look: FirstLook, taken: Sequence[str]) -> str | None:
    """Return the column whose values are all there, all different, and named as a key is."""
    unique = [
        name
        for name in look.columns
        if name not in taken
        and len(look.given(name)) == look.rows
        and len(set(look.given(name))) == look.rows
    ]
    return next((name for name in unique if _KEY.search(name)), None)


def code_columns(look: FirstLook, taken: Sequence[str]) -> list[str]:
    """Return the columns that may hold the code of the offence, the likeliest first."""
    ranked = []
    for place, name in enumerate(look.columns):
        values = look.given(name)
        distinct = len(set(values))
        rank = next((r for r, p in enumerate(_CODE) if re.search(p, name, re.IGNORECASE)), None)
        is_few = 1 < distinct <= min(MOST_CODES, max(2, len(values) // 2))
        is_given = len(values) >= FEWEST_GIVEN * look.rows
        if name in taken or rank is None or not is_few or not is_given:
            continue
        ranked.append((rank, place, name))
    return [name for *_, name in sorted(ranked)]


def codes_of(look: FirstLook, column: str) -> list[tuple[str, int]]:
    """Return the codes of a column and how often each occurs, the commonest first."""
    counted = Counter(look.given(column))
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def counts_instead_of_incidents(look: FirstLook) -> str | None:
    """Return why a file looks like counts per area and period, not incidents; None where not.

    No weekly labels can be made of such a file: it does not say on which day anything happened.
    """
    periods = [name for name in look.columns if PERIOD.fullmatch(name)]
    if len(periods) > 1 and len(periods) >= len(look.columns) // 2:
        return f"its columns are periods ({periods[0]} to {periods[-1]})"
    if look.rows < FEWEST_TO_JUDGE or coordinates_of(look) or look.geometry is not None:
        return None
    timed = [m for m in moment_columns(look) if m.has_day and not _is_of_periods(look, m.name)]
    of_periods = [name for name in look.columns if _is_of_periods(look, name)]
    counts = [name for name in look.columns if _is_count(look, name)]
    if timed or not of_periods or not counts:
        return None
    return f"column {counts[0]} counts, per period of {of_periods[0]}, and no column names a day"


def _is_of_periods(look: FirstLook, name: str) -> bool:
    """Whether every value is a year, quarter or month, or the first day of one."""
    values = set(look.given(name)[:2_000])
    if not values:
        return False
    if all(PERIOD.fullmatch(value) for value in values):
        return True
    guess = guess_patterns(sorted(values))
    if guess is None or len(values) < 2:  # noqa: PLR2004  # one day may be any
        return False
    return all((m := _first_read(value, guess)) is not None and m.day == 1 for value in values)


def _is_count(look: FirstLook, name: str) -> bool:
    """Whether a column is named as a count and holds whole numbers, many of them above 1."""
    values = look.given(name)
    if not values or not _COUNT.search(name) or not all(v.isdigit() for v in values):
        return False
    return sum(int(value) > 1 for value in values) >= MANY * len(values)


def hours_from_utc(longitude: float) -> int:
    """Return the hours by which the sun's time at a longitude differs from UTC."""
    return round(longitude / 15)
