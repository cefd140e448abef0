"""A made-up country in the North Sea: neighbourhoods, teams, water, surroundings, statistics.

It lies where the national grid's plane has only water, and its names say what it is, so that
its maps cannot be taken for real ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cas_spark.errors import CasError
from cas_spark.generator.delivery import ORIGIN
from cas_spark.generator.streams import stream
from cas_spark.settings.generator import GeneratedOffence, RhythmName

CRS: Final = "EPSG:28992"
CENTRE_M: Final = (20_000.0, 560_000.0)  # sea, some 90 km off the coast
SURFACE_M2: Final = 31.0e6
EDITIONS: Final = (2020, 2023)
FEWEST_TOLD: Final = 50  # inhabitants below which a statistical office keeps silent

# North above, one letter per neighbourhood: (c)entre, (t)own, (s)uburb, (v)illage, (h)amlet,
# (f)ields and (w)ater. The left four columns are the city, the others the country around it; the
# border between the teams of north and south runs halfway.
LAYOUT: Final = (
    "stssvff",
    "tctsfvf",
    "stwsffv",
    "stwthfh",
    "tctshfh",
    "sstshff",
)
CITY_COLUMNS: Final = 4
TEAMS: Final[Mapping[tuple[bool, bool], tuple[str, str]]] = MappingProxyType(
    {
        # (in the city, in the north): id and name
        (True, True): ("D01", "Demostad-Noord"),
        (True, False): ("D02", "Demostad-Zuid"),
        (False, True): ("D03", "Demoland-Noord"),
        (False, False): ("D04", "Demoland-Zuid"),
    }
)
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "c": "centre",
        "t": "town",
        "s": "suburb",
        "v": "village",
        "h": "hamlet",
        "f": "fields",
        "w": "water",
    }
)
INHABITANTS_KM2: Final[Mapping[str, float]] = MappingProxyType(
    {"centre": 9000, "town": 7000, "suburb": 4500, "village": 1800, "hamlet": 300, "fields": 4}
)
INCOME_KEUR: Final[Mapping[str, float]] = MappingProxyType(
    {"centre": 27, "town": 25, "suburb": 33, "village": 34, "hamlet": 36, "fields": 35}
)
# How strongly a kind of neighbourhood attracts a kind of offence, per surface; fields none.
PULL: Final[Mapping[RhythmName, Mapping[str, float]]] = MappingProxyType(
    {
        "dwelling": {"centre": 2.0, "town": 2.6, "suburb": 1.6, "village": 1.3, "hamlet": 0.6},
        "business": {"centre": 5.0, "town": 1.6, "suburb": 0.8, "village": 0.8, "hamlet": 0.2},
        "vehicle": {"centre": 2.6, "town": 2.2, "suburb": 1.3, "village": 1.7, "hamlet": 0.6},
        "bicycle": {"centre": 9.0, "town": 2.4, "suburb": 0.9, "village": 0.5, "hamlet": 0.008},
        "person": {"centre": 8.0, "town": 2.2, "suburb": 0.7, "village": 0.4, "hamlet": 0.05},
        "any": {"centre": 5.0, "town": 2.0, "suburb": 1.0, "village": 0.7, "hamlet": 0.2},
    }
)
STATION_PLACES: Final = ((1, 1), (4, 1), (3, 3), (1, 5), (0, 4))  # row and column in LAYOUT
ROADS: Final = (
    ("Demoweg 1", ((1, 0), (1, 1), (1, 3), (1, 5), (2, 6))),
    ("Demoweg 2", ((0, 1), (1, 1), (3, 1), (4, 1), (5, 2))),
    ("Demoweg 3", ((4, 1), (3, 3), (3, 4), (4, 6))),
    ("Demoweg 4", ((0, 4), (1, 5), (3, 4), (5, 4))),
)

_LEVELLED: Final = 4  # power of the rounded rectangle that the coast wobbles around


@dataclass(frozen=True)
class Country:
    """The layers of the made-up country, all in `CRS`.

    `neighbourhoods` are polygons that share their borders: `area_id`, `area_name`, `kind`,
    `team_id`, `team_name`, `region`, `inhabitants`, `dwellings`, `income_keur`. `water` are lakes
    between them, `stations` points, `main_roads` lines.
    """

    neighbourhoods: gpd.GeoDataFrame
    water: gpd.GeoDataFrame
    stations: gpd.GeoDataFrame
    main_roads: gpd.GeoDataFrame


def make_country(seed: int) -> Country:
    """The demo country of this seed: 40 neighbourhoods, 4 teams, 2 regions, about 31 km2."""
    rng = stream(seed, "country")
    outline = _coast(rng)
    rows, columns = len(LAYOUT), len(LAYOUT[0])
    middles = _middles(outline, rows, columns, rng)
    polygons = divide(outline, middles)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    kinds = [KINDS[LAYOUT[row][column]] for row, column in places]
    frame = gpd.GeoDataFrame({"kind": kinds}, geometry=list(polygons), crs=CRS)
    keys = [(column < CITY_COLUMNS, row < rows // 2) for row, column in places]
    frame["team_id"] = [TEAMS[key][0] for key in keys]
    frame["team_name"] = [TEAMS[key][1] for key in keys]
    frame["region"] = [TEAMS[key][1].split("-")[0] for key in keys]
    is_water = frame["kind"] == "water"
    neighbourhoods = _with_people(frame[~is_water].reset_index(drop=True), rng)
    water = frame.loc[is_water, ["geometry"]].reset_index(drop=True)
    water.insert(0, "name", [f"Demomeer {number}" for number in range(1, len(water) + 1)])
    place_numbers = {place: number for number, place in enumerate(places)}
    return Country(
        neighbourhoods=neighbourhoods,
        water=water.assign(origin=ORIGIN),
        stations=_stations(polygons, place_numbers, rng),
        main_roads=_roads(outline, middles, place_numbers),
    )


def weigh(
    neighbourhoods: gpd.GeoDataFrame, offences: Mapping[str, GeneratedOffence], seed: int
) -> gpd.GeoDataFrame:
    """The neighbourhoods as areas of one total, weighed for every offence.

    Adds `total_id` ('country'), `weight` (inhabitants) and `weight_OFFENCE`: surface times the
    pull of its kind, times chance.
    """
    areas = neighbourhoods.assign(total_id="country", weight=neighbourhoods["inhabitants"])
    for name, offence in offences.items():
        pull = areas["kind"].map(dict(PULL[offence.rhythm])).fillna(0.0)
        chance = np.exp(0.25 * stream(seed, "pull", name).standard_normal(len(areas)))
        areas[f"weight_{name}"] = pull * chance * areas.geometry.area
    return areas


def area_statistics(neighbourhoods: gpd.GeoDataFrame, edition: int, seed: int) -> gpd.GeoDataFrame:
    """Figures per neighbourhood as a statistical office would publish them for `edition` (a year).

    Columns: `area_id`, `area_name`, `edition`, `inhabitants`, `dwellings` (rounded to 5),
    `address_density_km2`, `income_keur` (thousand euro a year), `benefits_share`,
    `owner_occupied_share` (0-1); figures about fewer than 50 inhabitants are missing.
    """
    rng = stream(seed, "area_statistics", str(edition))
    size = len(neighbourhoods)
    grown = 1 + 0.008 * (edition - min(EDITIONS)) + 0.01 * rng.standard_normal(size)
    inhabitants = (neighbourhoods["inhabitants"] * grown / 5).round() * 5
    dwellings = (neighbourhoods["dwellings"] * grown / 5).round() * 5
    income = neighbourhoods["income_keur"] * (1.03 ** (edition - min(EDITIONS)))
    income = (income + 0.4 * rng.standard_normal(size)).round(1)
    benefits = (0.30 - 0.007 * income + 0.01 * rng.standard_normal(size)).clip(0.01, 0.4).round(3)
    owners = (0.02 * income - 0.05 + 0.04 * rng.standard_normal(size)).clip(0.1, 0.95).round(3)
    is_told = inhabitants >= FEWEST_TOLD
    return neighbourhoods[["area_id", "area_name", "geometry"]].assign(
        edition=edition,
        inhabitants=inhabitants.astype(np.int64),
        dwellings=dwellings.astype(np.int64),
        address_density_km2=(dwellings / (neighbourhoods.geometry.area / 1e6)).round(0),
        income_keur=income.where(is_told),
        benefits_share=benefits.where(is_told),
        owner_occupied_share=owners.where(is_told),
        origin=ORIGIN,
    )


def divide(outline: shapely.Polygon, middles: np.ndarray) -> np.ndarray:
    """Parts of a polygon nearest to each of `middles`, x and y in metres (parts, 2).

    All borders are laid on whole metres at once and the parts are built from them, so that they
    share their borders exactly: no gap, no overlap. Returns polygons (parts,), object.

    Raises:
        CasError: a middle gets no part of the polygon.
    """
    borders = shapely.voronoi_polygons(
        shapely.MultiPoint(middles), extend_to=outline.buffer(1000), only_edges=True
    )
    lines = shapely.union_all([borders, outline.boundary], grid_size=1.0)
    faces = np.array(shapely.polygonize(list(shapely.get_parts(lines))).geoms)
    inner = shapely.point_on_surface(faces)
    is_inside = shapely.contains(outline, inner)
    faces, inner = faces[is_inside], inner[is_inside]
    points = np.column_stack([shapely.get_x(inner), shapely.get_y(inner)])
    nearest = ((points[:, None, :] - middles[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
    missing = sorted(set(range(len(middles))) - set(nearest.tolist()))
    if missing:
        raise CasError(
            what="division of a polygon",
            found=f"no part for the middles {missing}",
            expected="every middle inside the polygon and apart from the others",
            do="Give middles that lie inside",
        )
    return np.array([shapely.union_all(faces[nearest == part]) for part in range(len(middles))])


def _coast(rng: np.random.Generator) -> shapely.Polygon:
    """A rounded, wobbling rectangle of `SURFACE_M2` on whole metres."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    flat = np.abs(np.cos(angle) / 1.08) ** _LEVELLED + np.abs(np.sin(angle) / 0.92) ** _LEVELLED
    radius = flat ** (-1 / _LEVELLED)
    for waves in (3, 5, 8):
        radius *= 1 + 0.012 * np.sin(waves * angle + rng.uniform(0, 2 * np.pi))
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    ring *= np.sqrt(SURFACE_M2 / shapely.Polygon(ring).area)
    return shapely.Polygon(np.rint(ring + CENTRE_M))


def _middles(
    outline: shapely.Polygon, rows: int, columns: int, rng: np.random.Generator
) -> np.ndarray:
    """One shaken point per letter of the layout, row by row; (points, 2) on whole metres."""
    west, south, east, north = outline.bounds
    step = np.array([(east - west) / columns, (north - south) / rows])
    column, row = np.meshgrid(np.arange(columns), np.arange(rows)[::-1])
    grid = np.column_stack([column.ravel(), row.ravel()]) + 0.5
    # Pulled a little inwards, so that the corners of the layout stay on land.
    centred = (grid - np.array([columns, rows]) / 2) * 0.96 + np.array([columns, rows]) / 2
    shaken = centred + rng.uniform(-0.24, 0.24, centred.shape)
    middles: np.ndarray = np.rint(np.array([west, south]) + shaken * step)
    return middles


def _with_people(frame: gpd.GeoDataFrame, rng: np.random.Generator) -> gpd.GeoDataFrame:
    size = len(frame)
    density = frame["kind"].map(dict(INHABITANTS_KM2)).astype(float)
    density = density * np.exp(0.2 * rng.standard_normal(size))
    inhabitants = (density * frame.geometry.area / 1e6).round().astype(np.int64)
    numbers = range(1, size + 1)
    frame.insert(0, "area_id", [f"DB{number:02d}" for number in numbers])
    frame.insert(1, "area_name", [f"Demobuurt {number}" for number in numbers])
    income = frame["kind"].map(dict(INCOME_KEUR)).astype(float) + 2.5 * rng.standard_normal(size)
    return frame.assign(
        inhabitants=inhabitants,
        dwellings=(inhabitants / 2.1).round().astype(np.int64),
        income_keur=income.round(1),
        origin=ORIGIN,
    )


def _stations(
    polygons: np.ndarray, numbers: Mapping[tuple[int, int], int], rng: np.random.Generator
) -> gpd.GeoDataFrame:
    inner = shapely.point_on_surface(polygons[[numbers[place] for place in STATION_PLACES]])
    x = np.rint(shapely.get_x(inner) + rng.uniform(-60, 60, inner.size))
    y = np.rint(shapely.get_y(inner) + rng.uniform(-60, 60, inner.size))
    names = [f"Demostation {number}" for number in range(1, inner.size + 1)]
    frame = pd.DataFrame({"name": names, "origin": ORIGIN})
    return gpd.GeoDataFrame(frame, geometry=shapely.points(x, y), crs=CRS)


def _roads(
    outline: shapely.Polygon, middles: np.ndarray, numbers: Mapping[tuple[int, int], int]
) -> gpd.GeoDataFrame:
    def line(places: Iterable[tuple[int, int]]) -> shapely.LineString:
        return shapely.LineString(middles[[numbers[place] for place in places]])

    frame = pd.DataFrame({"name": [name for name, _ in ROADS], "origin": ORIGIN})
    lines = [line(places).intersection(outline) for _, places in ROADS]
    return gpd.GeoDataFrame(frame, geometry=lines, crs=CRS)
