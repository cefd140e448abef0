"""The made-up incidents: totals, concentration, near repeats, times, and their delivery."""

import gzip
import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from cas_spark.errors import CasError
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.generator import AreaLayer, Faults, GeneratedOffence, TotalsFile
from cas_spark.sources.generator import generate, generate_incidents
from cas_spark.sources.generator.delivery import BROKEN, COLUMNS, deliver, extract_lines

ZONE = ZoneInfo("Europe/Amsterdam")
WINDOW = (date(2020, 1, 1), date(2023, 1, 1))
END = date(2023, 1, 1)
DEMO = Path(__file__).parents[2] / "conf" / "demo.yaml"

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


def gini(counts: np.ndarray) -> float:
    counts = np.sort(counts)
    ranks = 2 * np.arange(1, counts.size + 1) - counts.size - 1
    return float((ranks * counts).sum() / (counts.size * counts.sum()))


@pytest.fixture(scope="module")
def demo_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return moved(load_settings(DEMO), tmp_path_factory.mktemp("demo") / "extracts")


@pytest.fixture(scope="module")
def demo(demo_settings: Settings) -> Path:
    generate(demo_settings)
    assert demo_settings.generator is not None
    return Path(demo_settings.generator.folder)


def moved(settings: Settings, folder: Path, **changes: object) -> Settings:
    """The settings with their extracts in another folder, and other changes to the generator."""
    assert settings.generator is not None
    generator = settings.generator.model_copy(update={"folder": str(folder), **changes})
    return settings.model_copy(update={"generator": generator})


def read_extract(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        fields = [line.rstrip("\n").split(",") for line in file][1:]
    sound = [row for row in fields if len(row) == len(COLUMNS)]
    return pd.DataFrame(sound, columns=list(COLUMNS))


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


RATES = Faults(
    late=0.05,
    duplicate=0.04,
    corrected=0.06,
    coordinates_zero=0.02,
    coordinates_missing=0.02,
    coordinates_swapped=0.02,
    coordinates_far=0.02,
    occurred_1900=0.02,
    occurred_after_registered=0.02,
    unknown_code=0.02,
    wrong_number_of_fields=0.02,
)


def delivered(faults: Faults) -> pd.DataFrame:
    return deliver(burglaries(), {"burglary": "A10"}, faults, end=END, seed=1)


def test_faults_occur_at_the_declared_rates() -> None:
    rows = delivered(RATES)
    new = rows[rows["record_type"] == "new"].drop_duplicates("incident_number")
    for kind in BROKEN:
        assert (new["fault"] == kind).mean() == pytest.approx(getattr(RATES, kind), abs=0.006)
    again = rows[rows["record_type"] == "new"]["incident_number"].duplicated()
    assert again.sum() / len(new) == pytest.approx(RATES.duplicate, abs=0.008)
    corrections = rows[rows["record_type"] == "correction"]
    assert len(corrections) / len(new) == pytest.approx(RATES.corrected, abs=0.012)
    # Some of the late ones are registered after the end, or break in another way as well.
    assert (new["fault"] == "late").mean() == pytest.approx(RATES.late * 0.75, abs=0.02)


def test_without_faults_every_incident_known_before_the_end_is_delivered_once() -> None:
    rows = delivered(Faults(**dict.fromkeys(Faults.model_fields, 0.0)))
    known = burglaries()["known_at"] < pd.Timestamp(END)
    assert len(rows) == known.sum()
    assert rows["incident_number"].is_unique
    assert (rows["fault"] == "").all()


def test_late_rows_come_in_a_later_extract() -> None:
    rows = delivered(RATES)
    late = rows[rows["fault"] == "late"]
    assert (late["extract_year"] == late["registered_at"].dt.year).all()
    assert (late["extract_year"] > late["occurred_until"].dt.year).sum() > 50


def test_a_correction_names_an_earlier_row_and_comes_after_it() -> None:
    rows = delivered(RATES)
    new = rows[rows["record_type"] == "new"].drop_duplicates("incident_number")
    corrections = rows[rows["record_type"] == "correction"]
    both = corrections.merge(new, on="incident_number", suffixes=("", "_new"))
    assert len(both) == len(corrections) > 0
    assert (both["registered_at"] >= both["registered_at_new"]).all()
    assert (both["registered_at"] < pd.Timestamp(END)).all()
    assert set(both["correction_reason"]) == {"withdrawn", "unfounded"}


def test_broken_lines_have_too_few_or_too_many_fields() -> None:
    rows = delivered(RATES)
    fields = [line.count(",") + 1 for line in extract_lines(rows)]
    wrong = sum(count != len(COLUMNS) for count in fields)
    assert fields[0] == len(COLUMNS)
    assert wrong == (rows["fault"] == "wrong_number_of_fields").sum()
    assert min(fields) < len(COLUMNS) < max(fields)


def test_the_demo_holds_every_fault(demo: Path, demo_settings: Settings) -> None:
    rows = pd.concat([read_extract(path) for path in sorted(demo.glob("incidents_*.csv.gz"))])
    x, y = pd.to_numeric(rows["x"]), pd.to_numeric(rows["y"])
    assert (x == 0).any()
    assert x.isna().any()
    assert ((x > 500_000) & (y < 30_000)).any()
    assert ((x > 600_000) & (y > 1_000_000)).any()
    assert rows["occurred_from"].str.startswith("1900-01-01").any()
    assert ((rows["occurred_from"] > rows["registered_at"]) & (x > 0)).any()
    assert demo_settings.generator is not None
    codes = {offence.code for offence in demo_settings.generator.offences.values()}
    assert (~rows["offence_code"].isin(codes)).any()
    assert rows[rows["record_type"] == "new"]["incident_number"].duplicated().any()
    assert (rows["record_type"] == "correction").any()
    lines = [
        line
        for path in demo.glob("incidents_*.csv.gz")
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    assert any(line.count(",") + 1 != len(COLUMNS) for line in lines)


def test_rows_stand_in_the_extract_of_the_year_in_which_they_became_known(demo: Path) -> None:
    for path in demo.glob("incidents_*.csv.gz"):
        year = path.name.removeprefix("incidents_").removesuffix(".csv.gz")
        registered = read_extract(path)["registered_at"].str[:4]
        assert (registered == year).mean() > 0.98
        # What is delivered a second time may be of the year before.
        assert registered.isin([year, str(int(year) - 1)]).all()


def test_the_same_settings_give_the_same_bytes(
    demo: Path, demo_settings: Settings, tmp_path: Path
) -> None:
    files = generate(moved(demo_settings, tmp_path / "again"))
    names = {path.name for path in demo.iterdir()}
    assert names == {path.name for path in (tmp_path / "again").iterdir()}
    for name in names:
        assert (demo / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    assert {file.path.name for file in files} == names - {"README.txt", "generated.json"}


def test_another_seed_gives_other_bytes(
    demo: Path, demo_settings: Settings, tmp_path: Path
) -> None:
    generate(moved(demo_settings, tmp_path / "other", seed=7))
    for path in [*demo.glob("*.csv.gz"), demo / "teams.gpkg"]:
        assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes()


def test_the_demo_takes_less_than_15_seconds(demo_settings: Settings, tmp_path: Path) -> None:
    start = time.monotonic()
    generate(moved(demo_settings, tmp_path / "timed"))
    assert time.monotonic() - start < 15


def test_rows_are_counted_and_an_untouched_folder_is_left_alone(
    demo: Path, demo_settings: Settings
) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.iterdir()}
    files = generate(demo_settings)
    assert before == {path: path.stat().st_mtime_ns for path in demo.iterdir()}
    for file in files:
        if file.path.name.endswith(".csv.gz"):
            lines = gzip.decompress(file.path.read_bytes()).decode().splitlines()
            assert file.rows == len(lines) - 1


def test_a_damaged_or_older_folder_is_replaced(demo_settings: Settings, tmp_path: Path) -> None:
    settings = moved(demo_settings, tmp_path / "extracts", end=date(2020, 1, 1))
    files = generate(settings)
    files[0].path.write_bytes(b"damaged")
    assert generate(settings) == files
    assert files[0].path.read_bytes() != b"damaged"
    assert len(generate(moved(settings, tmp_path / "extracts", end=date(2021, 1, 1)))) > len(files)
    assert [path.name for path in tmp_path.iterdir()] == ["extracts"]


def test_files_of_others_are_never_replaced(demo_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "precious.csv").write_text("mine")
    with pytest.raises(CasError, match="not generated"):
        generate(moved(demo_settings, tmp_path))
    assert (tmp_path / "precious.csv").read_text() == "mine"


def test_a_place_that_cannot_hold_a_folder_is_refused(
    demo_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CasError, match="can be written"):
        generate(moved(demo_settings, tmp_path / "file" / "extracts"))


def test_nothing_is_left_when_it_fails(demo_settings: Settings, tmp_path: Path) -> None:
    layer = AreaLayer(path=str(tmp_path / "none.gpkg"), layer="areas", id="id", weight="weight")
    with pytest.raises(CasError, match="none.gpkg"):
        generate(moved(demo_settings, tmp_path / "extracts", areas=layer))
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_not_of_generated_data_are_refused(demo_settings: Settings) -> None:
    with pytest.raises(CasError, match="is_generated"):
        generate(demo_settings.model_copy(update={"is_generated": False}))
    with pytest.raises(CasError, match="no generator"):
        generate(demo_settings.model_copy(update={"generator": None}))


def test_polygons_and_totals_of_a_real_country_serve_as_well(
    demo_settings: Settings, tmp_path: Path
) -> None:
    areas = two_towns().rename(columns={"total_id": "municipality"})
    areas.to_file(tmp_path / "areas.gpkg", layer="areas")
    yearly({"t1": 200, "t2": 100}, ["burglary"]).to_csv(tmp_path / "totals.csv", index=False)
    layer = AreaLayer(
        path=str(tmp_path / "areas.gpkg"),
        layer="areas",
        id="area_id",
        weight="weight",
        total_id="municipality",
    )
    files = generate(
        moved(
            demo_settings,
            tmp_path / "extracts",
            areas=layer,
            totals=TotalsFile(path=str(tmp_path / "totals.csv")),
            start=WINDOW[0],
            end=WINDOW[1],
        )
    )
    names = {file.path.name for file in files}
    assert {"incidents_2020.csv.gz", "incidents_2022.csv.gz"} <= names
    assert not any(name.endswith(".gpkg") for name in names)
    rows = sum(file.rows for file in files if file.path.name.startswith("incidents"))
    assert rows == pytest.approx(900, rel=0.05)


def test_everything_says_that_it_is_generated(demo: Path) -> None:
    assert "Generated data" in (demo / "README.txt").read_text()
    assert json.loads((demo / "generated.json").read_text())["is_generated"] is True
    for path in demo.glob("*.csv.gz"):
        table = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert table[0].endswith("origin")
        assert table[1].endswith("generated")
    for path in demo.glob("*.gpkg"):
        for layer in gpd.list_layers(path)["name"]:
            assert (gpd.read_file(path, layer=layer)["origin"] == "generated").all()
