"""Where: the teams' polygons, the grid's versions, removal rules, surroundings, area statistics."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.section import ColumnName, Day, Number, Section, Title


def _any_crs(value: str) -> str:
    """Accept an authority code or WKT that PROJ knows."""
    try:
        CRS.from_user_input(value)
    except CRSError as error:
        message = f"{value!r} is not a CRS: give an authority code such as EPSG:4326, or WKT"
        raise ValueError(message) from error
    return value


def _metric_crs(value: str) -> str:
    """Accept only a projected CRS in metres: cells are squares of 125 m on its plane."""
    crs = CRS.from_user_input(_any_crs(value))
    units = {axis.unit_name for axis in crs.axis_info}
    if not crs.is_projected or units != {"metre"}:
        kind = "projected" if crs.is_projected else "geographic"
        message = (
            f"{value} is {kind} in {', '.join(sorted(units))}: cells are squares of 125 m, "
            "so give a projected CRS in metres, such as the national grid or the place's UTM zone"
        )
        raise ValueError(message)
    return value


def _any_operation(value: str) -> str:
    """Accept a coordinate operation that PROJ knows."""
    try:
        Transformer.from_pipeline(value)
    except ProjError as error:
        message = (
            f"{value!r} is not an operation of PROJ: give the code of a datum transformation such "
            "as EPSG:1173, or a text +proj=pipeline ..."
        )
        raise ValueError(message) from error
    return value


AnyCrs = Annotated[str, AfterValidator(_any_crs)]
AnyOperation = Annotated[str, AfterValidator(_any_operation)]
MetricCrs = Annotated[str, AfterValidator(_metric_crs)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
"""A name that may stand in columns, metrics and files, as long as databases allow one."""
Overlaps = Literal["refuse", "smallest"]
OVERLAPS = (
    "polygons that lie over each other by more than a sliver: refuse, or give the ground to the "
    "smallest of them"
)


class Layer(Section):
    """A layer of polygons, lines or points; its CRS is the file's own.

    The file is a GeoPackage, GeoJSON, Shapefile or FlatGeobuf.
    """

    path: SettingsPath
    layer: Title | None = Field(
        default=None, description="may be left out where the file has one layer only"
    )
    operation: AnyOperation | None = Field(
        default=None,
        description="PROJ's operation from the file's CRS to the grid's, as in `location`",
    )


class TeamLayer(Layer):
    """The polygons of the teams, one or more rows per team."""

    id: ColumnName = Field(description="column with the team's id")
    name: ColumnName | None = Field(default=None, description="column with the team's name")
    region: ColumnName | None = Field(default=None, description="column with the team's region")
    is_proxy: bool = Field(default=False, description="stand-ins, not the real boundaries")
    overlaps: Overlaps = Field(default="refuse", description=OVERLAPS)


class Surrounding(Layer):
    """Points or lines whose distance and number near a cell are recorded, such as stations."""

    name: Name
    published_on: Day = Field(description="the day from which the layer could be known")


class AreaFigure(Section):
    """A figure of an area, such as its inhabitants or the mean income there."""

    name: Name
    column: ColumnName = Field(description="column that holds it")
    kind: Literal["share_out", "average"] = Field(
        description="share_out: a number of the area, spread over its cells by surface; average: a "
        "density, percentage or mean, of which a cell gets the mean of its areas by surface"
    )
    unit: Title = Field(description="of its values, such as inhabitants")
    meaning: Title = Field(description="what it is, as people read it")
    meaning_nl: Title | None = Field(default=None, description="the same in Dutch")


class AreaEdition(Layer):
    """The polygons of the areas with their figures, as published at one time."""

    published_on: Day = Field(description="local day; polls after that day see it")
    renamed: dict[ColumnName, ColumnName] = Field(
        default_factory=dict,
        description="columns that this edition names otherwise: usual name → name here",
    )


class AreaStatistics(Section):
    """Figures of areas such as neighbourhoods, published again now and then.

    A poll sees the newest edition published before it.
    """

    name: Name
    area: ColumnName = Field(description="column with the area's id")
    figures: list[AreaFigure] = Field(min_length=1)
    editions: list[AreaEdition] = Field(min_length=1)
    missing: list[Number] = Field(
        default_factory=list, description="numbers that stand for a missing figure, such as -99997"
    )
    overlaps: Overlaps = Field(default="refuse", description=OVERLAPS)

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        problems = []
        names = [figure.name for figure in self.figures]
        if len(names) != len(set(names)):
            problems.append(f"figures with the same name twice: {names}")
        days = [str(edition.published_on) for edition in self.editions]
        if len(days) != len(set(days)):
            problems.append(f"editions published on the same day: {days}")
        usual = {self.area, *(figure.column for figure in self.figures)}
        unknown = sorted({name for e in self.editions for name in e.renamed} - usual)
        if unknown:
            problems.append(f"renamed names {unknown}; columns: {sorted(usual)}")
        if problems:
            message = f"area statistics {self.name}: {'; '.join(problems)}"
            raise ValueError(message)
        return self

    def indicator_of(self, figure: AreaFigure) -> str:
        """The name of the slow indicator that a figure becomes."""
        return f"{self.name}_{figure.name}"


class RemovalCondition(Section):
    """A number of a cell, and the bound below or above which the condition holds."""

    measure: str = Field(
        description="land_share, incidents, SURROUNDING_distance_m of a declared surrounding, or "
        "SOURCE_FIGURE of area statistics, as the first poll of the grid version sees it"
    )
    within_m: float = Field(
        default=0,
        ge=0,
        le=10_000,
        description="for incidents: count cells within this distance as well",
    )
    below: Number | None = None
    above: Number | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.below is None) == (self.above is None):
            message = f"condition on {self.measure}: give either below or above"
            raise ValueError(message)
        return self


class RemovalRule(Section):
    """A cell is removed for this reason when all conditions hold."""

    reason: Name
    all: list[RemovalCondition] = Field(min_length=1)


class Grid(Section):
    """The cells of one version of the grid.

    A version serves the polls from `valid_from` on; its removal rules look only at what was known
    before that moment. Changed rules or polygons need a new version.
    """

    version: Name
    valid_from: Day
    crs: MetricCrs
    teams: TeamLayer
    removal: list[RemovalRule] = Field(default_factory=list)
    surroundings: list[Surrounding] = Field(default_factory=list)
    area_statistics: list[AreaStatistics] = Field(default_factory=list)

    @property
    def layers(self) -> list[Layer]:
        """Every layer that the grid is made from."""
        editions = [edition for source in self.area_statistics for edition in source.editions]
        return [self.teams, *self.surroundings, *editions]

    @model_validator(mode="after")
    def _known_measures(self) -> Self:
        known = {"land_share", "incidents"} | {f"{s.name}_distance_m" for s in self.surroundings}
        known |= {s.indicator_of(figure) for s in self.area_statistics for figure in s.figures}
        asked = {c.measure for rule in self.removal for c in rule.all}
        if asked - known:
            message = f"removal rules ask for {sorted(asked - known)}; known: {sorted(known)}"
            raise ValueError(message)
        names = [s.name for s in self.surroundings]
        if len(names) != len(set(names)):
            message = f"surroundings have the same name twice: {names}"
            raise ValueError(message)
        late = [s.name for s in self.surroundings if s.published_on > self.valid_from]
        if late:
            message = (
                f"surroundings {late} were published after valid_from {self.valid_from}: they were "
                "not known at the first poll that this grid version serves"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _area_statistics_fit(self) -> Self:
        names = [s.name for s in self.surroundings] + [s.name for s in self.area_statistics]
        if len(names) != len(set(names)):
            message = f"surroundings and area statistics have the same name twice: {names}"
            raise ValueError(message)
        indicators = [s.indicator_of(figure) for s in self.area_statistics for figure in s.figures]
        if len(indicators) != len(set(indicators)):
            message = f"figures of two area statistics make the same indicator: {indicators}"
            raise ValueError(message)
        late = [
            source.name
            for source in self.area_statistics
            if min(edition.published_on for edition in source.editions) >= self.valid_from
        ]
        if late:
            message = (
                f"area statistics {late} have no edition published before valid_from "
                f"{self.valid_from}: the first poll that this grid version serves would see none"
            )
            raise ValueError(message)
        return self
