"""How much the generator makes, from which seed, with which faults, and where it puts it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cas_spark.settings.geography import Layer, Name
from cas_spark.settings.paths import OwnFolder, SettingsPath
from cas_spark.settings.section import ColumnName, Day, Section

RhythmName = Literal["dwelling", "business", "vehicle", "bicycle", "person", "any"]
Share = Annotated[float, Field(ge=0, le=0.1)]

LONGEST_DAYS = 30 * 366
OTHER = "other"  # the name under which offences of no priority are generated


class GeneratedOffence(Section):
    """How a kind of offence is spread over the country and over time.

    The rhythm is a declared table: season, weekday, hour, whether the moment is known or only an
    interval, and how often the police find it themselves.
    """

    code: str = Field(min_length=1, max_length=100, description="its code in the extracts")
    rhythm: RhythmName
    figure: ColumnName | None = Field(
        default=None,
        description="of a real country: the column of its figures with the number per municipality "
        "and year",
    )
    incidents_per_year: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        description="in the whole country in the first year, without a `figure`",
    )
    yearly_change: float = Field(
        default=0.0, ge=-0.5, le=0.5, description="of the yearly total, such as -0.03"
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

    def incidents_in(self, year: int, first_year: int) -> int:
        """The number in the whole country in a year, of an offence without a figure."""
        return round(self.incidents_per_year * (1 + self.yearly_change) ** (year - first_year))


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
    """Polygons over which incidents are spread, such as neighbourhoods."""

    id: ColumnName = Field(description="column with the area's id")
    weight: ColumnName = Field(description="column with the area's pull, such as its inhabitants")


class MunicipalityLayer(Layer):
    """Polygons with yearly totals; an area belongs to the one that it lies in."""

    id: ColumnName = Field(description="column with the municipality's id")


class YearlyFigures(Section):
    """A Parquet file with a row per municipality and year."""

    path: SettingsPath
    municipality: ColumnName = Field(description="column with the municipality's id")
    year: ColumnName = Field(description="column with the calendar year")


class Concentrations(Section):
    """A CSV with a row per municipality: how unevenly its crime is spread over its areas."""

    path: SettingsPath
    municipality: ColumnName = Field(description="column with the municipality's id")
    prefix: str = Field(default="", description="what that id lacks at its beginning")
    gini: ColumnName = Field(
        description="column with the Gini coefficient of crime over areas, 0-1"
    )


class RealCountry(Section):
    """A real country over which made-up incidents are spread, as many as were really counted."""

    areas: AreaLayer
    municipalities: MunicipalityLayer
    figures: YearlyFigures
    spread_like: ColumnName = Field(
        description="column of the figures like which offences without a `figure` are spread over "
        "the municipalities"
    )
    concentrations: Concentrations

    @property
    def paths(self) -> list[str]:
        """The files that it is read from."""
        parts = (self.areas, self.municipalities, self.figures, self.concentrations)
        return sorted({part.path for part in parts})


class Generator(Section):
    """A made-up country: its extracts are delivered to `folder` as a police force would."""

    folder: OwnFolder
    seed: int = Field(ge=0, lt=2**63)
    start: Day = Field(description="first day of the generated incidents")
    end: Day = Field(description="day before which the last delivered row became known")
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
        default=64,
        gt=0,
        le=10_000,
        description="places at which incidents happen; 64 is one per 125 m cell",
    )
    country: RealCountry | None = Field(
        default=None, description="none: the demo country is made up"
    )

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        problems = []
        if self.end <= self.start:
            problems.append(f"end {self.end} must come after start {self.start}")
        if (self.end - self.start).days > LONGEST_DAYS:
            problems.append(f"{self.start} to {self.end}: give at most 30 years")
        if self.country is None:
            asked = sorted(name for name, o in self.offences.items() if o.figure is not None)
            if asked:
                problems.append(f"figures of {asked} are of a real country: give `country` as well")
        codes = [offence.code for offence in self.offences.values()]
        if len(codes) != len(set(codes)):
            problems.append(f"offences have the same code twice: {codes}")
        if problems:
            raise ValueError("; ".join(problems))
        return self
