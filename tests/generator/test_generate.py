"""The made-up incidents: totals, concentration, near repeats and times."""

from collections.abc import Callable
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cas_spark.errors import CasError
from cas_spark.generator import generate_incidents
from cas_spark.settings.generator import GeneratedOffence
from tests.sources.towns import BURGLARY, FIGHT, WINDOW, ZONE, burglaries, two_towns, yearly


def gini(counts: np.ndarray) -> float:
    counts = np.sort(counts)
    ranks = 2 * np.arange(1, counts.size + 1) - counts.size - 1
    return float((ranks * counts).sum() / (counts.size * counts.sum()))


def test_totals_are_met_exactly() -> None:
    incidents = burglaries()
    year = incidents["occurred_at"].dt.year
    found = incidents.groupby(["area_id", year]).size()
    assert found.to_dict() == {
        (area, year): count
        for area, count in {"a": 1500, "b": 700}.items()
        for year in (2020, 2021, 2022)
    }


def test_a_total_is_shared_out_by_weight() -> None:
    areas = two_towns().assign(total_id="t1")
    incidents = generate_incidents(
        areas,
        yearly({"t1": 3000}, ["burglary"]),
        {"burglary": BURGLARY.model_copy(update={"near_repeat_share": 0.0})},
        window=WINDOW,
        seed=1,
        zone=ZONE,
    )
    assert (incidents["area_id"] == "b").mean() == pytest.approx(0.75, abs=0.02)


def test_a_year_that_the_window_cuts_counts_for_its_part() -> None:
    incidents = generate_incidents(
        two_towns(),
        yearly({"t1": 1460, "t2": 0}, ["fight"]),
        {"fight": FIGHT},
        window=(date(2020, 1, 1), date(2021, 7, 2)),
        seed=1,
        zone=ZONE,
    )
    per_year = incidents["occurred_at"].dt.year.value_counts()
    assert per_year[2020] == 1460
    assert per_year[2021] == pytest.approx(730, abs=30)
    assert incidents["occurred_at"].max() < pd.Timestamp(2021, 7, 2)


def test_no_incident_lies_outside_its_area() -> None:
    incidents = burglaries()
    polygons = two_towns().set_index("area_id").geometry.loc[incidents["area_id"]].to_numpy()
    assert shapely.contains_xy(polygons, incidents["x"], incidents["y"]).all()


def test_the_same_seed_gives_the_same_incidents_and_another_seed_others() -> None:
    pd.testing.assert_frame_equal(burglaries(seed=1), burglaries(seed=1))
    assert not burglaries(seed=1)["x"].equals(burglaries(seed=2)["x"])


def test_an_added_offence_changes_no_other() -> None:
    totals = yearly({"t1": 1500, "t2": 700}, ["burglary", "fight"])
    both = generate_incidents(
        two_towns(),
        totals,
        {"burglary": BURGLARY, "fight": FIGHT},
        window=WINDOW,
        seed=1,
        zone=ZONE,
    )
    same = both[both["offence"] == "burglary"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, burglaries())


def gini_of_cells(concentration: float) -> float:
    """Mean Gini of the 12 x 12 cells of the square town over three seeds."""
    offence = BURGLARY.model_copy(update={"concentration": concentration, "near_repeat_share": 0.0})
    found = []
    for seed in (1, 2, 3):
        incidents = burglaries(offence, seed)
        town = incidents[incidents["area_id"] == "a"]
        cell, counts = np.unique(town["x"] // 125 * 1000 + town["y"] // 125, return_counts=True)
        found.append(gini(np.append(counts, np.zeros(144 - cell.size))))
    return float(np.mean(found))


def test_the_gini_of_cells_rises_with_the_declared_concentration() -> None:
    found = [gini_of_cells(concentration) for concentration in (0.0, 0.4, 0.7, 0.9)]
    assert found == sorted(found)
    # Chance makes even the lowest uneven: a cell holds no, one or several places.
    assert found[0] == pytest.approx(0.45, abs=0.08)
    assert found[2] == pytest.approx(0.75, abs=0.08)
    assert found[3] == pytest.approx(0.90, abs=0.06)


def close_pairs(incidents: pd.DataFrame, day: np.ndarray) -> int:
    """Pairs within 200 m and 21 days."""
    points = np.asarray(gpd.points_from_xy(incidents["x"], incidents["y"]))
    one, other = shapely.STRtree(points).query(points, predicate="dwithin", distance=200)
    return int(((one < other) & (np.abs(day[one] - day[other]) <= 21)).sum())


def knox_ratio(incidents: pd.DataFrame) -> float:
    """Pairs close in space and time over their mean when times are shuffled (Knox 1964)."""
    day = incidents["occurred_at"].to_numpy().astype("datetime64[D]").astype(np.int64)
    rng = np.random.default_rng(0)
    shuffled = np.mean([close_pairs(incidents, rng.permutation(day)) for _ in range(5)])
    return float(close_pairs(incidents, day) / shuffled)


def test_near_repeats_are_more_pairs_than_shuffled_times_give() -> None:
    def mean_ratio(offence: GeneratedOffence) -> float:
        return float(
            np.mean([knox_ratio(burglaries(offence, seed, 150, 70)) for seed in (1, 2, 3, 4)])
        )

    without = BURGLARY.model_copy(update={"near_repeat_share": 0.0})
    assert mean_ratio(without) == pytest.approx(1, abs=0.08)
    assert mean_ratio(BURGLARY) > 1.2


def test_about_the_declared_share_are_near_repeats() -> None:
    assert burglaries()["is_near_repeat"].mean() == pytest.approx(0.3, abs=0.03)


def test_times_run_forward_and_intervals_hold_the_moment() -> None:
    incidents = burglaries()
    assert (incidents["occurred_from"] <= incidents["occurred_at"]).all()
    assert (incidents["occurred_at"] <= incidents["occurred_until"]).all()
    assert (incidents["occurred_until"] <= incidents["known_at"]).all()
    assert incidents["occurred_from"].min() >= pd.Timestamp(WINDOW[0])
    hours = (incidents["occurred_until"] - incidents["occurred_from"]).dt.total_seconds() / 3600
    assert (hours == 0).mean() == pytest.approx(0.15, abs=0.03)
    assert hours.max() <= 21 * 24 + 1


def test_clocks_never_show_an_hour_that_they_skip() -> None:
    incidents = burglaries()
    for column in ("occurred_at", "occurred_from", "occurred_until", "known_at"):
        incidents[column].dt.tz_localize(ZONE, nonexistent="raise", ambiguous=True)


def test_most_is_known_within_days_and_a_tail_within_weeks() -> None:
    incidents = burglaries()
    delay = (incidents["known_at"] - incidents["occurred_until"]).dt.total_seconds() / 86400
    assert delay.quantile(0.8) < 3
    assert delay.quantile(0.99) > 14


def test_season_and_weekday_follow_the_rhythm() -> None:
    moments = burglaries()["occurred_at"].dt
    month = moments.month
    assert month.isin([11, 12, 1]).mean() > 1.3 * month.isin([5, 6, 7]).mean()
    assert (moments.day_of_week == 4).mean() > (moments.day_of_week == 6).mean()


Mistake = Callable[[gpd.GeoDataFrame, pd.DataFrame], tuple[gpd.GeoDataFrame, pd.DataFrame]]


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda a, t: (a, t.replace({"t2": "nowhere"})), "without areas"),
        (lambda a, t: (a.assign(weight=0.0), t), "without areas of any weight"),
        (lambda a, t: (a.assign(weight=-1.0), t), "below 0"),
        (lambda a, t: (a.set_geometry([shapely.Polygon()] * 2, crs=a.crs), t), "no surface"),
        (lambda a, t: (a.to_crs(4326), t), "projected CRS"),
        (lambda a, t: (a.drop(columns="weight"), t), "without a weight"),
        (lambda a, t: (a.drop(columns="area_id"), t), "area_id"),
        (lambda a, t: (a.assign(area_id="a"), t), "same area_id"),
        (lambda a, t: (a, t.assign(offence="arson")), "arson"),
        (lambda a, t: (a, t.assign(incidents=-1)), "below 0"),
        (lambda a, t: (a, pd.concat([t, t])), "twice"),
        (lambda a, t: (a, t.iloc[:0]), "no totals"),
    ],
)
def test_the_impossible_is_refused(mistake: Mistake, told: str) -> None:
    areas, totals = mistake(two_towns(), yearly({"t1": 10, "t2": 10}, ["burglary"]))
    with pytest.raises(CasError, match=told):
        generate_incidents(areas, totals, {"burglary": BURGLARY}, window=WINDOW, seed=1, zone=ZONE)
