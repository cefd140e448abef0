"""The fixed places at which incidents happen, and how unevenly they attract them."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import geopandas as gpd
import numpy as np
import shapely

from cas_spark.generator.streams import stream

# Parts of the variance of a place's log intensity: shared by all offences and smooth over
# hundreds of metres, shared and of the place alone, the offence's own and drifting over the years.
SMOOTH_PART: Final = 0.40
SHARED_PART: Final = 0.30
OWN_PART: Final = 0.30
SMOOTH_LENGTH_M: Final = 350.0
SMOOTH_WAVES: Final = 48

_SCATTER_ROUNDS: Final = 200
_FIXED_POINT: Final = 2.0**40


@dataclass(frozen=True)
class Places:
    """Points inside areas, sorted by area.

    `x`, `y` float64 (places,) in metres, to 0.1 m; `area` int64 (places,) row of the area;
    `shared` float64 (places,) standard normal part of the log intensity that all offences share.
    """

    x: np.ndarray
    y: np.ndarray
    area: np.ndarray
    shared: np.ndarray


def scatter_places(areas: gpd.GeoDataFrame, places_per_km2: float, seed: int) -> Places:
    """Places spread evenly over every polygon, at least one in each."""
    polygons = np.asarray(areas.geometry)
    counts = np.maximum(1, np.rint(shapely.area(polygons) / 1e6 * places_per_km2)).astype(np.int64)
    rng = stream(seed, "places")
    x, y, area = scatter_points(polygons, counts, rng)
    smooth = smooth_field(x, y, rng)
    own = rng.standard_normal(x.size)
    parts = SMOOTH_PART + SHARED_PART
    shared = np.sqrt(SMOOTH_PART / parts) * smooth + np.sqrt(SHARED_PART / parts) * own
    return Places(x, y, area, shared)


def scatter_points(
    polygons: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`counts` (polygons,) even random points in each polygon, to 0.1 m.

    Returns x, y float64 and the polygon's number int64, each (points,), sorted by polygon. Where a
    polygon is so thin that none of 200 tries falls inside, its point on the surface stands in.
    """
    shapely.prepare(polygons)
    area = np.repeat(np.arange(len(polygons)), counts)
    west, south, east, north = shapely.bounds(polygons).T
    x, y = np.empty(area.size), np.empty(area.size)
    tried = np.arange(area.size)
    for _ in range(_SCATTER_ROUNDS):
        if not tried.size:
            break
        box = area[tried]
        x[tried] = np.round(west[box] + rng.random(tried.size) * (east - west)[box], 1)
        y[tried] = np.round(south[box] + rng.random(tried.size) * (north - south)[box], 1)
        tried = tried[~shapely.contains_xy(polygons[box], x[tried], y[tried])]
    if tried.size:
        surface = shapely.point_on_surface(polygons[area[tried]])
        x[tried], y[tried] = shapely.get_x(surface), shapely.get_y(surface)
    return x, y, area


def smooth_field(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A nearly standard normal field that is alike within some hundreds of metres.

    Random Fourier features of a Gaussian kernel (Rahimi and Recht 2007). x, y in metres (points,);
    returns float64 (points,).
    """
    field = np.zeros(x.size)
    for _ in range(SMOOTH_WAVES):
        wave_x, wave_y = rng.standard_normal(2) / SMOOTH_LENGTH_M
        field += np.cos(wave_x * x + wave_y * y + rng.uniform(0, 2 * np.pi))
    field *= np.sqrt(2 / SMOOTH_WAVES)
    return field


def sigma_of_gini(gini: float) -> float:
    """Sigma of the lognormal distribution with this Gini coefficient.

    Gini = 2 Phi(sigma / sqrt 2) - 1 (Aitchison and Brown 1957).
    """
    return float(np.sqrt(2) * NormalDist().inv_cdf((gini + 1) / 2))


def place_shares(places: Places, log_intensity: np.ndarray, area_weight: np.ndarray) -> np.ndarray:
    """Each place's share, as a whole number: an area's weight spread over its places.

    `log_intensity` float64 (places,); `area_weight` float64 (areas,), sums to 1 per total. Whole
    numbers (units of 2**-40) make every later sum exact. Returns int64 (places,).
    """
    intensity = np.exp(log_intensity)
    of_area = np.bincount(places.area, intensity, minlength=area_weight.size)
    share = intensity * (area_weight / of_area)[places.area]
    whole: np.ndarray = np.rint(share * _FIXED_POINT).astype(np.int64)
    return whole
