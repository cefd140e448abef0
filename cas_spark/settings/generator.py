"""How much the generator makes, from which seed, with which faults, and where it puts it."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.places import Layer, Name
from cas_spark.settings.section import Section

RhythmName = Literal["dwelling", "business", "vehicle", "bicycle", "person", "any"]
Share = Annotated[float, Field(ge=0, le=0.1)]

OTHER = "other"  # the name under which offences of no priority are generated


class GeneratedOffence(Section):
    """How a kind of offence is spread over the country and over time.

    The rhythm is a declared table: season, weekday, hour, whether the moment is known or only an
    interval, and how often the police find it themselves.
    """

    code: str = Field(min_length=1, description="its code in the extracts")
    rhythm: RhythmName
    incidents_per_year: int = Field(
        ge=0, description="in the whole country in the first year, unless `totals` are given"
    )
    yearly_change: float = Field(
        default=0.0, gt=-1, lt=1, description="of the yearly total, such as -0.03"
    )
    concentration: float = Field(
        default=0.6,
        ge=0,
        lt=0.99,
        description="Gini coefficient of the intensity over the places of an area",
    )
    near_repeat_share: float = Field(
        default=0.15,
        ge=0,
        le=0.8,
        description="share of incidents that follow another within 200 m and 3 weeks",
    )


class Faults(Section):
    """What goes wrong in a delivery: the share of the incidents to which it happens."""

    late: Share = Field(default=0.01, description="registered 30 to 400 days after discovery")
    duplicate: Share = Field(default=0.004, description="delivered again, same incident_number")
    corrected: Share = Field(default=0.015, description="later withdrawn or unfounded")
    coordinates_zero: Share = 0.001
    coordinates_missing: Share = 0.001
    coordinates_swapped: Share = 0.0005
    coordinates_far: Share = 0.0005
    occurred_1900: Share = 0.0005
    occurred_after_registered: Share = 0.0005
    unknown_code: Share = 0.0005
    wrong_number_of_fields: Share = 0.0005


class AreaLayer(Layer):
    """Polygons over which incidents are spread, instead of those of the demo country."""

    id: str = Field(description="column with the area's id")
    weight: str = Field(description="column with the area's pull, such as its inhabitants")
    total_id: str | None = Field(
        default=None,
        description="column with the id to which a total belongs, such as the municipality; "
        "without it totals are of all areas together",
    )


class TotalsFile(Section):
    """A CSV with the columns total_id, offence, year and incidents: a row per yearly total."""

    path: SettingsPath


class Generator(Section):
    """A made-up country: its extracts are delivered to `folder` as a police force would."""

    folder: SettingsPath
    seed: int = Field(ge=0)
    start: date = Field(description="first day of the generated incidents")
    end: date = Field(description="day before which the last delivered row became known")
    offences: dict[Name, GeneratedOffence] = Field(
        min_length=1,
        description=f"priority -> how it is generated; `{OTHER}` for offences of no priority",
    )
    faults: Faults = Faults()
    suspects_share: float = Field(
        default=0.12, ge=0, le=1, description="share of incidents with a suspect"
    )
    dismissed_share: float = Field(
        default=0.15, ge=0, le=1, description="share of suspects' links dismissed or acquitted"
    )
    places_per_km2: float = Field(
        default=64, gt=0, description="places at which incidents happen; 64 is one per 125 m cell"
    )
    areas: AreaLayer | None = Field(default=None, description="none: the demo country is made up")
    totals: TotalsFile | None = Field(default=None, description="of `areas`, which it needs")

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        problems = []
        if self.end <= self.start:
            problems.append(f"end {self.end} must come after start {self.start}")
        if self.totals is not None and self.areas is None:
            problems.append("totals are of real areas: give `areas` as well, or leave them out")
        codes = [offence.code for offence in self.offences.values()]
        if len(codes) != len(set(codes)):
            problems.append(f"offences have the same code twice: {codes}")
        if problems:
            raise ValueError("; ".join(problems))
        return self
