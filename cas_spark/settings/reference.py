"""The reference of all settings as Markdown, from the settings' own types and descriptions.

`make docs` writes it to docs/settings.md; a test holds the file to it.
"""

import inspect
import sys
import types
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cas_spark.settings.problems import sections_in
from cas_spark.settings.section import Section
from cas_spark.settings.settings import Settings

HEADER = """# Settings

<!-- Written by `make docs` from cas_spark/settings; do not edit. -->

A settings file is YAML in UTF-8. Relative places are meant from the settings file. A lake with a
scheme, such as `s3a://bucket/lake`, needs `resources.storage_access: spark` and a `tracking.uri`.
`extends: other.yaml` takes the settings of another file of the same folder and changes only what
stands in this one.

All problems are reported at once, before Spark starts, each with its place, what was found and what
was expected. The program refuses:

- keys that are unknown or given twice;
- numbers beyond the bounds below, infinite, or `nan`, and dates before 1900 or after 2200;
- what YAML reads otherwise than it is written, such as `010` (8) or `12:30` (750): put a text in
  quotes;
- names (`name`, keys of `priorities` and `horizons`, names of sources) of other characters than
  lowercase letters, digits and `_`, or longer than 63; a title may hold any character;
- paths with white space at either end; in the path of the lake `%`, `\\` and control characters;
  `%` and `?` in a local path where MLflow keeps its database or artifacts.
"""


def reference() -> str:
    """All sections, each with its keys, types, defaults and meaning."""
    seen: list[type[Section]] = []
    _collect(Settings, seen)
    return "\n".join([HEADER, *(_section(section) for section in seen)])


def _collect(section: type[Section], seen: list[type[Section]]) -> None:
    if section in seen:
        return
    seen.append(section)
    for field in section.model_fields.values():
        for inner in sections_in(field.annotation):
            _collect(inner, seen)


def _section(section: type[Section]) -> str:
    lines = [f"## {section.__name__}", "", inspect.getdoc(section) or "", ""]
    lines += ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, field in section.model_fields.items():
        meaning = field.description or ""
        kind = _kind(field.annotation).replace("|", "\\|") + _bounds(field)
        lines.append(f"| `{name}` | {kind} | {_default(field)} | {meaning} |")
    return "\n".join([*lines, ""])


NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    type(None): "nothing",
}


def _kind(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        kind = f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    elif origin in (Union, types.UnionType):
        kind = " or ".join(_kind(part) for part in parts)
    elif origin is Literal:
        kind = " or ".join(f"`{part}`" for part in parts)
    elif origin is list:
        kind = f"list of {_kind(parts[0])}"
    elif origin is tuple:
        kind = f"[{', '.join(_kind(part) for part in parts)}]"
    elif origin is dict:
        kind = f"name → {_kind(parts[1])}"
    elif parts:  # Annotated
        kind = _kind(parts[0])
    else:
        kind = NAMES.get(annotation, str(annotation.__name__))
    return kind


_BOUNDS = {Ge: "from", Gt: "above", Le: "to", Lt: "below"}


def _bounds(field: FieldInfo) -> str:
    """The least and the most that a number may be."""
    bounds = []
    for kind, word in _BOUNDS.items():
        for bound in field.metadata:
            if isinstance(bound, kind):
                bounds.append(f"{word} {getattr(bound, kind.__name__.lower()):,}")
    return f", {' '.join(bounds)}" if bounds else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return "none"
    if isinstance(value, Section):
        return "its own defaults"
    if isinstance(value, list):
        shown = [v.model_dump() if isinstance(v, Section) else v for v in value]
        return f"`{shown}`"
    return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
