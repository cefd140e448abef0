"""The base of every settings section, and the types that bound its values."""

from collections.abc import Iterator
from datetime import date
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cas_spark.settings.texts import as_seen

VERBATIM = {"comment", "delimiter"}
"""Keys whose value is meant character by character."""
PLACES = {"artifacts", "file", "files", "folder", "lake", "path", "uri"}
"""Keys of places, whose names may hold any character."""

LONGEST_TEXT = 10_000
"""Characters: a CRS as WKT has thousands, and nothing that people write has more."""


class Section(BaseModel):
    """A part of the settings that a user writes.

    Unknown keys are refused, so that a typing error never silently means the default; so are
    numbers that are none or infinite, and `yes` where a number is meant, which would be 1.
    Text is as a person sees it (see `settings.texts`), as are the files that it is compared with.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_max_length=LONGEST_TEXT,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _text_as_seen(cls, content: Any) -> Any:
        return _as_seen_throughout(content)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name is not None:
            kinds = set(_kinds_of(cls.model_fields[info.field_name].annotation))
            if bool not in kinds and kinds & {int, float}:
                message = f"must be a number, found {'yes' if value else 'no'}"
                raise ValueError(message)
        return value


def _as_seen_throughout(value: Any) -> Any:
    if isinstance(value, str):
        return as_seen(value)
    if isinstance(value, list):
        return [_as_seen_throughout(item) for item in value]
    if isinstance(value, dict):
        verbatim = VERBATIM | PLACES
        return {k: v if k in verbatim else _as_seen_throughout(v) for k, v in value.items()}
    return value


def _kinds_of(annotation: Any) -> Iterator[Any]:
    """The plain types that a value of an optional or bounded type may have."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        for part in get_args(annotation):
            yield from _kinds_of(part)
    elif isinstance(annotation, type):
        yield annotation


FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2200, 12, 31)
"""Days of settings and arguments: beyond them lie only slips, and calendars end."""


def _written_out(value: Any) -> Any:
    if isinstance(value, int | float):  # which pydantic takes for seconds since 1970
        message = f"must be a date such as 2024-01-31, found {value}"
        raise ValueError(message)  # noqa: TRY004 - pydantic lets a TypeError pass
    return value


def _within_calendars(value: date) -> date:
    if not FIRST_DAY <= value <= LAST_DAY:
        message = f"must be a date from {FIRST_DAY} to {LAST_DAY}, found {value}"
        raise ValueError(message)
    return value


Day = Annotated[date, BeforeValidator(_written_out), AfterValidator(_within_calendars)]
Title = Annotated[str, Field(min_length=1, max_length=500)]
"""A text that people read."""
ColumnName = Annotated[str, Field(min_length=1, max_length=500)]
"""The name of a column of a file."""
Number = Annotated[float, Field(ge=-1e15, le=1e15)]
"""A number of a file that settings name, such as one that means missing."""
