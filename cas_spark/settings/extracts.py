"""What is delivered: how the rows of an extract become incidents of a priority."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from cas_spark.settings.codes import PriorityCodes
from cas_spark.settings.effects import TAKING_BACK, Kinds
from cas_spark.settings.location import Location
from cas_spark.settings.moments import Known, Occurred
from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.places import FileFormat, Name
from cas_spark.settings.section import ColumnName, Day, Section, Title
from cas_spark.settings.zones import ZoneName


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
    """Rows that take an earlier row back, and why where they tell.

    A row that does not tell is `reclassified` where another code is known of the same case (or time
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


class Extracts(Section):
    """Extracts of one form: where they lie, and what every kind of them tells."""

    kind: ClassVar[str]
    """The section of the settings in which they stand."""

    name: Name
    files: SettingsPath = Field(description="path or shell pattern of one or more files")
    format: FileFormat
    delimiter: str = ","
    layer: Title | None = Field(default=None, description="layer of a GeoPackage")
    provenance: Provenance
    complete_from: Day = Field(description="first day of which all rows are delivered")
    timezone: ZoneName | None = Field(default=None, description="default: the settings' own")
    known: Known
    location: Location | None = None
    exclude: list[Exclusion] = Field(default_factory=list)

    @model_validator(mode="after")
    def _layer_belongs_to_geopackage(self) -> Self:
        if (self.format == "geopackage") != (self.layer is not None):
            message = "layer is needed for, and only for, a geopackage"
            raise ValueError(message)
        return self

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
    occurred: Occurred
    reported_by: ReportedBy | None = None
    correction: Correction | None = Field(
        default=None, description="marks rows that correct or take back an earlier row"
    )

    @property
    def columns(self) -> list[str]:
        """Every column that is mapped, once, in the order of the settings; no geometry."""
        return named_once(
            *self.key,
            self.case,
            self.occurred.start,
            self.occurred.end,
            self.known.column,
            self.location.x,
            self.location.y,
            self.priority.column,
            self.reported_by.column if self.reported_by else None,
            *(self.correction.columns if self.correction else ()),
            *(exclusion.column for exclusion in self.exclude),
        )


def named_once(*columns: str | None) -> list[str]:
    """The columns that are named, each once, in their order."""
    return list(dict.fromkeys(column for column in columns if column is not None))
