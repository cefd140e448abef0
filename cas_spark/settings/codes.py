"""What: which codes of an extract make a row an incident of which priority."""

from functools import cache
from itertools import combinations
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cas_spark.settings.places import Name
from cas_spark.settings.section import Section


def _plain_pattern(value: str) -> str:
    if not value or set(value) & set("[]"):
        message = f"code {value!r}: write it out, with * for any characters and ? for exactly one"
        raise ValueError(message)
    return value


CodePattern = Annotated[str, AfterValidator(_plain_pattern)]


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


class PriorityCodes(Section):
    """Which codes make a row one of which priority.

    Codes are patterns: `*` stands for any characters, `?` for exactly one, and case matters. No
    code may match two priorities; one that matches a priority and `other` is the priority's. A code
    that matches neither is unknown, and its row is rejected as such.
    """

    column: str
    codes: dict[Name, list[CodePattern]] = Field(min_length=1, description="priority -> codes")
    other: list[CodePattern] = Field(
        default_factory=list, description="known codes of no priority, counted apart"
    )

    @model_validator(mode="after")
    def _one_priority_per_code(self) -> Self:
        patterns = [(name, code) for name, codes in self.codes.items() for code in codes]
        twice = [
            f"{name} {code} and {other_name} {other}"
            for (name, code), (other_name, other) in combinations(patterns, 2)
            if name != other_name and _have_a_code_in_common(code, other)
        ]
        if twice:
            message = f"a code may belong to one priority only, but some match {'; '.join(twice)}"
            raise ValueError(message)
        return self
