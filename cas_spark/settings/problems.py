"""Reports what is wrong with settings: where, what was found, and what was probably meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, get_args

from pydantic_core import ErrorDetails

from cas_spark.settings.nearest import LONGEST, nearest
from cas_spark.settings.redaction import redacted, redacted_text, without_secrets
from cas_spark.settings.section import Section

_NAMES = ("name", "reason", "published_on", "path")
"""Keys by which an item of a list is called, the first that it has."""

_SECRET = {"tracking", "pseudonym_key"}
"""Sections of which no value is shown, since it may be a password or a key."""

_EXPECTED = {
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": "must hold names with a value each",
    "model_type": "must hold settings of its own",
    "string_pattern_mismatch": "must be lowercase letters, digits and _, beginning with a letter",
}
"""Kinds of pydantic's errors -> what they mean; of others its own words are plain enough."""

_USER = re.compile(r"(?<=//)[^/@\s]*@")
_IN_QUOTES = "; put it in quotes to make it a text"


def problems_of(
    errors: Sequence[ErrorDetails], content: Mapping[str, Any], root: type[Section]
) -> list[str]:
    """Each problem that pydantic found, as `incidents.police.priority.codes: …, found 3`.

    Args:
        errors: of pydantic.
        content: what was validated.
        root: the section that it was to be.
    """
    return [_problem(error, content, root) for error in errors]


def without_user(text: str) -> str:
    """A text without the user, password and other secrets of any address in it."""
    return _USER.sub("***@", redacted_text(text))


def shown(value: Any) -> str:
    """A value in short."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "nothing"
    value = redacted(value)  # before white space in a secret hides its end
    text = without_user(repr(value) if isinstance(value, str | bytes) else str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _problem(error: ErrorDetails, content: Mapping[str, Any], root: type[Section]) -> str:
    place = [part for part in error["loc"] if part != "[key]"]
    where = without_user(".".join(_named(place, content))) or "settings"
    kind, message = error["type"], error["msg"].removeprefix("Value error, ")
    message = without_secrets(message, error["input"])  # also those that white space cuts in two
    if kind == "extra_forbidden":
        *above, key = place
        known = sorted({name for section in _sections_at(above, root) for name in _keys(section)})
        close = nearest(str(key), known)
        do = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        return f"{where}: no such setting; {do}"
    if kind == "missing":
        return f"{where}: missing, and needed"
    expected = _EXPECTED.get(kind) or re.sub(r"^(Input|String) should", "must", message)
    found = "" if kind == "value_error" else f", found {shown(error['input'])}"
    if set(place[:1]) & _SECRET:
        found = ""
    is_unquoted = kind == "string_type" and isinstance(error["input"], bool | int | float | date)
    hint = _IN_QUOTES if is_unquoted else ""
    of_key = "this name " if error["loc"][-1:] == ("[key]",) else ""
    return f"{where}: {of_key}{without_user(expected)}{found}{hint}"


def _named(place: Sequence[str | int], content: Any) -> Iterator[str]:
    """The parts of a place, items of lists by the names that people gave them."""
    inside = content
    for part in place:
        name, inside = _step(part, inside)
        yield name


def _step(part: str | int, inside: Any) -> tuple[str, Any]:
    if isinstance(part, str):
        return part, inside.get(part) if isinstance(inside, Mapping) else None
    if isinstance(inside, Mapping) and part < len(inside):  # sources that are given by name
        return list(inside.items())[part]
    if isinstance(inside, list | tuple) and part < len(inside):
        item = inside[part]
        values = item if isinstance(item, Mapping) else {}
        names = [str(values[key]) for key in _NAMES if isinstance(values.get(key), str | date)]
        return (names[0][:LONGEST] if names else str(part + 1)), item
    return str(part + 1), None


def _sections_at(place: Sequence[str | int], root: type[Section]) -> list[type[Section]]:
    """The sections that may stand at a place."""
    found = [root]
    for part in place:
        fields = [s.model_fields[part] for s in found if part in s.model_fields]
        # What is no field is a name in a mapping or a place in a list of such sections.
        if fields:
            found = [s for field in fields for s in sections_in(field.annotation)]
    return found


def sections_in(annotation: Any) -> list[type[Section]]:
    """The sections that a type speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in sections_in(part)]


def _keys(section: type[Section]) -> list[str]:
    return list(section.model_fields)
