"""Made-up incidents as they truly happened: a function of polygons, totals and a seed.

Every incident first gets a place and a day of its own. A declared share then moves to follow
another incident near it in space and time (a self-exciting process after Mohler and others 2011,
cut off after two generations), so that totals are met exactly whatever that share is.

Times are local wall-clock times without a zone; those that clocks skip in spring do not occur.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cas_spark.errors import CasError
from cas_spark.generator.places import OWN_PART, Places, place_shares, scatter_places, sigma_of_gini
from cas_spark.generator.rhythms import (
    CITIZEN_DELAYS,
    POLICE_DELAY_HOURS,
    RHYTHMS,
    Rhythm,
    day_weights,
)
from cas_spark.generator.streams import stream
from cas_spark.settings.generator import GeneratedOffence

NEAR_REPEAT_M: Final = 200.0
NEAR_REPEAT_DAYS: Final = 21
NEAR_REPEAT_MEAN_DAYS: Final = 7.0
PLACE_PERSISTENCE: Final = 0.9  # correlation of a place's own part from one year to the next
JITTER_M: Final = 25.0

_TRIES: Final = 12
_HOUR, _DAY = 3600, 86400
_ROUNDED_TO_S: Final = 300  # people give intervals in steps of five minutes
_BEYOND_DAYS: Final = 2**20


def generate_incidents(
    areas: gpd.GeoDataFrame,
    totals: pd.DataFrame,
    offences: Mapping[str, GeneratedOffence],
    *,
    window: tuple[date, date],
    seed: int,
    zone: ZoneInfo,
    places_per_km2: float = 64,
) -> pd.DataFrame:
    """Incidents inside `areas`, as many as `totals` say.

    Args:
        areas: polygons in a projected CRS in metres, with the columns `area_id` (unique),
            `total_id` (to which total the area belongs) and `weight`, or `weight_OFFENCE` where an
            offence has a pull of its own: the area's expected part of its total.
        totals: one row per total, offence and calendar year, with the columns `total_id`,
            `offence`, `year`, `incidents` (of the whole year). A year that the window cuts counts
            for the part of its season and weekdays inside, rounded.
        offences: how each offence is spread; the names are those in `totals`.
        window: first day, and the day after the last, on which incidents happen.
        seed: the same seed gives the same incidents; an added offence changes no other.
        zone: in whose clocks skipped hours do not occur.
        places_per_km2: density of the places at which incidents happen.

    Returns:
        One row per incident, sorted by `known_at`: `offence`, `area_id`, `x`, `y` (metres, in the
        CRS of the areas), `occurred_at` (the true moment, which is in no extract), `occurred_from`,
        `occurred_until`, `known_at` (local, datetime64[s]), `reported_by` (citizen or police),
        `is_near_repeat`.

    Raises:
        CasError: what is asked is impossible, such as a total without areas.
    """
    _check(areas, totals, offences, window)
    areas = areas.assign(total_id=areas["total_id"].astype(str))
    areas = areas.sort_values(["total_id", "area_id"], ignore_index=True)
    total_ids, area_total = np.unique(areas["total_id"].to_numpy(str), return_inverse=True)
    country = _Country(
        polygons=np.asarray(areas.geometry),
        total=area_total,
        places=scatter_places(areas, places_per_km2, seed),
        first_day=_day_number(window[0]),
        last_day=_day_number(window[1]) - 1,
    )
    parts = []
    for name in sorted(set(totals["offence"])):
        asked = totals[totals["offence"] == name].sort_values(["year", "total_id"])
        asked = asked.assign(total=np.searchsorted(total_ids, asked["total_id"].to_numpy(str)))
        weight = areas[f"weight_{name}" if f"weight_{name}" in areas else "weight"].to_numpy(float)
        weight = weight / np.bincount(area_total, weight)[area_total].clip(min=1e-300)
        rng = stream(seed, "incidents", name)
        part = _offence_incidents(country, asked, weight, offences[name], rng)
        parts.append(part.assign(offence=name))
    incidents = pd.concat(parts, ignore_index=True)
    incidents["area_id"] = areas["area_id"].to_numpy(object)[incidents.pop("area")]
    for column in ("occurred_at", "occurred_from", "occurred_until", "known_at"):
        incidents[column] = _on_the_clock(incidents[column].to_numpy(), zone)
    order = ["known_at", "offence", "x", "y", "occurred_at"]
    incidents = incidents.sort_values(order, ignore_index=True, kind="stable")
    first = ["offence", "area_id"]
    return incidents[first + [column for column in incidents if column not in first]]


@dataclass(frozen=True)
class _Country:
    polygons: np.ndarray  # (areas,) sorted by total
    total: np.ndarray  # (areas,) number of the total, ascending
    places: Places
    first_day: int  # of the window, days since 1970-01-01
    last_day: int  # of the window, included


@dataclass
class _Drawn:
    """Incidents while they are being drawn; all arrays (incidents,)."""

    area: np.ndarray
    x: np.ndarray
    y: np.ndarray
    day: np.ndarray
    first_day: np.ndarray  # of the year, inside the window
    last_day: np.ndarray
    is_near_repeat: np.ndarray

    def key(self, total: np.ndarray) -> np.ndarray:
        """Total and day as one number that sorts by both; (incidents,) int64."""
        key: np.ndarray = total[self.area] * _BEYOND_DAYS + self.day
        return key


def _offence_incidents(
    country: _Country,
    asked: pd.DataFrame,
    area_weight: np.ndarray,
    offence: GeneratedOffence,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """The incidents of one offence; `asked` is sorted by year and numbers its `total`."""
    rhythm = RHYTHMS[offence.rhythm]
    drawn = _draw_independent(country, asked, area_weight, offence, rng)
    follows = rng.random(drawn.day.size) < offence.near_repeat_share
    second = rng.integers(0, 2, drawn.day.size) == 1
    _move_to_earlier(country, drawn, np.flatnonzero(follows & ~second), ~follows, rng)
    parents = ~follows | drawn.is_near_repeat
    _move_to_earlier(country, drawn, np.flatnonzero(follows & second), parents, rng)
    times = _draw_times(drawn.day, country.first_day, rhythm, rng)
    return pd.DataFrame(
        {
            "area": drawn.area,
            "x": drawn.x,
            "y": drawn.y,
            **times,
            "is_near_repeat": drawn.is_near_repeat,
        }
    )


def _draw_independent(
    country: _Country,
    asked: pd.DataFrame,
    area_weight: np.ndarray,
    offence: GeneratedOffence,
    rng: np.random.Generator,
) -> _Drawn:
    """A place by its intensity of that year and a day by the season, for every incident."""
    places, rhythm = country.places, RHYTHMS[offence.rhythm]
    sigma = sigma_of_gini(offence.concentration)
    own = rng.standard_normal(places.x.size)
    totals = np.arange(country.total[-1] + 1)
    place_total = country.total[places.area]
    starts = np.searchsorted(place_total, totals)
    ends = np.searchsorted(place_total, totals, side="right")
    parts: list[tuple[np.ndarray, np.ndarray, int, int]] = []  # place, day, first and last day
    for year, rows in asked.groupby("year", sort=True):
        fresh = rng.standard_normal(places.x.size)
        own = PLACE_PERSISTENCE * own + np.sqrt(1 - PLACE_PERSISTENCE**2) * fresh
        whole = _year_days(int(str(year)))
        first = max(whole[0], country.first_day)
        last = min(whole[1], country.last_day)
        if first > last:
            continue
        inside = day_weights(rhythm, first, last)
        part = inside.sum() / day_weights(rhythm, *whole).sum()
        wanted = rows["incidents"].to_numpy(np.int64)
        counts = wanted if (first, last) == whole else np.rint(wanted * part).astype(np.int64)
        log_intensity = sigma * (np.sqrt(1 - OWN_PART) * places.shared + np.sqrt(OWN_PART) * own)
        shares = np.concatenate([[0], np.cumsum(place_shares(places, log_intensity, area_weight))])
        total = np.repeat(rows["total"].to_numpy(), counts)
        low, high = shares[starts[total]], shares[ends[total]]
        drawn = low + (rng.random(total.size) * (high - low)).astype(np.int64)
        place = np.searchsorted(shares, drawn, side="right") - 1
        reached = np.cumsum(inside)
        day = first + np.searchsorted(reached, rng.random(total.size) * reached[-1], side="right")
        parts.append((place, np.minimum(day, last), first, last))
    none = np.empty(0, np.int64)
    place = np.concatenate([none, *(part[0] for part in parts)])
    area = places.area[place]
    x, y = _beside(country, places.x[place], places.y[place], area, rng)
    return _Drawn(
        area=area,
        x=x,
        y=y,
        day=np.concatenate([none, *(part[1] for part in parts)]),
        first_day=np.concatenate([none, *(np.full(p[0].size, p[2]) for p in parts)]),
        last_day=np.concatenate([none, *(np.full(p[0].size, p[3]) for p in parts)]),
        is_near_repeat=np.zeros(place.size, dtype=bool),
    )


def _beside(
    country: _Country, x: np.ndarray, y: np.ndarray, area: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points some metres from x, y (points,); x, y themselves where those leave the area."""
    near_x = np.round(x + JITTER_M * rng.standard_normal(x.size), 1)
    near_y = np.round(y + JITTER_M * rng.standard_normal(y.size), 1)
    inside = shapely.contains_xy(country.polygons[area], near_x, near_y)
    return np.where(inside, near_x, x), np.where(inside, near_y, y)


def _move_to_earlier(
    country: _Country,
    drawn: _Drawn,
    followers: np.ndarray,
    parents: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Move `followers` (numbers) near an incident of their total among `parents` (a mask).

    Days after the parent fall off exponentially, the distance is even up to `NEAR_REPEAT_M`. Who
    finds no parent from which it stays in its own year and the parent's area remains where it is.
    Changes `drawn`.
    """
    numbers = np.flatnonzero(parents)
    keys = drawn.key(country.total)[numbers]
    order = np.argsort(keys, kind="stable")
    numbers, keys = numbers[order], keys[order]
    total = country.total[drawn.area] * _BEYOND_DAYS
    earliest = drawn.first_day - NEAR_REPEAT_DAYS + 1
    low = np.searchsorted(keys, (total + earliest)[followers])
    high = np.searchsorted(keys, (total + drawn.last_day)[followers], side="right")
    has_parents = low < high
    followers, low, high = followers[has_parents], low[has_parents], high[has_parents]
    for _ in range(_TRIES):
        if not followers.size:
            break
        parent = numbers[low + (rng.random(followers.size) * (high - low)).astype(np.int64)]
        cut = 1 - np.exp(-NEAR_REPEAT_DAYS / NEAR_REPEAT_MEAN_DAYS)
        delay = -NEAR_REPEAT_MEAN_DAYS * np.log1p(-cut * rng.random(followers.size))
        day = drawn.day[parent] + delay.astype(np.int64)
        radius = (NEAR_REPEAT_M - 1) * rng.random(followers.size)
        angle = 2 * np.pi * rng.random(followers.size)
        x = np.round(drawn.x[parent] + radius * np.cos(angle), 1)
        y = np.round(drawn.y[parent] + radius * np.sin(angle), 1)
        area = drawn.area[parent]
        fits = (day >= drawn.first_day[followers]) & (day <= drawn.last_day[followers])
        fits &= shapely.contains_xy(country.polygons[area], x, y)
        moved = followers[fits]
        drawn.day[moved], drawn.area[moved] = day[fits], area[fits]
        drawn.x[moved], drawn.y[moved] = x[fits], y[fits]
        drawn.is_near_repeat[moved] = True
        followers, low, high = followers[~fits], low[~fits], high[~fits]


def _draw_times(
    day: np.ndarray, window_starts: int, rhythm: Rhythm, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """True moment, interval in which it must lie, when it became known and through whom.

    `day` (incidents,) since 1970-01-01; returns seconds since then, int64 (incidents,), and texts.
    """
    size = day.size
    reached = np.cumsum(rhythm.hours)
    hour = np.searchsorted(reached, rng.random(size) * reached[-1], side="right")
    moment = day * _DAY + np.minimum(hour, 23) * _HOUR + rng.integers(0, _HOUR, size)

    spread = np.exp(rhythm.interval_sigma * rng.standard_normal(size))
    hours = np.minimum(rhythm.interval_median_hours * spread, 24 * rhythm.interval_longest_days)
    length = hours * _HOUR
    length *= rng.random(size) < rhythm.interval_share
    before = (length * rng.random(size)).astype(np.int64)
    starts = (moment - before) // _ROUNDED_TO_S * _ROUNDED_TO_S
    ends = -(-(starts + length.astype(np.int64)) // _ROUNDED_TO_S) * _ROUNDED_TO_S
    starts = np.where(length > 0, np.maximum(starts, window_starts * _DAY), moment)
    ends = np.where(length > 0, np.maximum(ends, moment), moment)

    by_police = rng.random(size) < rhythm.found_by_police_share
    means = np.array([mean for _, mean in CITIZEN_DELAYS])
    shares = np.cumsum([share for share, _ in CITIZEN_DELAYS])
    kind = np.searchsorted(shares, rng.random(size) * shares[-1], side="right")
    mean = np.where(by_police, POLICE_DELAY_HOURS, means[np.minimum(kind, means.size - 1)])
    delay = (mean * _HOUR * rng.standard_exponential(size)).astype(np.int64)
    return {
        "occurred_at": moment,
        "occurred_from": starts,
        "occurred_until": ends,
        "known_at": -(-(ends + delay) // 60) * 60,
        "reported_by": np.where(by_police, "police", "citizen"),
    }


def _on_the_clock(seconds: np.ndarray, zone: ZoneInfo) -> pd.Series:
    """Local wall-clock times, those that clocks skip moved to the next that they show."""
    local = pd.DatetimeIndex(seconds.astype("datetime64[s]"))
    shown = local.tz_localize(
        zone, ambiguous=np.ones(len(local), dtype=bool), nonexistent="shift_forward"
    )
    return pd.Series(shown.tz_localize(None).as_unit("s"))


def _day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _year_days(year: int) -> tuple[int, int]:
    """First and last day of a calendar year, since 1970-01-01."""
    return _day_number(date(year, 1, 1)), _day_number(date(year + 1, 1, 1)) - 1


def _check(
    areas: gpd.GeoDataFrame,
    totals: pd.DataFrame,
    offences: Mapping[str, GeneratedOffence],
    window: tuple[date, date],
) -> None:
    """Refuse what cannot be generated, with all that is wrong at once."""
    problems = _column_problems(areas, totals, offences)
    if window[0] >= window[1]:
        problems.append(f"the window {window[0]} to {window[1]} holds no day")
    if areas.crs is None or not areas.crs.is_projected:
        problems.append("the areas have no projected CRS in metres")
    if not problems:
        problems = _area_problems(areas, totals)
    if problems:
        raise CasError(
            what="generated incidents",
            found="; ".join(problems),
            expected="polygons with an area and a weight for every total",
            do="Mend the areas, the totals or the generator's settings",
        )


def _column_problems(
    areas: gpd.GeoDataFrame, totals: pd.DataFrame, offences: Mapping[str, GeneratedOffence]
) -> list[str]:
    problems = []
    missing = sorted({"area_id", "total_id", "geometry"} - set(areas.columns))
    if missing:
        problems.append(f"areas without the columns {missing}")
    missing = sorted({"total_id", "offence", "year", "incidents"} - set(totals.columns))
    if missing:
        return [*problems, f"totals without the columns {missing}"]
    names = set(totals["offence"])
    unknown = sorted(names - set(offences))
    if unknown:
        problems.append(f"totals of undeclared offences {unknown}")
    if "weight" not in areas and any(f"weight_{name}" not in areas for name in names):
        problems.append("areas without a weight")
    if totals.empty:
        problems.append("no totals")
    elif (totals["incidents"] < 0).any() or totals["incidents"].isna().any():
        problems.append("totals that are missing or below 0")
    if totals.duplicated(["total_id", "offence", "year"]).any():
        problems.append("totals twice for the same total_id, offence and year")
    return problems


def _area_problems(areas: gpd.GeoDataFrame, totals: pd.DataFrame) -> list[str]:
    problems = []
    flat = areas.loc[~(areas.geometry.area > 0), "area_id"].tolist()
    if flat:
        problems.append(f"areas of no surface {flat[:5]}")
    if areas["area_id"].duplicated().any():
        problems.append("areas with the same area_id")
    wanted = totals[totals["incidents"] > 0]
    for name, of_name in wanted.groupby("offence"):
        column = f"weight_{name}" if f"weight_{name}" in areas else "weight"
        weight = areas[column].astype(float)
        if weight.isna().any() or (weight < 0).any():
            problems.append(f"{column} is missing or below 0 in some areas")
        pull = weight.groupby(areas["total_id"].astype(str)).sum()
        empty = sorted(set(of_name["total_id"].astype(str)) - set(pull.index[pull > 0]))
        if empty:
            problems.append(f"totals of {name} without areas of any weight: {empty[:5]}")
    return problems
