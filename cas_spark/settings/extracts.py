"""What is delivered: how the rows of an extract become incidents of a priority."""

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from cas_spark.settings.codes import PriorityCodes
from cas_spark.settings.completeness import Period, gaps, problems_of_periods
from cas_spark.settings.delivered import DeliveredInName
from cas_spark.settings.effects import TAKING_BACK, Kinds
from cas_spark.settings.file_form import FileForm
from cas_spark.settings.geography import Name
from cas_spark.settings.location import Location
from cas_spark.settings.moments import Known, Occurred
from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.section import ColumnName, Day, Number, Section, Title
from cas_spark.settings.zones import ZoneName

COARSEST_PLACES_M = 500
"""Beyond, a place could be in any of some fifty cells, which the data cannot distinguish."""


class Provenance(Section):
    """Where an extract comes from and why it may be used; kept with every extract."""

    source: Title
    purpose: Title
    legal_basis: Title


class Choice(Section):
    """A column and the values that choose a row."""

    column: ColumnName
    equals: list[str] = Field(min_length=1)


class Exclusion(Choice):
    """Rows that are not used, corrections among them, and the reason that is kept with them."""

    reason: Name


class Correction(Choice):
    """Rows that take an earlier row back, with the reason where they have one.

    A row without one is `reclassified` where another code is known of the same case (or time
    and place), else `withdrawn`.
    """

    kinds: Kinds | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return [self.column, *([self.kinds.column] if self.kinds else [])]

    @model_validator(mode="after")
    def _only_what_takes_back(self) -> Self:
        others = set(self.kinds.values) - set(TAKING_BACK) if self.kinds else set()
        if others:
            message = (
                f"kinds {sorted(others)}: a correction takes its incident back, so it is one of "
                f"{', '.join(TAKING_BACK)}; any other kind comes from a source among `revisions`"
            )
            raise ValueError(message)
        return self


class ReportedBy(Section):
    """Who brought an incident to light."""

    column: ColumnName
    citizen: list[str]
    police: list[str]


class LinkedIncident(Section):
    """The incident that a row is about, by the key of its own source."""

    source: Name = Field(description="name of a source among `incidents` that has a key")
    key: list[ColumnName] = Field(
        min_length=1, description="columns that hold that key, in the order of the source's own"
    )


class Extracts(FileForm):
    """Extracts of one form: where they lie, how they are written, and what every kind holds."""

    kind: ClassVar[str]
    """The section of the settings in which they stand."""

    name: Name
    files: SettingsPath = Field(description="path or shell pattern of one or more files")
    provenance: Provenance
    complete_from: Day = Field(description="first day of which all rows are delivered")
    delivered: Day | DeliveredInName | None = Field(
        default=None,
        description="local day on which all its extracts were delivered, or where their names have "
        "it; rows known later are rejected. Without it that day is judged by the rows themselves",
    )
    timezone: ZoneName | None = Field(default=None, description="default: the settings' own")
    known: Known
    location: Location | None = None
    exclude: list[Exclusion] = Field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Every column that is mapped, once, in the order of the settings; no geometry."""
        raise NotImplementedError

    @property
    def is_assumed(self) -> bool:
        """Whether the moments at which rows became known are assumed."""
        return self.known.rule == "assumed_delay"


class PlacedExtracts(Extracts):
    """Extracts of what has a place and is of a priority."""

    location: Location
    priority: PriorityCodes
    exclude_points: list[tuple[Number, Number]] = Field(
        default_factory=list,
        description="places [x, y] that are no place of an incident, such as the headquarters "
        "where reports pile up; compared with the coordinates as delivered, rejected as "
        "`excluded_point`",
    )
    location_precision_m: float = Field(
        default=0,
        ge=0,
        le=COARSEST_PLACES_M,
        description="how far the delivered places may lie from the true ones, as where they are "
        "moved to the middle of a block; said beside figures where it is more than a cell",
    )


class IncidentExtracts(PlacedExtracts):
    """Extracts of incidents, and what their columns mean."""

    kind = "incidents"

    key: list[ColumnName] = Field(
        default_factory=list,
        description="columns that identify an incident; without a key, equal rows of one extract "
        "are different incidents and an equal row of a later extract is a duplicate",
    )
    case: ColumnName | None = Field(
        default=None,
        description="column with the case that a row belongs to; several incidents may share one, "
        "and a correction is linked by it. It is kept as a pseudonym only",
    )
    complete: list[Period] = Field(
        default_factory=list,
        description="in place of `complete_from` where years are missing: [first day, last day] of "
        "each time of which all rows are delivered, the last day `null` where it goes on",
    )
    occurred: Occurred
    reported_by: ReportedBy | None = None
    correction: Correction | None = Field(
        default=None, description="marks rows that correct or take back an earlier row"
    )

    @model_validator(mode="before")
    @classmethod
    def _complete_says_from_when(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "complete_from" in values:
            return values
        match values.get("complete"):
            case [[first, *_], *_]:
                return {**values, "complete_from": first}
        return values

    @model_validator(mode="after")
    def _periods_have_gaps_between(self) -> Self:
        problems = problems_of_periods(self.complete)
        if self.complete and self.complete_from != self.complete[0][0]:
            problems.append("give complete or complete_from, not both")
        if problems:
            message = f"complete: {'; '.join(problems)}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _corrections_are_known_at_a_moment(self) -> Self:
        if self.correction is not None and not self.known.columns:
            message = (
                "correction needs known.column: without it nothing says when a row was taken back. "
                "Name the column, or use `exclude` for such rows"
            )
            raise ValueError(message)
        return self

    @property
    def periods(self) -> list[Period]:
        """The times of which all rows are delivered, in order."""
        return self.complete or [(self.complete_from, None)]

    @property
    def labels(self) -> list[str]:
        """What must be said of its incidents wherever figures are shown."""
        labels = []
        if self.is_assumed:
            days = self.known.delay_days
            moved = ", moved into the month in which they were coded" if self.known.columns else ""
            labels.append(
                f"Assumed: incidents of {self.name} are taken as known {days} days after they "
                f"occurred{moved}; the extracts do not say."
            )
        for first, last in gaps(self.periods):
            labels.append(
                f"Incidents of {self.name} are missing from {first} to {last}: no figure counts "
                "that time, and none reaches back over it."
            )
        if self.occurred.unit == "day":
            labels.append(
                f"Incidents of {self.name} have a day but no time: nothing is known of their hours."
            )
        elif self.occurred.unit == "month":
            labels.append(
                f"Incidents of {self.name} have only a month: each counts in the week in which its "
                "month has its middle, so no figure distinguishes the weeks of a month."
            )
        return labels

    @property
    def columns(self) -> list[str]:
        """Every column that is mapped, once, in the order of the settings; no geometry."""
        return named_once(
            *self.key,
            self.case,
            *self.occurred.columns,
            *self.known.columns,
            *self.location.columns,
            *self.priority.column,
            self.reported_by.column if self.reported_by else None,
            *(self.correction.columns if self.correction else ()),
            *(exclusion.column for exclusion in self.exclude),
        )


def named_once(*columns: str | None) -> list[str]:
    """The columns that are named, each once, in their order."""
    return list(dict.fromkeys(column for column in columns if column is not None))
