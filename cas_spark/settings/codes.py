"""What: which codes of an extract make a row an incident of which priority."""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import combinations, product
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cas_spark.settings.places import Name
from cas_spark.settings.section import ColumnName, Section


def _plain_pattern(value: str) -> str:
    if not value or set(value) & set("[]"):
        message = f"code {value!r}: write it out, with * for any characters and ? for exactly one"
        raise ValueError(message)
    return value


CodePattern = Annotated[str, Field(max_length=100), AfterValidator(_plain_pattern)]


@cache
def _have_a_code_in_common(one: str, other: str) -> bool:
    """Whether some code matches both patterns."""
    if not one or not other:
        return set(one + other) <= {"*"}
    if one[0] == "*":
        return _have_a_code_in_common(one[1:], other) or _have_a_code_in_common(one, other[1:])
    if other[0] == "*":
        return _have_a_code_in_common(other, one)
    return (one[0] == other[0] or "?" in one[0] + other[0]) and _have_a_code_in_common(
        one[1:], other[1:]
    )


def _alike(plain: Iterable[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of the same code; of thousands of codes not all can be held against all."""
    first: dict[str, tuple[str, str]] = {}
    for pair in plain:
        if first.setdefault(pair[1], pair) is not pair:
            yield first[pair[1]], pair


TOLD = 20
"""Pairs of codes that an error names."""


class PriorityCodes(Section):
    """Which codes make a row one of which priority.

    Codes are patterns: `*` stands for any characters, `?` for exactly one, and case matters. No
    code may match two priorities; one that matches a priority and `other` is the priority's. A code
    that matches neither is unknown, and its row is rejected as such.
    """

    column: ColumnName
    codes: dict[Name, list[CodePattern]] = Field(min_length=1, description="priority -> codes")
    other: list[CodePattern] = Field(
        default_factory=list, description="known codes of no priority, counted apart"
    )

    @model_validator(mode="after")
    def _one_priority_per_code(self) -> Self:
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
        if twice:
            more = f" and {len(twice) - TOLD} more" if len(twice) > TOLD else ""
            message = (
                "a code may belong to one priority only, but some match "
                f"{'; '.join(twice[:TOLD])}{more}"
            )
            raise ValueError(message)
        return self
