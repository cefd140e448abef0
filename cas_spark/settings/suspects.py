"""Suspects: whose homes an indicator may count, and how no person is ever kept. Off by default."""

from typing import Self

from pydantic import Field, model_validator

from cas_spark.settings.extracts import LinkedIncident, PlacedExtracts, named_once
from cas_spark.settings.section import ColumnName


class SuspectExtracts(PlacedExtracts):
    """Extracts that link suspects to incidents; a person is kept as a keyed pseudonym only.

    `location` is of the suspect's home, of which the cell alone is kept. A later row of the same
    person and incident is a later version of the link, from the moment at which it became known.
    """

    kind = "suspects"

    person: ColumnName = Field(description="column with an opaque key of the person: never a name")
    incident: LinkedIncident | None = None
    case: ColumnName | None = Field(
        default=None,
        description="column with the case, as in `incidents`; kept as a pseudonym",
    )

    @model_validator(mode="after")
    def _is_a_link_known_at_a_moment(self) -> Self:
        problems = []
        if self.incident is None and self.case is None:
            problems.append("give incident or case: a suspect is linked to one of them")
        if self.is_assumed:
            problems.append("known.rule assumed_delay stands on when an incident happened")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def columns(self) -> list[str]:
        """Every column that is mapped, once, in the order of the settings; no geometry."""
        return named_once(
            self.person,
            *(self.incident.key if self.incident else []),
            self.case,
            *self.known.columns,
            *self.location.columns,
            *self.priority.column,
            *(exclusion.column for exclusion in self.exclude),
        )
