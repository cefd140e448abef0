"""What: which codes of an extract make a row an incident of which priority."""

import csv
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from cas_spark.settings.geography import Name
from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.section import ColumnName, Section
from cas_spark.settings.texts import as_seen

BETWEEN_CODES = " | "
"""What stands between the values of several columns that make a code together."""


def _plain_pattern(value: str) -> str:
    if not value or set(value) & set("[]"):
        message = f"code {value!r}: write it out, with * for any characters and ? for exactly one"
        raise ValueError(message)
    return value


CodePattern = Annotated[str, Field(max_length=100), AfterValidator(_plain_pattern)]


def _as_list(value: Any) -> Any:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


Columns = Annotated[list[str], BeforeValidator(_as_list)]
"""One column or several."""


def _is_literal(pattern: str) -> bool:
    return not set(pattern) & set("*?")


@cache
def _have_a_code_in_common(one: str, other: str) -> bool:
    """Whether some code matches both patterns."""
    if _is_literal(one) and _is_literal(other):
        return one == other
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return _have_a_code_in_common(one[1:], other) or _have_a_code_in_common(one, other[1:])
    if other[0] == "*":
        return _have_a_code_in_common(other, one)
    return (one[0] == other[0] or "?" in one[0] + other[0]) and _have_a_code_in_common(
        one[1:], other[1:]
    )


class CodesFile(Section):
    """A CSV file (UTF-8, with a header) that lists codes, and the priority of each.

    A code without a priority is one of `other`. Codes are patterns, as in `codes`.
    """

    path: SettingsPath
    code: ColumnName = Field(description="column with the code")
    priority: ColumnName = Field(
        description="column with the priority's name; blank for no priority"
    )

    def read(self) -> list[tuple[str, str]]:
        """Return code and priority of each row, in the file's order.

        Raises:
            ValueError: the file cannot be read, or lacks a column.
        """
        try:
            with Path(self.path).open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            message = f"codes_file {self.path}: {error}, expected a CSV file in UTF-8"
            raise ValueError(message) from error
        there = [as_seen(name or "") for name in (rows[0] if rows else {})]
        missing = [name for name in (self.code, self.priority) if name not in there]
        if missing:
            message = f"codes_file {self.path}: no column {missing} among {there}"
            raise ValueError(message)
        seen = [{as_seen(key or ""): as_seen(v or "") for key, v in row.items()} for row in rows]
        return [(row[self.code], row[self.priority]) for row in seen if row[self.code]]


def _alike(plain: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of the same code; of thousands of codes not all can be held against all."""
    first: dict[str, tuple[str, str]] = {}
    for pair in plain:
        if first.setdefault(pair[1], pair) is not pair:
            yield first[pair[1]], pair


SHOWN = 20
"""Pairs of codes that an error names."""


class PriorityCodes(Section):
    """Which codes make a row one of which priority.

    Codes are patterns: `*` stands for any characters, `?` for exactly one, and case matters. No
    code may match two priorities; one that matches a priority and `other` is the priority's. A code
    that matches neither is unknown, and its row is rejected as such. Where all rows of the source
    are of one priority, `all_rows` names it in place of everything else.
    """

    column: Columns = Field(
        default_factory=list,
        description="column with the code; several make one together, with ` | ` between them, "
        "such as `BURGLARY | FORCIBLE ENTRY`",
    )
    codes: dict[Name, list[CodePattern]] = Field(
        default_factory=dict, description="priority -> codes"
    )
    other: list[CodePattern] = Field(
        default_factory=list, description="known codes of no priority, counted apart"
    )
    codes_file: CodesFile | None = Field(
        default=None,
        description="more codes, read when the settings load; the lake records them as `codes`",
    )
    all_rows: Name | None = Field(default=None, description="the priority of every row")

    @model_validator(mode="before")
    @classmethod
    def _with_codes_of_file(cls, content: Any, info: ValidationInfo) -> Any:
        if not isinstance(content, dict) or not content.get("codes_file"):
            return content
        file = CodesFile.model_validate(content["codes_file"], context=info.context)
        codes = {name: list(listed) for name, listed in (content.get("codes") or {}).items()}
        other = list(content.get("other") or [])
        for code, priority in file.read():
            (codes.setdefault(priority, []) if priority else other).append(code)
        return {**content, "codes": codes, "other": other, "codes_file": None}

    @model_validator(mode="after")
    def _one_priority_per_code(self) -> Self:
        if (self.all_rows is not None) == bool(self.codes):
            message = "give column and codes (or codes_file), or else all_rows"
            raise ValueError(message)
        if (self.all_rows is not None) == bool(self.column) or (self.all_rows and self.other):
            message = "column and other are needed for codes, and not for all_rows"
            raise ValueError(message)
        codes = [
            (name, code) for name, codes in self.codes.items() for code in dict.fromkeys(codes)
        ]
        patterns = [pair for pair in codes if set(pair[1]) & set("*?")]
        plain = [pair for pair in codes if not set(pair[1]) & set("*?")]
        pairs = [*combinations(patterns, 2), *product(patterns, plain), *_alike(plain)]
        twice = [
            f"{name} {code} and {other_name} {other}"
            for (name, code), (other_name, other) in pairs
            if name != other_name and _have_a_code_in_common(code, other)
        ]
        of_literals: dict[str, str] = {}
        for name, code in patterns:
            if _is_literal(code) and of_literals.setdefault(code, name) != name:
                twice.append(f"{of_literals[code]} {code} and {name} {code}")
        if twice:
            more = f" and {len(twice) - SHOWN} more" if len(twice) > SHOWN else ""
            message = (
                "a code may belong to one priority only, but some match "
                f"{'; '.join(twice[:SHOWN])}{more}"
            )
            raise ValueError(message)
        return self

    @property
    def priorities(self) -> list[str]:
        """The priorities that rows may be of."""
        return [self.all_rows] if self.all_rows is not None else list(self.codes)
