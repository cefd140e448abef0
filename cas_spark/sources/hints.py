"""Which setting likely mends an extract of which no row can be used, guessed from a value."""

import re

from cas_spark.settings.extracts import Extracts

_DECIMAL_COMMA = re.compile(r"-?\d+(\.\d{3})*,\d+")
_FIELDS = re.compile(r"(\d+) fields, not (\d+)")
_DAYS = {
    r"\d{4}-\d{1,2}-\d{1,2}": "yyyy-MM-dd",
    r"\d{4}/\d{1,2}/\d{1,2}": "yyyy/MM/dd",
    r"\d{8}": "yyyyMMdd",
    r"\d{1,2}\.\d{1,2}\.\d{4}": "d.M.yyyy",
    r"\d{1,2}-\d{1,2}-\d{4}": "d-M-yyyy",
    r"\d{1,2}/\d{1,2}/\d{4}": "d/M/yyyy",
}
_TIMES = {
    r"\d{1,2}:\d{2}": "H:mm",
    r"\d{1,2}:\d{2}:\d{2}": "H:mm:ss",
    r"\d{1,2}:\d{2}:\d{2}\.\d{3}": "H:mm:ss.SSS",
    r"\d{1,2}:\d{2} ?[AaPp][Mm]": "h:mm a",
    r"\d{1,2}:\d{2}:\d{2} ?[AaPp][Mm]": "h:mm:ss a",
}
_ZONES = {r"Z|[+-]\d{2}:\d{2}": "XXX", r"[+-]\d{4}": "XX"}
_MOMENT = re.compile(
    r"(?P<day>[\d./-]+)"
    r"(?:(?P<gap>T| +)(?P<time>[\d:.]+(?: ?[AaPp][Mm])?))?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2})?"
)


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


def format_of(value: str) -> str | None:
    """A pattern that reads a moment as it is written; None where none of the usual ones does.

    Of `3/4/2024` nobody can tell whether the month comes first: a number above 12 tells, and
    without one the day is taken to.
    """
    found = _MOMENT.fullmatch(value.strip())
    if found is None:
        return None
    day = _fitting(_DAYS, found["day"])
    clock = _fitting(_TIMES, found["time"] or "")
    zone = _fitting(_ZONES, found["zone"] or "")
    if day is None or (found["time"] and clock is None) or (found["zone"] and zone is None):
        return None
    if day.startswith("d") and int(re.split(r"\D", found["day"])[1]) > 12:  # noqa: PLR2004
        day = f"M{day[1]}d{day[3:]}"
    gap = "'T'" if found["gap"] == "T" else " " if found["gap"] else ""
    if clock and clock.endswith(" a") and " " not in (found["time"] or ""):
        clock = clock.replace(" a", "a")
    return f"{day}{gap}{clock or ''}{zone or ''}"


def _fitting(patterns: dict[str, str], text: str) -> str | None:
    return next((p for regex, p in patterns.items() if re.fullmatch(regex, text)), None)


def _of_fields(found: str, of_source: str) -> str:
    fields = _FIELDS.match(found)
    if fields is None:
        return f"Mend the quotes of the file, or {of_source}.delimiter"
    there, expected = int(fields[1]), int(fields[2])
    if there == expected + 1:
        return (
            f"Set `trailing_delimiter: true` in {of_source} where each line ends in a delimiter, "
            "or mend its delimiter"
        )
    return f"Mend {of_source}.delimiter, or the lines above the header"


def _of_moments(which: str, found: str, of_source: str) -> str:
    value = found.split(" to ", maxsplit=1)[0]
    pattern = format_of(value)
    if pattern is None:
        return f"Give {of_source}.{which}.formats that read {value!r}, or mend its column"
    return f'Add "{pattern}" to {of_source}.{which}.formats'
