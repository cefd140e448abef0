"""Refuses a mapped column of suspects that looks as if it identified a person.

Only opaque keys, moments, codes and coordinates are wanted of suspects. A slip in the settings that
maps a name instead must stop the run before anything is made of the rows; so the first rows of an
extract are looked at, and what is found is reported without a value.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.settings.codes import BETWEEN_CODES
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.sources.reading import text_of
from cas_spark.sources.values import kinds_of

ROWS_LOOKED_AT = 5_000
MOST = 0.5
"""A column is named for what more than this share of its values look like."""
MANY = 0.2
"""The same for addresses: not every street ends in a known word, and little else looks so."""
FEWEST_NUMBERS = 3
"""One in eleven numbers passes the test of citizen numbers by chance, so fewer prove nothing."""

_CAPITALISED = re.compile(r"[A-ZÀ-ÖØ-Þ][A-Za-zÀ-ÖØ-öø-ÿ'.-]*")
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ'.-]+")
_POSTCODE = re.compile(r"\b[1-9]\d{3} ?[A-Z]{2}\b")
_STREET = (
    r"\b(?:\w*(?:straat|laan|weg|plein|kade|gracht|dijk|hof|singel|steeg|pad|dreef|plantsoen|markt|"
    r"park|street|road|avenue|lane|drive|boulevard)|square|court|place|st|ave|rd|blvd|dr|ln|ct)\b"
)
_HOUSE = r"\b\d{1,5}(?:[ -]?[a-z]{1,3}|-\d{1,4})?\b"
_STREET_AND_HOUSE = re.compile(rf"{_STREET}\.? {_HOUSE}", re.IGNORECASE)
_HOUSE_AND_STREET = re.compile(rf"{_HOUSE} (?:\S+ ){{0,3}}?{_STREET}", re.IGNORECASE)
_OPAQUE = re.compile(r"(?=.*\d)[A-Za-z0-9_:+/=.-]+")
_ELEVEN_TEST = (9, 8, 7, 6, 5, 4, 3, 2, -1)


AnyOfPersons = SuspectExtracts | RevisionExtracts


def check_columns(rows: DataFrame, source: AnyOfPersons, person: str, name: str) -> None:
    """Look at the first rows of an extract that names suspects.

    Args:
        rows: as `reading.read_rows` returns them.
        source: what their columns mean.
        person: the column with the key of the suspect.
        name: of the extract's file.

    Raises:
        CasError: a mapped column looks like names, addresses or citizen numbers, or that of the
            person is no opaque key; no value is shown.
    """
    kinds = kinds_of(rows)
    texts = [text_of(F.col("given")[column], kinds[column]) for column in source.columns]
    first = rows.where(F.col("malformed").isNull()).select(*texts).limit(ROWS_LOOKED_AT).collect()
    values = {
        column: [row[place] for row in first if row[place] is not None]
        for place, column in enumerate(source.columns)
    }
    values |= _without_what_settings_spell_out(values, source)
    suspicions = {
        column: suspicion
        for column, of_column in values.items()
        if (suspicion := suspicion_of(of_column, is_person=column == person)) is not None
    }
    if suspicions:
        raise CasError(
            what=f"the mapped columns of the extract {name}",
            found="; ".join(f"column {column}: {why}" for column, why in suspicions.items()),
            expected="opaque keys, moments, codes and coordinates: nothing that identifies a "
            "person",
            do=f"Map other columns in {source.kind}.{source.name}, or have persons replaced by "
            "keys before delivery; nothing was written",
        )


def suspicion_of(values: Sequence[str], *, is_person: bool) -> str | None:
    """What the values of a column look like that must not be mapped; None where all is well.

    Args:
        values: trimmed, none empty.
        is_person: whether the column must hold opaque keys.
    """
    if not values:
        return None
    if len(values) >= FEWEST_NUMBERS and _share(values, is_citizen_number) > MOST:
        return "most values pass the test of Dutch citizen numbers (BSN)"
    if _share(values, is_name) > MOST:
        return "most values are two or more capitalised words, as names are"
    if _share(values, is_address) > MANY:
        return "many values have a street and a house number, or a postcode"
    if is_person and _share(values, is_opaque) <= MOST:
        return "most values are no opaque keys (letters and digits without a space)"
    return None


def is_citizen_number(value: str) -> bool:
    """Whether a text is a Dutch citizen number: nine digits that pass the test of eleven.

    The first may be a zero that was lost.
    """
    digits = re.sub(r"[ .]", "", value)
    if not re.fullmatch(r"\d{8,9}", digits) or int(digits) == 0:
        return False
    weighed = zip(digits.zfill(9), _ELEVEN_TEST, strict=True)
    return sum(int(digit) * weight for digit, weight in weighed) % 11 == 0


def is_name(value: str) -> bool:
    """Whether a text is words only, two or more of them capitalised: Jan de Vries; JANSEN, P."""
    words = value.replace(",", " ").split()
    capitalised = sum(1 for word in words if _CAPITALISED.fullmatch(word))
    return capitalised > 1 and all(_WORD.fullmatch(word) for word in words)


def is_address(value: str) -> bool:
    """Whether a text has a street with a house number, or a Dutch postcode."""
    patterns = (_POSTCODE, _STREET_AND_HOUSE, _HOUSE_AND_STREET)
    return any(pattern.search(value) for pattern in patterns)


def is_opaque(value: str) -> bool:
    """Whether a text could be a key: letters and digits, a digit among them, no space."""
    return _OPAQUE.fullmatch(value) is not None


def _share(values: Sequence[str], looks_so: Callable[[str], bool]) -> float:
    return sum(1 for value in values if looks_so(value)) / len(values)


def _without_what_settings_spell_out(
    values: Mapping[str, Sequence[str]], source: AnyOfPersons
) -> dict[str, list[str]]:
    """The values of the columns of codes, without those that the settings themselves name."""
    spelled: dict[str, list[str]] = {}
    if isinstance(source, SuspectExtracts):
        codes = source.priority
        patterns = [code for of_priority in codes.codes.values() for code in of_priority]
        for place, column in enumerate(codes.column):
            parts = [pattern.split(BETWEEN_CODES) for pattern in (*patterns, *codes.other)]
            spelled[column] = [part[place] for part in parts if place < len(part)]
    else:
        kinds = source.kinds
        spelled[kinds.column] = [value for values in kinds.values.values() for value in values]
    for exclusion in source.exclude:
        spelled.setdefault(exclusion.column, []).extend(exclusion.equals)
    return {
        column: [value for value in values[column] if not _matches_any(value, of_column)]
        for column, of_column in spelled.items()
    }


def _matches_any(value: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern that says more than `anything` matches the value."""
    return any(set(pattern) - set("*?") and fnmatchcase(value, pattern) for pattern in patterns)
