"""Two made-up towns, and burglaries in them."""

from datetime import date
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd
import shapely

from cas_spark.settings.generator import GeneratedOffence
from cas_spark.sources.generator import generate_incidents

ZONE = ZoneInfo("Europe/Amsterdam")
WINDOW = (date(2020, 1, 1), date(2023, 1, 1))
END = date(2023, 1, 1)

BURGLARY = GeneratedOffence(
    code="A10", rhythm="dwelling", incidents_per_year=0, near_repeat_share=0.3
)
FIGHT = GeneratedOffence(code="P50", rhythm="person", incidents_per_year=0)


def two_towns() -> gpd.GeoDataFrame:
    """A square and a triangle of 1.5 km; the second attracts three times as much."""
    square = shapely.box(10_000, 500_000, 11_500, 501_500)
    triangle = shapely.Polygon([(11_500, 500_000), (13_000, 500_000), (11_500, 501_500)])
    return gpd.GeoDataFrame(
        {"area_id": ["a", "b"], "total_id": ["t1", "t2"], "weight": [1.0, 3.0]},
        geometry=[square, triangle],
        crs="EPSG:28992",
    )


def yearly(counts: dict[str, int], offences: list[str]) -> pd.DataFrame:
    rows = [
        (total_id, offence, year, count)
        for total_id, count in counts.items()
        for offence in offences
        for year in (2020, 2021, 2022)
    ]
    return pd.DataFrame(rows, columns=["total_id", "offence", "year", "incidents"])


def burglaries(
    offence: GeneratedOffence = BURGLARY, seed: int = 1, in_t1: int = 1500, in_t2: int = 700
) -> pd.DataFrame:
    totals = yearly({"t1": in_t1, "t2": in_t2}, ["burglary"])
    return generate_incidents(
        two_towns(), totals, {"burglary": offence}, window=WINDOW, seed=seed, zone=ZONE
    )
