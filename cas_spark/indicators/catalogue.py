"""The catalogue: every indicator as a declaration, from which its name and kernel follow.

An indicator says what it counts, never when something was known: that is the framework's business.
Changing what a name means needs a higher `version`; a test holds each to the values it stands for.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from cas_spark.grid.cells import CELL_SIZE_M
from cas_spark.indicators.ages import ALL_HISTORY, IN_ALL_HISTORY, Ages, between, decayed, in_last
from cas_spark.indicators.indicator import ANY, NEVER_WEEKS, Indicator
from cas_spark.indicators.weights import HALO_CELLS
from cas_spark.settings import Settings
from cas_spark.settings.geography import AreaStatistics
from cas_spark.settings.learning import Indicators

_INCIDENTS = "incidents"
LASTING = "places near where it often happens are likelier"


def count(of: str, ages: Ages, *, is_read_by_all: bool = False) -> Indicator:
    """Incidents in the cell."""
    return Indicator(
        kind="count",
        group="history",
        name=f"{of}_count_{ages.name}",
        meaning=f"number of {of} incidents in the cell {ages.words}",
        meaning_nl=f"aantal incidenten {of} in het vakje {ages.words_nl}",
        unit="incidents",
        source=_INCIDENTS,
        purpose="places where it happened before are likelier places again",
        of=of,
        when=ages.words,
        when_nl=ages.words_nl,
        window=ages.window,
        half_life_weeks=ages.half_life_weeks,
        is_read_by_all=is_read_by_all,
    )


def density(of: str, bandwidth_m: int, ages: Ages, purpose: str = LASTING) -> Indicator:
    """Incidents around the cell, each weighed by its distance."""
    return Indicator(
        kind="density",
        group="near",
        name=f"{of}_density_{bandwidth_m}m_{ages.name}",
        meaning=f"number of {of} incidents around the cell {ages.words}, each weighed by "
        f"exp(-d² / 2 · {bandwidth_m}²), d in metres between the cells' centres",
        meaning_nl=f"aantal incidenten {of} rond het vakje {ages.words_nl}, elk gewogen met "
        f"exp(-d² / 2 · {bandwidth_m}²), d in meters tussen de middens",
        unit="weighed incidents",
        source=_INCIDENTS,
        purpose=purpose,
        of=of,
        when=ages.words,
        when_nl=ages.words_nl,
        window=ages.window,
        half_life_weeks=ages.half_life_weeks,
        bandwidth_m=bandwidth_m,
    )


def _weeks_since(of: str, *, is_of_block: bool) -> Indicator:
    place, place_nl = ("the cell", "het vakje")
    if is_of_block:
        place, place_nl = ("the 3 x 3 cells around it", "de 3 x 3 vakjes eromheen")
    return Indicator(
        kind="weeks_since",
        group="near" if is_of_block else "history",
        name=f"{of}_weeks_since{'_3x3' if is_of_block else ''}",
        meaning=f"weeks between the poll and the start of the week of the last {of} incident in "
        f"{place}; {NEVER_WEEKS} where there was none in that time",
        meaning_nl=f"weken tussen de peiling en het begin van de week van het laatste incident "
        f"{of} in {place_nl}; {NEVER_WEEKS} als er in die tijd geen was",
        unit="weeks",
        source=_INCIDENTS,
        purpose="a place is likeliest again soon after an incident",
        of=of,
        is_of_block=is_of_block,
    )


def _level(of: str) -> Indicator:
    return Indicator(
        kind="level",
        group="calendar",
        name=f"{of}_of_team_13w",
        meaning=f"number of {of} incidents in all kept cells of the team in the last 13 weeks",
        meaning_nl=f"aantal incidenten {of} in alle vakjes van het team in de laatste 13 weken",
        unit="incidents",
        source=_INCIDENTS,
        purpose="the level of the whole team rises and falls over the years",
        of=of,
        window=(0, 13),
    )


def _of_priority(of: str) -> Iterable[Indicator]:
    """What is counted of each priority."""
    yield from (count(of, in_last(weeks)) for weeks in (4, 13, 52, 104, 156))
    yield count(of, IN_ALL_HISTORY, is_read_by_all=True)
    yield from (count(of, decayed(weeks)) for weeks in (1, 8, 52))
    near_repeat = "shortly after an incident its surroundings are likelier (near repeats)"
    yield from (density(of, 125, ages) for ages in (in_last(13), in_last(156), IN_ALL_HISTORY))
    yield from (density(of, 250, ages) for ages in (in_last(52), IN_ALL_HISTORY))
    yield from (density(of, 250, decayed(weeks), near_repeat) for weeks in (2, 8))
    yield density(of, 500, in_last(156))
    season = "some places have their season: what happened there a year ago may come back"
    yield density(of, 250, between(44, 56), season)
    yield from (_weeks_since(of, is_of_block=block) for block in (False, True))
    yield _level(of)


def _of_all_crime() -> Iterable[Indicator]:
    """What is counted of all priorities together."""
    exposure = "where there is much of any crime there are people and goods at risk"
    yield count(ANY, in_last(52))
    yield count(ANY, IN_ALL_HISTORY)
    yield density(ANY, 250, in_last(52), exposure)
    yield Indicator(
        kind="ever",
        group="history",
        name=f"{ANY}_ever",
        meaning="1 where any incident was ever known to have happened in the cell, else 0",
        meaning_nl="1 als in het vakje ooit een incident bekend was, anders 0",
        unit="0 or 1",
        source=_INCIDENTS,
        purpose="tells cells where nothing can happen from those where nothing has happened lately",
        of=ANY,
        window=ALL_HISTORY,
        transform="none",
    )


def _calendar() -> Iterable[Indicator]:
    for name, meaning, meaning_nl, unit in (
        (
            "season_sin",
            "sine of the poll's place in the year (0 on 1 January)",
            "sinus van de plaats van de peiling in het jaar (0 op 1 januari)",
            "-1 to 1",
        ),
        (
            "season_cos",
            "cosine of the poll's place in the year (1 on 1 January)",
            "cosinus van de plaats van de peiling in het jaar (1 op 1 januari)",
            "-1 to 1",
        ),
        (
            "daylight_hours",
            "hours between sunrise and sunset on the day of the poll, in the middle of the team",
            "uren tussen zonsopkomst en zonsondergang op de dag van de peiling, midden in het team",
            "hours",
        ),
    ):
        yield Indicator(
            kind="calendar",
            group="calendar",
            name=name,
            meaning=meaning,
            meaning_nl=meaning_nl,
            unit=unit,
            source="the poll's date",
            purpose="crime has its seasons",
            transform="none",
        )


def _context(surroundings: Sequence[str]) -> Iterable[Indicator]:
    """The slow indicators: what a cell is and what lies around it."""

    def slow(
        name: str, meaning: str, meaning_nl: str, unit: str, source: str, purpose: str,
        transform: Literal["log1p", "none"],
    ) -> Indicator:  # fmt: skip
        return Indicator(
            kind="context", group="surroundings", name=name, meaning=meaning,
            meaning_nl=meaning_nl, unit=unit, source=source, purpose=purpose, transform=transform,
        )  # fmt: skip

    yield slow(
        "land_share",
        "share of the cell that is land of a team",
        "deel van het vakje dat land van een team is",
        "share",
        "the teams' polygons",
        "less land, fewer incidents",
        "none",
    )
    for layer in surroundings:
        source = f"grid.surroundings: {layer}"
        purpose = "what lies around a place draws or keeps off incidents"
        yield slow(
            f"{layer}_distance_m",
            f"metres from the cell's centre to the nearest of {layer}",
            f"meters van het midden van het vakje tot de dichtstbijzijnde van {layer}",
            "m",
            source,
            purpose,
            "log1p",
        )
        yield slow(
            f"{layer}_within_500m",
            f"number of {layer} within 500 m of the cell's centre",
            f"aantal {layer} binnen 500 m van het midden van het vakje",
            "number",
            source,
            purpose,
            "log1p",
        )


def _of_areas(area_statistics: Sequence[AreaStatistics]) -> Iterable[Indicator]:
    """The slow indicators that figures of areas become."""
    for source in area_statistics:
        for figure in source.figures:
            is_shared_out = figure.kind == "share_out"
            how, how_nl = (
                "mean of the cell's areas by surface",
                "gemiddeld over de gebieden van het vakje naar oppervlakte",
            )
            if is_shared_out:
                how, how_nl = (
                    "shared out over the area's cells by surface",
                    "naar oppervlakte verdeeld over de vakjes van het gebied",
                )
            yield Indicator(
                kind="context",
                group="area_statistics",
                name=source.indicator_of(figure),
                meaning=f"{figure.meaning}, {how}",
                meaning_nl=f"{figure.meaning_nl or figure.meaning}, {how_nl}",
                unit=figure.unit,
                source=f"area_statistics: {source.name}",
                purpose="who lives, works and parks somewhere makes what may happen there",
                transform="log1p" if is_shared_out else "none",
            )


def _suspects(of: str) -> Iterable[Indicator]:
    """Where known suspects of a priority live; only where settings have suspects."""
    purpose = "many who are suspected of it live near where it happens"
    capped = HALO_CELLS * CELL_SIZE_M
    yield Indicator(
        kind="nearest_suspect",
        group="suspects",
        name=f"{of}_suspect_nearest_m",
        meaning=f"metres between the centres of the cell and of the nearest one where a known "
        f"suspect of {of} lives; {capped} where none is nearer",
        meaning_nl=f"meters tussen de middens van het vakje en van het dichtstbijzijnde waar een "
        f"bekende verdachte van {of} woont; {capped} als er geen dichterbij is",
        unit="m",
        source="suspects",
        purpose=purpose,
        of=of,
        radius_m=capped,
    )
    for radius in (500, 1000):
        yield Indicator(
            kind="suspects",
            group="suspects",
            name=f"{of}_suspects_within_{radius}m",
            meaning=f"number of known suspects of {of} with a home within {radius} m, between the "
            "cells' centres; each counts once",
            meaning_nl=f"aantal bekende verdachten van {of} met een woning binnen {radius} m, "
            "tussen de middens van de vakjes; elk telt een keer",
            unit="suspects",
            source="suspects",
            purpose=purpose,
            of=of,
            radius_m=radius,
        )


@dataclass(frozen=True)
class Catalogue:
    """The indicators of a lake, in the order in which every sum over them runs."""

    indicators: tuple[Indicator, ...]

    @property
    def names(self) -> list[str]:
        """The indicators' names, in order."""
        return [indicator.name for indicator in self.indicators]

    @property
    def fast(self) -> "Catalogue":
        """Those that stand in `snapshots`."""
        return Catalogue(tuple(i for i in self.indicators if not i.is_slow))

    @property
    def slow(self) -> "Catalogue":
        """Those that stand in `cell_context`."""
        return Catalogue(tuple(i for i in self.indicators if i.is_slow))

    @property
    def version(self) -> str:
        """A sha256 over all declarations: snapshots of another version are recomputed."""
        text = "\n".join(indicator.declaration for indicator in self.indicators)
        return hashlib.sha256(text.encode()).hexdigest()

    def of_priority(self, priority: str) -> list[Indicator]:
        """What the models of a priority look at.

        Its own, those of all crime, the calendar, the surroundings, area statistics, and of the
        other priorities their whole history.
        """
        shared = (priority, ANY, None)
        return [i for i in self.indicators if i.of in shared or i.is_read_by_all]

    def within(self, weeks_of_history: int) -> "Catalogue":
        """The catalogue without the indicators whose window reaches further back."""
        return Catalogue(tuple(i for i in self.indicators if i.weeks_needed <= weeks_of_history))

    def without(self, patterns: Sequence[str]) -> "Catalogue":
        """The catalogue without the indicators whose name matches a pattern such as `*_ever`."""
        return Catalogue(
            tuple(
                i
                for i in self.indicators
                if not any(fnmatchcase(i.name, pattern) for pattern in patterns)
            )
        )


def catalogue_of_lake(settings: Settings) -> Catalogue:
    """The catalogue of a lake, however far back its extracts reach."""
    layers = [layer.name for layer in settings.grid.surroundings]
    has_suspects = bool(settings.suspects)
    areas = settings.grid.area_statistics
    whole = catalogue_of(list(settings.priorities), layers, areas, has_suspects=has_suspects)
    return whole.without(settings.indicators.leave_out)


def catalogue_of(
    priorities: Sequence[str],
    surroundings: Sequence[str] = (),
    area_statistics: Sequence[AreaStatistics] = (),
    *,
    has_suspects: bool = False,
) -> Catalogue:
    """The catalogue for these priorities, layers of surroundings and figures, in their order.

    Suspects come last, so that without them everything else is as it was.
    """
    own = [indicator for priority in priorities for indicator in _of_priority(priority)]
    slow = (*_context(surroundings), *_of_areas(area_statistics))
    of_suspects = [i for priority in priorities for i in _suspects(priority)]
    suspects = of_suspects if has_suspects else ()
    return Catalogue((*own, *_of_all_crime(), *_calendar(), *slow, *suspects))


def whole_catalogue(settings: Settings) -> Catalogue:
    """The catalogue of a lake as if its settings left nothing out."""
    return catalogue_of_lake(settings.model_copy(update={"indicators": Indicators()}))
