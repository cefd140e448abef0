"""Two made-up towns, and burglaries in them."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import pandas as pd
import shapely

from cas_spark.generator import generate_incidents
from cas_spark.settings.generator import GeneratedOffence, RealCountry

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


def written_country(folder: Path) -> RealCountry:
    """The two towns as the files of a real country; 200 and 100 burglaries a year."""
    folder.mkdir(exist_ok=True)
    areas = two_towns().drop(columns="total_id")
    areas.to_file(folder / "areas.gpkg", layer="areas")
    towns = two_towns().rename(columns={"total_id": "town"})[["town", "geometry"]]
    towns.to_file(folder / "towns.gpkg", layer="towns")
    rows = [("t1", 200), ("t2", 100)]
    figures = [(town, year, n) for town, n in rows for year in (2020, 2021, 2022)]
    table = pd.DataFrame(figures, columns=["town", "year", "burglaries"])
    table.to_parquet(folder / "figures.parquet")
    gini = pd.DataFrame({"town": ["1", "2"], "gini": [0.3, 0.3]})
    gini.to_csv(folder / "gini.csv", index=False)
    return RealCountry.model_validate(
        {
            "areas": {
                "path": str(folder / "areas.gpkg"),
                "layer": "areas",
                "id": "area_id",
                "weight": "weight",
            },
            "municipalities": {
                "path": str(folder / "towns.gpkg"),
                "layer": "towns",
                "id": "town",
            },
            "figures": {
                "path": str(folder / "figures.parquet"),
                "municipality": "town",
                "year": "year",
            },
            "spread_like": "burglaries",
            "concentrations": {
                "path": str(folder / "gini.csv"),
                "municipality": "town",
                "prefix": "t",
                "gini": "gini",
            },
        }
    )
