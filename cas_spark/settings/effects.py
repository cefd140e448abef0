"""What a revision may say of a fact, and what follows from it."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from cas_spark.settings.section import ColumnName, Section

Kind = Literal[
    "unfounded",
    "withdrawn",
    "duplicate",
    "unlawful",
    "reclassified",
    "relocated",
    "retimed",
    "dismissed",
    "acquitted",
    "erased",
]
"""Of an incident: it did not happen, was taken back, was counted twice, may not be used; its code,
place or time was another. Of a suspect's link: it was dismissed (sepot), or acquitted. Of either:
it is to be erased, on order."""

TAKING_BACK = ("unfounded", "withdrawn", "duplicate", "unlawful", "erased")
CHANGING = ("reclassified", "relocated", "retimed")
OF_INCIDENTS = (*TAKING_BACK, *CHANGING)
OF_SUSPECTS = ("dismissed", "acquitted", "erased")

Effect = Literal["purge", "from_known"]
PURGE, FROM_KNOWN = get_args(Effect)


class Effects(Section):
    """What a revision of each kind does.

    `from_known`: what it is about counts no more from when the revision is known; polls before that
    stay as they were. `purge`: once it is taken in, no run uses it for any poll, past or future,
    and no model that is trained from then on has learned from it.
    """

    unfounded: Effect = "from_known"
    withdrawn: Effect = "from_known"
    duplicate: Effect = "from_known"
    unlawful: Effect = "purge"
    reclassified: Effect = "from_known"
    relocated: Effect = "from_known"
    retimed: Effect = "from_known"
    dismissed: Effect = "purge"
    acquitted: Effect = "purge"
    erased: Effect = "purge"

    def of_kinds(self) -> Mapping[str, Effect]:
        """Kind -> its effect."""
        return {kind: getattr(self, kind) for kind in get_args(Kind)}


Values = Annotated[list[str], Field(min_length=1)]


class Kinds(Section):
    """The column with the kind of a revision, and the values that mean each kind."""

    column: ColumnName
    values: dict[Kind, Values] = Field(min_length=1, description="kind -> values that mean it")

    @model_validator(mode="after")
    def _one_kind_per_value(self) -> Self:
        spelled = [value for values in self.values.values() for value in values]
        twice = sorted({value for value in spelled if spelled.count(value) > 1})
        if twice:
            message = f"values {twice} mean two kinds, expected each to mean one"
            raise ValueError(message)
        return self
