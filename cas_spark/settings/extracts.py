"""What is delivered: how the rows of an extract become incidents of a priority."""

from datetime import date
from functools import cache
from itertools import combinations
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from cas_spark.settings.effects import TAKING_BACK, Kinds
from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.places import AnyCrs, FileFormat, Name
from cas_spark.settings.section import Section


def _known_zone(value: str) -> str:
    if value not in available_timezones():
        message = f"{value!r} is not a time zone: give an IANA name such as Europe/Amsterdam"
        raise ValueError(message)
    return value


ZoneName = Annotated[str, AfterValidator(_known_zone)]


class Provenance(Section):
    """Where an extract comes from and why it may be used; kept with every extract."""

    source: str
    purpose: str
    legal_basis: str


class Interval(Section):
    """When something happened: one moment, or an interval in which it must have happened."""

    start: str = Field(description="column with the moment, or the start of the interval")
    end: str | None = Field(default=None, description="column with the end of the interval")
    formats: list[str] = Field(
        default_factory=list,
        description="patterns such as 'M/d/yyyy H:mm', tried in order; none for typed columns",
    )


class Occurred(Interval):
    """When an incident happened, and which are too old to be used."""

    earliest: date = Field(description="incidents before this date are rejected")


class Known(Section):
    """When a row became known to the police, from which moment alone it may be used.

    `as_given`: the column is the moment itself. `next_month`: the column names the month in which
    the row was coded, so all that is certain is that it was known when the next month began.
    `assumed_delay`: assumed, not known: `delay_days` after it occurred, moved into the coded month
    where that falls outside it; every figure made with it is labelled. Of a correction not even an
    assumption says when in its month it was made, so that counts from the month's last instant.
    """

    column: str
    formats: list[str] = Field(default_factory=list)
    rule: Literal["as_given", "next_month", "assumed_delay"] = "as_given"
    delay_days: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _delay_belongs_to_its_rule(self) -> Self:
        if (self.rule == "assumed_delay") != (self.delay_days is not None):
            message = "delay_days is needed for, and only for, the rule assumed_delay"
            raise ValueError(message)
        return self


class Location(Section):
    """Where: two columns with coordinates, or the geometry of a GeoPackage."""

    x: str | None = None
    y: str | None = None
    geometry: str | None = None
    crs: AnyCrs
    missing: list[float] = Field(
        default_factory=lambda: [0.0], description="coordinates that mean: unknown"
    )

    @model_validator(mode="after")
    def _columns_or_geometry(self) -> Self:
        if (self.x is None) != (self.y is None) or (self.x is None) == (self.geometry is None):
            message = "give either both x and y, or geometry"
            raise ValueError(message)
        return self


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


class Choice(Section):
    """A column and the values that choose a row."""

    column: str
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

    column: str
    citizen: list[str]
    police: list[str]


class LinkedIncident(Section):
    """The incident that a row is about, by the key of its own source."""

    source: Name = Field(description="name of a source among `incidents` that has a key")
    key: list[str] = Field(
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
    layer: str | None = Field(default=None, description="layer of a GeoPackage")
    provenance: Provenance
    complete_from: date = Field(description="first day of which all rows are delivered")
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

    key: list[str] = Field(
        default_factory=list,
        description="columns that identify an incident; without a key, equal rows of one extract "
        "are different incidents and an equal row of a later extract is a duplicate",
    )
    case: str | None = Field(
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
