"""Revisions: extracts of later decisions about incidents, or about suspects' links to them."""

from typing import Self

from pydantic import Field, model_validator

from cas_spark.settings.codes import Columns
from cas_spark.settings.effects import CHANGING, OF_INCIDENTS, OF_SUSPECTS, Kinds
from cas_spark.settings.extracts import Extracts, LinkedIncident, named_once
from cas_spark.settings.geography import Name
from cas_spark.settings.moments import Interval, Moment, Written, columns_of
from cas_spark.settings.section import ColumnName, Section


class LinkedSuspect(Section):
    """The suspect whose link to the incident a row is about."""

    source: Name = Field(description="name of a source among `suspects`")
    person: ColumnName = Field(
        description="column with the opaque key of the person, as in that source"
    )


class Decided(Written):
    """The day on which it was decided; reports say it, and nothing else uses it."""

    column: Moment

    @model_validator(mode="after")
    def _is_a_day(self) -> Self:
        problems = self.problems_of_formats(self.column)
        if self.unit_of(self.column) == "month":
            problems.append("no day: expected the day of the decision")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return columns_of(self.column)


class RevisionExtracts(Extracts):
    """Extracts of decisions; each names the incident, or the suspect and incident, it is about.

    With `suspect` a row is about that person's link to the incident and never changes the incident;
    without, about the incident. `code`, `occurred` and `location` hold what is right from then on,
    where a row reclassifies, retimes or relocates.
    """

    kind = "revisions"

    incident: LinkedIncident
    suspect: LinkedSuspect | None = None
    kinds: Kinds
    decided: Decided | None = None
    code: Columns = Field(
        default_factory=list,
        description="columns with the right code, as many as make a code of the incidents",
    )
    occurred: Interval | None = None

    @model_validator(mode="after")
    def _kinds_fit(self) -> Self:
        problems = []
        kinds = set(self.kinds.values)
        object_, possible = (
            ("a suspect's link", OF_SUSPECTS) if self.suspect else ("an incident", OF_INCIDENTS)
        )
        if kinds - set(possible):
            problems.append(
                f"kinds {sorted(kinds - set(possible))}: expected of {object_} some of "
                f"{', '.join(possible)}"
            )
        given = dict(zip(CHANGING, (self.code or None, self.location, self.occurred), strict=True))
        names = dict(zip(CHANGING, ("code", "location", "occurred"), strict=True))
        for kind in CHANGING:
            if (kind in kinds) != (given[kind] is not None):
                problems.append(f"{names[kind]} is needed for, and only for, kind {kind}")
        if self.is_assumed:
            problems.append("known.rule assumed_delay stands on when an incident happened")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def about_source(self) -> str:
        """Name of the source of what its rows are about."""
        return self.suspect.source if self.suspect else self.incident.source

    @property
    def columns(self) -> list[str]:
        """Every column that is mapped, once, in the order of the settings; no geometry."""
        return named_once(
            *self.incident.key,
            self.suspect.person if self.suspect else None,
            self.kinds.column,
            *self.known.columns,
            *(self.decided.columns if self.decided else ()),
            *self.code,
            *(self.occurred.columns if self.occurred else ()),
            *(self.location.columns if self.location else ()),
            *(exclusion.column for exclusion in self.exclude),
        )
