"""The made-up country, and the suspects and statistics that are delivered with it."""

from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cas_spark.errors import CasError
from cas_spark.generator import generate
from cas_spark.generator.country import EDITIONS, Country, divide, make_country
from cas_spark.settings import load_settings

DEMO = Path(__file__).parents[2] / "conf" / "demo.yaml"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = load_settings(DEMO)
    folder = tmp_path_factory.mktemp("country") / "extracts"
    assert settings.generator is not None
    generator = settings.generator.model_copy(update={"folder": str(folder)})
    generate(settings.model_copy(update={"generator": generator}))
    return folder


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 20250106])
def test_neighbourhoods_share_their_borders_without_gap_or_overlap(seed: int) -> None:
    country = make_country(seed)
    parts = pd.concat([country.neighbourhoods.geometry, country.water.geometry])
    whole = shapely.union_all(parts.to_numpy())
    assert isinstance(whole, shapely.Polygon)
    assert not whole.interiors
    assert whole.area == parts.area.sum()
    assert parts.area.min() > 100_000


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_size_teams_and_regions(seed: int) -> None:
    areas = make_country(seed).neighbourhoods
    assert len(areas) == 40
    assert areas["team_id"].nunique() == 4
    assert areas.groupby("team_id")["region"].nunique().eq(1).all()
    assert areas["region"].nunique() == 2
    assert areas["team_name"].str.startswith("Demo").all()
    assert 1600 <= cells_touched(areas) <= 2400


def cells_touched(areas: gpd.GeoDataFrame) -> int:
    west, south, east, north = np.floor(areas.total_bounds / 125)
    column, row = np.meshgrid(np.arange(west, east + 1), np.arange(south, north + 1))
    x, y = column.ravel() * 125, row.ravel() * 125
    country = areas.union_all()
    shapely.prepare(country)
    return int(shapely.intersects(country, shapely.box(x, y, x + 125, y + 125)).sum())


def test_it_lies_in_the_sea() -> None:
    west, south, east, north = make_country(1).neighbourhoods.to_crs(4326).total_bounds
    assert 3.2 < west < east < 3.6
    assert 52.9 < south < north < 53.1


def test_the_same_seed_gives_the_same_country_and_another_seed_another() -> None:
    def borders(country: Country) -> bytes:
        return shapely.to_wkb(shapely.union_all(country.neighbourhoods.geometry.to_numpy()))

    assert borders(make_country(1)) == borders(make_country(1))
    assert borders(make_country(1)) != borders(make_country(2))


def test_a_middle_outside_the_polygon_is_refused() -> None:
    with pytest.raises(CasError, match="no part"):
        divide(shapely.box(0, 0, 100, 100), np.array([[50.0, 50.0], [500.0, 500.0]]))


def test_layers_are_complete(demo: Path) -> None:
    teams = gpd.read_file(demo / "teams.gpkg", layer="neighbourhoods")
    assert teams.crs.to_epsg() == 28992
    stations = gpd.read_file(demo / "stations.gpkg", layer="stations")
    roads = gpd.read_file(demo / "main_roads.gpkg", layer="main_roads")
    country = shapely.buffer(teams.union_all(), 1500)
    assert set(stations.geom_type) == {"Point"}
    assert set(roads.geom_type) == {"LineString"}
    assert stations.within(country).all()
    assert roads.within(country).all()


def test_statistics_come_in_two_editions_that_differ(demo: Path) -> None:
    old, new = (
        gpd.read_file(demo / f"area_statistics_{edition}.gpkg", layer="areas")
        for edition in EDITIONS
    )
    assert old["area_id"].tolist() == new["area_id"].tolist()
    assert new["inhabitants"].sum() > old["inhabitants"].sum()
    assert old.loc[old["inhabitants"] < 50, "income_keur"].isna().all()
    assert old.loc[old["inhabitants"] >= 50, "income_keur"].notna().all()
    assert new["benefits_share"].dropna().between(0, 1).all()


def test_suspects_are_pseudonyms_linked_to_incidents_and_some_links_end(demo: Path) -> None:
    settings = load_settings(DEMO)
    assert settings.generator is not None
    links = pd.read_csv(demo / "suspects.csv.gz", parse_dates=["known_at"])
    decisions = pd.read_csv(
        demo / "suspect_decisions.csv.gz", parse_dates=["decided_on", "known_at"]
    )
    incidents = pd.concat(
        pd.read_csv(
            path,
            usecols=["incident_number", "record_type", "offence_code"],
            on_bad_lines="skip",
        )
        for path in demo.glob("incidents_*.csv.gz")
    )
    assert links["incident_number"].isin(incidents["incident_number"]).all()
    codes = incidents.drop_duplicates("incident_number").set_index("incident_number")
    of_incident = codes["offence_code"].loc[links["incident_number"]]
    assert (links["offence_code"].to_numpy() == of_incident.to_numpy()).all()
    share = len(links) / incidents["incident_number"].nunique()
    assert share == pytest.approx(settings.generator.suspects_share, rel=0.1)
    assert links["pseudonym"].str.fullmatch("[0-9a-f]{16}").all()
    assert links["pseudonym"].value_counts().max() > 2
    assert links["known_at"].max() < pd.Timestamp(settings.generator.end)
    ended = decisions.merge(links, on=["pseudonym", "incident_number"], suffixes=("", "_link"))
    assert len(ended) == len(decisions) > 100
    assert (ended["known_at"] > ended["decided_on"]).all()
    assert (ended["known_at"] > ended["known_at_link"]).all()
    assert set(ended["decision"]) == {"dismissed", "acquitted"}


def test_time_is_laid_out_for_104_polls_that_settle_and_look_back_three_years() -> None:
    settings = load_settings(DEMO)
    assert settings.generator is not None
    poll = date(2025, 1, 6)
    settling_weeks = 6
    newest = settings.longest_horizon_weeks + 1 + settling_weeks
    first_weeks = newest + settings.polls.count - 1
    first = date.fromordinal(poll.toordinal() - 7 * first_weeks)
    assert (first - settings.generator.start).days >= 7 * 156
    assert settings.grid.valid_from <= first
    assert (settings.generator.end - poll).days >= 7 * 12
