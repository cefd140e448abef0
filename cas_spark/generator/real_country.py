"""A real country as the generator takes it: areas, yearly totals and how unevenly crime is spread.

The totals are those of real municipalities, which know their areas' polygons and people but not
where in an area crime happens: that is made up. Where the figures lack a municipality in a year, or
a year as a whole, `filled` fills them in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio

from cas_spark.errors import CasError
from cas_spark.generator.streams import stream
from cas_spark.settings.generator import GeneratedOffence, RealCountry
from cas_spark.settings.geography import Layer

INHABITANTS_EVERYWHERE_KM2: Final = 20.0
"""Added to what an area weighs, so that crime also happens where no person lives."""

CHANCE: Final = 0.5
"""Spread of the logarithm of what makes two equal areas differ, for all offences alike."""

OWN_CHANCE: Final = 0.2
"""The same, for each offence apart."""

STEEPEST: Final = 12.0
_STEPS: Final = 40


@dataclass(frozen=True)
class Country:
    """What was read of a real country.

    Attributes:
        areas: polygons with area_id, total_id (the municipality that each lies in) and weight.
        figures: rows of the file of yearly figures that have one of the municipalities, with the
            columns total_id and year added.
        gini: of crime over the areas of each municipality, by its id.
    """

    areas: gpd.GeoDataFrame
    figures: pd.DataFrame
    gini: pd.Series


def read_country(settings: RealCountry) -> Country:
    """Read the files of a real country.

    Raises:
        CasError: a file or a column is not there.
    """
    of_areas, of_municipalities = settings.areas, settings.municipalities
    areas = _read_layer(of_areas, [of_areas.id, of_areas.weight])
    municipalities = _read_layer(of_municipalities, [of_municipalities.id]).to_crs(areas.crs)
    figures = _read_table(settings.figures.path, "parquet")
    concentrations = _read_table(settings.concentrations.path, "csv")
    _require(figures, settings.figures.path, [settings.figures.municipality, settings.figures.year])
    of_gini = settings.concentrations
    _require(concentrations, of_gini.path, [of_gini.municipality, of_gini.gini])
    figures = figures.assign(
        total_id=figures[settings.figures.municipality].astype(str),
        year=figures[settings.figures.year].astype(int),
    )
    area = gpd.GeoDataFrame(
        {
            "area_id": areas[of_areas.id].astype(str),
            "total_id": _municipality_of(areas, municipalities, of_municipalities.id),
            "weight": areas[of_areas.weight].fillna(0).clip(lower=0).astype(float),
        },
        geometry=areas.geometry,
        crs=areas.crs,
    )
    ids = of_gini.prefix + concentrations[of_gini.municipality].astype(str)
    gini = pd.Series(concentrations[of_gini.gini].to_numpy(float), index=ids)
    known = figures["total_id"].isin(set(area["total_id"]))
    return Country(area, figures[known].reset_index(drop=True), gini)


def totals_of(
    country: Country,
    settings: RealCountry,
    offences: Mapping[str, GeneratedOffence],
    years: Iterable[int],
) -> pd.DataFrame:
    """Yearly totals as `generate_incidents` takes them.

    An offence with a `figure` has the municipalities' own numbers, others are shared out over them
    like `spread_like`, so that they add up.

    Raises:
        CasError: the figures lack a column, or hold nothing in it.
    """
    columns = sorted({o.figure for o in offences.values() if o.figure} | {settings.spread_like})
    _require(country.figures, settings.figures.path, columns)
    wanted = list(years)
    tables = {
        column: filled(
            country.figures.pivot_table(index="total_id", columns="year", values=column), wanted
        )
        for column in columns
    }
    empty = [column for column, table in tables.items() if table.empty]
    if empty:
        raise CasError(
            what=f"figures {settings.figures.path}",
            found=f"no number in {', '.join(empty)} for any municipality",
            expected="numbers of incidents per municipality and year",
            do="Mend generator.country.figures, or the offences' figure",
        )
    parts = []
    for name, offence in offences.items():
        if offence.figure is not None:
            table = tables[offence.figure].round().astype(int)
        else:
            like = tables[settings.spread_like]
            table = like.copy().astype(int)
            for year in wanted:
                number = offence.incidents_in(year, wanted[0])
                table[year] = shared_out(like[year].to_numpy(float), number)
        long = table.reset_index().melt("total_id", var_name="year", value_name="incidents")
        parts.append(long.assign(offence=name))
    return pd.concat(parts, ignore_index=True)[["total_id", "offence", "year", "incidents"]]


def filled(table: pd.DataFrame, years: list[int]) -> pd.DataFrame:
    """Numbers of every municipality in every year, from those that are known.

    A municipality that a year of the file lacks (it was formed later, or reported nothing) gets its
    number of the nearest year that has it, times the change between the two years of all
    municipalities that both have. Years between those of the file are interpolated; those before
    or after are as the nearest.

    Args:
        table: a row per municipality and a column per year; NaN where there is no figure.
        years: that are wanted.
    """
    known = table.dropna(how="all").dropna(how="all", axis=1).sort_index(axis=1)
    whole = known.copy()
    for year in known.columns:
        for municipality in known.index[known[year].isna()]:
            known_years = known.loc[municipality].dropna().index
            nearest = min(known_years, key=lambda other: (abs(other - year), other))
            both = known[[year, nearest]].dropna()
            change = both[year].sum() / max(both[nearest].sum(), 1.0)
            whole.loc[municipality, year] = known.loc[municipality, nearest] * change
    every = sorted({*whole.columns, *years})
    wide = whole.reindex(columns=every).astype(float)
    return wide.interpolate(axis=1, method="index", limit_direction="both")[years]


def shared_out(weights: np.ndarray, number: int) -> np.ndarray:
    """Whole numbers that add up to `number`, as near to the weights' shares as can be."""
    exact = weights / weights.sum() * number
    whole = np.floor(exact).astype(np.int64)
    largest = np.argsort(-(exact - whole), kind="stable")[: number - int(whole.sum())]
    whole[largest] += 1
    return np.asarray(whole)


def weigh_areas(
    country: Country, offences: Mapping[str, GeneratedOffence], seed: int
) -> gpd.GeoDataFrame:
    """The areas, weighed for every offence so that crime is as uneven as in the figures.

    Within each municipality an area's weight is its people and some of its surface, times chance,
    to the power that gives the municipality's Gini coefficient over its areas. A municipality whose
    coefficient is missing gets the middle one.

    Returns:
        The areas with `weight_OFFENCE` for each offence.
    """
    areas = country.areas.reset_index(drop=True)
    surface = areas.geometry.area.to_numpy() / 1e6
    chance = stream(seed, "areas").standard_normal(len(areas))
    base = areas["weight"].to_numpy() + INHABITANTS_EVERYWHERE_KM2 * surface
    log_weight = np.log(base.clip(min=1e-9)) + CHANCE * chance
    middle = float(country.gini.median())
    for total_id, rows in areas.groupby("total_id").indices.items():
        asked = float(country.gini.get(str(total_id), middle))
        log_weight[rows] = as_uneven_as(log_weight[rows], asked)
    for name in offences:
        own = stream(seed, "areas", name).standard_normal(len(areas))
        areas[f"weight_{name}"] = np.exp(log_weight + OWN_CHANCE * own)
    return areas


def as_uneven_as(log_weights: np.ndarray, asked: float) -> np.ndarray:
    """Logarithms of weights, stretched until the weights have a Gini coefficient; largest at 0."""
    below = log_weights - log_weights.max()
    low, high = 0.0, STEEPEST
    for _ in range(_STEPS):
        power = (low + high) / 2
        if gini_of(np.exp(power * below)) < asked:
            low = power
        else:
            high = power
    stretched: np.ndarray = (low + high) / 2 * below
    return stretched


def gini_of(values: np.ndarray) -> float:
    """The Gini coefficient of some numbers: half their mean difference over their mean."""
    ordered = np.sort(values)
    number, total = len(ordered), ordered.sum()
    if total <= 0:
        return 0.0
    places = np.arange(1, number + 1)
    return float(2 * (places * ordered).sum() / (number * total) - (number + 1) / number)


def _municipality_of(
    areas: gpd.GeoDataFrame, municipalities: gpd.GeoDataFrame, id_column: str
) -> np.ndarray:
    """For each area the municipality that a point well inside it lies in, or the nearest."""
    points = gpd.GeoDataFrame(geometry=areas.representative_point(), crs=areas.crs)
    points = points.reset_index(drop=True)
    found = points.sjoin_nearest(municipalities[[id_column, "geometry"]])
    first = found[~found.index.duplicated()].sort_index()
    return np.asarray(first[id_column].astype(str))


def _read_layer(layer: Layer, columns: list[str]) -> gpd.GeoDataFrame:
    try:
        frame = gpd.read_file(layer.path, layer=layer.layer)
    except (OSError, ValueError, pyogrio.errors.DataSourceError) as error:
        raise _unreadable(f"layer {layer.layer} of {layer.path}", error) from error
    _require(frame, f"{layer.path}, layer {layer.layer}", columns)
    return frame


def _read_table(path: str, kind: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(path) if kind == "parquet" else pd.read_csv(path, dtype=str)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(what: str, error: Exception) -> CasError:
    return CasError(
        what=what,
        found=str(error),
        expected="a file that can be read",
        do="Mend generator.country in the settings",
    )


def _require(frame: pd.DataFrame, what: str, columns: Iterable[str]) -> None:
    missing = sorted(set(columns) - set(frame.columns))
    if missing:
        raise CasError(
            what=what,
            found=f"no columns {', '.join(missing)}",
            expected=f"columns among {', '.join(sorted(map(str, frame.columns)))}",
            do="Mend generator.country in the settings",
        )
