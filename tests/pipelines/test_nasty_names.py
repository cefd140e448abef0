"""A whole week of the toy with names and places that break programs."""

import json
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely
import yaml
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from cas_spark.cli.printing import print_next, print_report
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.reports.inventory import inventory_of
from cas_spark.pipelines.reports.weekly import report_of
from cas_spark.settings import load_settings
from cas_spark.settings.texts import file_stems
from cas_spark.tracking.store import open_store
from tests.nasty import NASTY
from tests.toy import (
    BOTTOM,
    CELL,
    COLUMNS,
    LEFT,
    POLL,
    ROWS,
    content_of_toy,
    run_quietly,
    write_toy,
)

pytestmark = [pytest.mark.spark, pytest.mark.slow]

IDS = [NASTY["27 CJK letters"], NASTY["quotes"]]
TEXT = " ".join(name for name in NASTY.values() if len(name) < 40)
FOLDER = "a space #1 co:lon 'of' `all` 日本 &$x; -"


def write_nasty_toy(folder: Path) -> Path:
    """The toy, its teams and titles renamed; the path of its settings."""
    write_toy(folder)
    (folder / "teams.gpkg").unlink()
    width, height = COLUMNS * CELL, ROWS * CELL
    boxes = [
        shapely.box(LEFT + i * width, BOTTOM, LEFT + (i + 1) * width, BOTTOM + height)
        for i in (0, 1)
    ]
    frame = gpd.GeoDataFrame({"id": IDS, "name": [TEXT, None]}, geometry=boxes, crs="EPSG:28992")
    frame.to_file(folder / "teams.gpkg", layer="teams", driver="GPKG")
    content = content_of_toy(folder)
    content["lake"] = str(folder.with_name(FOLDER) / "lake")
    content["title"] = TEXT
    content["remarks"] = [NASTY["markup"], NASTY["mathtext"], NASTY["an escape"]]
    content["priorities"]["burglary"]["title"] = TEXT
    path = folder / "-the settings [1]: é.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def test_a_week_runs_and_all_that_shows_it_can_be_read(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_nasty_toy(tmp_path / "toy")
    settings = load_settings(path)
    job = run_quietly(spark, "weekly", settings, POLL)
    print_report(report_of(job))
    print_next(job, path)
    printed = capsys.readouterr().out
    assert "[/b][red]" in printed
    assert "\x1b" not in printed
    assert "cas-spark tables --settings '" in printed
    stems = file_stems(IDS)
    maps = tmp_path / FOLDER / "lake" / "maps" / str(POLL)
    expected = {f"{stem}.{end}" for stem in stems.values() for end in ("gpkg", "geojson")}
    assert {file.name for file in maps.iterdir() if not file.name.startswith(".")} == expected
    for team, stem in stems.items():
        content = json.loads((maps / f"{stem}.geojson").read_text(encoding="utf-8"))
        assert content["team"] == team
        assert pyogrio.list_layers(maps / f"{stem}.gpkg").size
    inventory = inventory_of(Lake(spark, settings.lake))
    assert {table["name"] for table in inventory["tables"]} >= {"snapshots", "models", "forecasts"}
    store = open_store(settings)
    [week] = store.weeks_of(POLL)
    children = MlflowClient(store.uri).search_runs([week.info.experiment_id])
    assert {run.data.tags["team"] for run in children if "team" in run.data.tags} == set(IDS)
    assert sorted(file.name for file in tmp_path.iterdir()) == [FOLDER, "toy"]
    # What was written is found again, by the next command and from the record.
    run_quietly(spark, "evaluate", settings, POLL)
