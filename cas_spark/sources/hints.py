"""Which setting likely mends an extract of which no row can be used, guessed from a value."""

import re

from cas_spark.settings.extracts import Extracts
from cas_spark.sources.date_guesses import guess_patterns

_DECIMAL_COMMA = re.compile(r"-?\d+(\.\d{3})*,\d+")
_FIELDS = re.compile(r"(?P<many>more than )?(?P<found>\d+) fields?, not (?P<expected>\d+)")


def hint_for(reason: str, found: str | None, source: Extracts) -> str:
    """What to look at in the settings, for a reason for which the rows of an extract are rejected.

    Args:
        reason: commonest of the extract.
        found: the value that failed in the first such row; None where it is not kept.
        source: of the extract.
    """
    of_source = f"{source.kind}.{source.name}"
    if reason == "malformed":
        return _of_fields(found or "", of_source)
    if reason == "coordinates_missing":
        if any(_DECIMAL_COMMA.fullmatch(part) for part in (found or "").split(", ")):
            return f"Set the decimal comma, `decimal: ','`, in {of_source}"
        return f"Mend {of_source}.location: its columns and `missing`"
    if reason == "outside_teams":
        return f"Mend {of_source}.location: the CRS is wrong, or x and y are swapped"
    if reason in ("known_unreadable", "occurred_unreadable"):
        return _of_moments(reason.removesuffix("_unreadable"), found or "", of_source)
    return f"Mend {of_source}: {_OF_REASON.get(reason, 'the settings that give this reason')}"


_OF_REASON = {
    "unknown_code": "name the codes in `priority.codes`, and those of no priority in "
    "`priority.other`",
    "unknown_kind": "name the values of the column in `kinds.values`",
    "key_missing": "`key` or `incident.key` names columns that are empty",
    "person_missing": "`person` names a column that is empty",
    "incident_missing": "`incident` and `case` name columns that are empty",
    "occurred_too_early": "`occurred.earliest`, or `occurred.formats` that misread the year",
    "interval_backwards": "`occurred.start` and `occurred.end` are swapped",
    "occurred_after_known": "`known` and `occurred` are swapped, a `timezone` is wrong, or the "
    "column of `known` has no time of day",
    "known_after_delivery": "`delivered` is too early, or `known.formats` misread the year",
}


def _of_fields(found: str, of_source: str) -> str:
    fields = _FIELDS.match(found)
    if fields is None:
        return f"Mend the quotes of the file, or {of_source}.delimiter"
    if fields["many"] is None and int(fields["found"]) == int(fields["expected"]) + 1:
        return (
            f"Set `trailing_delimiter: true` in {of_source} where each line ends in a delimiter, "
            "or mend its delimiter"
        )
    return f"Mend {of_source}.delimiter, or the lines above the header"


def _of_moments(which: str, found: str, of_source: str) -> str:
    value = found.split(" to ", maxsplit=1)[0]
    guess = guess_patterns([value])
    if guess is None:
        return f"Give {of_source}.{which}.formats that read {value!r}, or mend its column"
    # Of `3/4/2024` no one can say whether the month comes first.
    patterns = " or ".join(f'"{pattern}"' for pattern in (*guess.patterns, *guess.others))
    return f"Add {patterns} to {of_source}.{which}.formats"
