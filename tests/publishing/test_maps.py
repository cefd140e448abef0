import dataclasses
import json
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from PIL import Image
from pyproj import Transformer
from pyspark.sql import Row, SparkSession

from cas_spark.grid.cells import cell_ids, cell_polygons
from cas_spark.lake.lake import Lake
from cas_spark.lake.tables import CELLS, FORECASTS
from cas_spark.publishing import maps
from cas_spark.publishing.maps import as_png, draw_map, maps_of, write_maps
from cas_spark.settings import Settings
from tests.toy import settings_of_toy

POLL = date(2024, 1, 8)
COLUMN, ROW = 1_240, 3_720  # near Amersfoort in EPSG:28992
CHOSEN = 3


def id_at(place: int) -> int:
    return int(cell_ids(COLUMN + place, ROW))


def cell(team: str, place: int) -> dict[str, Any]:
    is_kept = place % 10 != 9
    return {
        "grid_version": "v1",
        "cell_id": id_at(place),
        "column": COLUMN + place,
        "row": ROW,
        "team_id": team,
        "team_name": None if team == "b/2" else "Alfa",
        "region": None,
        "land_share": 1.0,
        "team_shares": [(team, 1.0)],
        "is_kept": is_kept,
        "removal_reason": None if is_kept else "water",
        "definition": "d",
        "run_number": 1,
    }


def chosen_cell(team: str, priority: str, horizon: str, place: int, rank: int) -> dict[str, Any]:
    return {
        "poll_on": POLL,
        "team_id": team,
        "priority": priority,
        "horizon": horizon,
        "cell_id": id_at(place),
        "target_week_on": POLL if horizon == "current" else date(2024, 1, 15),
        "logit": -1.0,
        "probability": 0.1234567 / rank,
        "rank": rank,
        "is_chosen": True,
        "band": ["highest", "high", "raised"][rank - 1],
        "contributions": [5.0, 0.5, 0.5, -3.0, 0.5],
        "reasons": [
            (f"{priority}_density_250m_52w", 4.25, 0.5, 0.75),
            (f"{priority}_count_52w", 3.0, 0.5, 0.5 / rank),
            *([("any_count_52w", 8.0, 0.5, 0.125)] if rank < CHOSEN else []),
        ],
        "raised_by": [("history", 0.5 / rank - 2.75), ("near", 0.87504), ("season", 0.0)],
        "run_number": 1,
    }


TEAMS = {"a 1": 0, "b/2": 10}
CELLS_OF_TOY = [cell(team, start + place) for team, start in TEAMS.items() for place in range(10)]
FORECASTS_OF_TOY = [
    chosen_cell(team, priority, horizon, start + 2 * rank, rank)
    for team, start in TEAMS.items()
    for priority in ("burglary", "robbery")
    for horizon in ("current", "early_1w")
    for rank in range(1, CHOSEN + 1)
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_of_toy(remarks=["A remark that must be said."])


@dataclasses.dataclass(frozen=True)
class Written:
    paths: list[str]
    root: Path


def write(spark: SparkSession, settings: Settings, root: Path, partitions: int = 1) -> Written:
    chosen = spark.createDataFrame(FORECASTS_OF_TOY[::-1], FORECASTS.schema)
    cells = spark.createDataFrame(CELLS_OF_TOY, CELLS.schema)
    lake = Lake(spark, str(root))
    chosen = chosen.repartition(partitions)
    return Written(write_maps(chosen, cells, settings, POLL, lake), root)


@pytest.fixture(scope="module")
def written(
    spark: SparkSession, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Written:
    return write(spark, settings, tmp_path_factory.mktemp("lake"))


@pytest.mark.spark
class TestWrittenMaps:
    def test_each_team_has_both_files(self, written: Written) -> None:
        folder = written.root / "maps" / "2024-01-08"
        names = ["a%201.geojson", "a%201.gpkg", "b%2F2.geojson", "b%2F2.gpkg"]
        assert written.paths == [str(folder / name) for name in names]
        assert all(Path(path).is_file() for path in written.paths)

    def test_a_geopackage_has_a_layer_per_priority_and_horizon(self, written: Written) -> None:
        path = written.paths[1]
        layers = [name for name, _ in pyogrio.list_layers(path)]
        assert layers == [
            "burglary_current", "burglary_early_1w", "robbery_current", "robbery_early_1w"
        ]  # fmt: skip
        frame = pyogrio.read_dataframe(path, layer="robbery_early_1w")
        assert frame.crs.to_epsg() == 28992
        assert frame["rank"].to_list() == [1, 2, 3]
        assert frame["band"].to_list() == ["highest", "high", "raised"]
        assert frame["probability"].to_list() == [0.123457, 0.061728, 0.041152]
        assert set(frame["target_week"]) == {"2024-01-15"}
        squares = cell_polygons(frame["cell_id"].to_numpy())
        assert shapely.equals(frame.geometry.to_numpy(), squares).all()

    def test_the_three_largest_reasons_stand_with_each_cell(self, written: Written) -> None:
        first = pyogrio.read_dataframe(written.paths[1], layer="burglary_current").iloc[0]
        found = [(first[f"reason_{n}"], first[f"raises_by_{n}"]) for n in (1, 2, 3)]
        assert found == [
            ("burglary_density_250m_52w", 0.75),
            ("burglary_count_52w", 0.5),
            ("any_count_52w", 0.125),
        ]
        assert "Burglary: 3 in the cell in the last 52 weeks" in first["reasons"]
        assert "Burglary: 3 in het vakje in de laatste 52 weken" in first["reasons_nl"]
        assert (first["raised_by_near"], first["raised_by_history"]) == (0.875, -2.25)
        last = pyogrio.read_dataframe(written.paths[1], layer="burglary_current").iloc[-1]
        assert last[["reason_3", "raises_by_3"]].isna().all()

    def test_everything_is_a_draft_and_says_its_labels(
        self, written: Written, settings: Settings
    ) -> None:
        frame = pyogrio.read_dataframe(written.paths[3], layer="burglary_current")
        assert set(frame["status"]) == {"DRAFT"}
        assert all(label in frame["labels"].iloc[0] for label in settings.labels)
        info = pyogrio.read_info(written.paths[3], layer="burglary_current")
        assert info["layer_metadata"]["STATUS"] == "DRAFT"
        assert all(label in info["layer_metadata"]["LABELS"] for label in settings.labels)
        content = json.loads(Path(written.paths[2]).read_text())
        assert content["status"] == "DRAFT"
        assert content["labels"] == settings.labels
        assert {f["properties"]["status"] for f in content["features"]} == {"DRAFT"}

    def test_the_geojson_is_in_degrees_and_counterclockwise(self, written: Written) -> None:
        content = json.loads(Path(written.paths[0]).read_text())
        assert len(content["features"]) == 4 * CHOSEN
        assert "crs" not in content
        to_grid = Transformer.from_crs("EPSG:4326", "EPSG:28992", always_xy=True)
        for feature in content["features"]:
            polygon = shapely.Polygon(*feature["geometry"]["coordinates"])
            assert polygon.exterior.is_ccw
            x, y = to_grid.transform(*shapely.get_coordinates(polygon).T)
            back = shapely.Polygon(np.column_stack([x, y]))
            [square] = cell_polygons([feature["properties"]["cell_id"]])
            assert shapely.hausdorff_distance(back, square) < 0.02

    def test_gdal_reads_the_geojson(self, written: Written) -> None:
        frame = pyogrio.read_dataframe(written.paths[2])
        assert len(frame) == 4 * CHOSEN
        assert frame.crs.to_epsg() == 4326
        assert frame["team_name"].isna().all()

    def test_the_same_forecast_gives_the_same_bytes(
        self, spark: SparkSession, settings: Settings, written: Written, tmp_path: Path
    ) -> None:
        again = write(spark, settings, tmp_path, partitions=3)
        for first, second in zip(written.paths, again.paths, strict=True):
            assert Path(first).read_bytes() == Path(second).read_bytes(), first
        with sqlite3.connect(written.paths[1]) as database:
            moments = database.execute("select distinct last_change from gpkg_contents")
            assert moments.fetchall() == [("2024-01-08T00:00:00.000Z",)]

    def test_maps_of_teams_that_are_gone_are_gone_and_a_person_s_files_stay(
        self, spark: SparkSession, settings: Settings, tmp_path: Path
    ) -> None:
        folder = tmp_path / "maps" / "2024-01-08"
        outputs = maps_of(Lake(spark, str(tmp_path)), POLL)
        outputs.begin(["2024-01-08/old.gpkg"])
        folder.mkdir()
        (folder / "old.gpkg").write_text("ours")
        outputs.end()
        (folder / "own.gpkg").write_text("mine")
        (folder / "b%2F2.gpkg").write_text("mine")
        written = write(spark, settings, tmp_path)
        found = {str(path) for path in folder.iterdir() if not path.name.startswith(".")}
        mine = {str(folder / name) for name in ("own.gpkg", "b%2F2 (kept 1).gpkg")}
        assert found == {*written.paths, *mine}
        assert {Path(path).read_text() for path in mine} == {"mine"}
        assert write(spark, settings, tmp_path) == written
        assert {str(p) for p in folder.iterdir() if not p.name.startswith(".")} == found


def rows_of_team(team: str) -> tuple[list[Row], list[Row]]:
    cells = [Row(**row) for row in CELLS_OF_TOY if row["team_id"] == team]
    return cells, [Row(**row) for row in FORECASTS_OF_TOY if row["team_id"] == team]


def test_a_picture_says_what_it_is(settings: Settings, tmp_path: Path) -> None:
    cells, chosen = rows_of_team("a 1")
    figure = draw_map(cells, chosen, settings, "burglary", "current")
    axes = figure.axes[0]
    said = " ".join(text.get_text() for text in [*figure.texts, *axes.texts]).replace("\n", " ")
    for expected in ("DRAFT", "Burglary, Alfa", "2024-01-08", *settings.labels):
        assert expected in said
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "highest (1)",
        "high (1)",
        "raised (1)",
        "not chosen (6)",
        "removed, no forecast (1)",
    ]
    png = as_png(figure)
    assert png == as_png(draw_map(cells, chosen, settings, "burglary", "current"))
    path = tmp_path / "map.png"
    path.write_bytes(png)
    colours = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > len(settings.forecast.bands)


def test_a_picture_of_nothing_is_refused(settings: Settings) -> None:
    cells, chosen = rows_of_team("a 1")
    with pytest.raises(ValueError, match="0 chosen cells of burglary, early_6w"):
        draw_map(cells, chosen, settings, "burglary", "early_6w")
    other, _ = rows_of_team("b/2")
    with pytest.raises(ValueError, match="found teams"):
        draw_map([*cells, *other], chosen, settings, "burglary", "current")


def test_gdal_has_its_own_clock_again_after_writing() -> None:
    with maps._gdal_of(POLL):
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is not None
    for option in ("OGR_CURRENT_DATE", "OGR_SQLITE_SYNCHRONOUS"):
        assert pyogrio.get_gdal_config_option(option) is None
