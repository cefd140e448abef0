"""Area statistics in a weekly run of the toy country: published, interpolated, seen in time."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import SettingsError
from cas_spark.evaluation.model_scores import Term, model_scores
from cas_spark.forecasting.forecast import Scorer
from cas_spark.indicators.catalogue import catalogue_of_lake
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import read_published
from cas_spark.pipelines.exploring import training_frame
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.train import context_of_kept_cells, snapshot_files
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings, check_inputs, load_settings
from cas_spark.training.transforms import transformed
from tests.toy import (
    BOTTOM,
    CELL,
    COLUMNS,
    LEFT,
    POLL,
    ROWS,
    content_of_toy,
    run_quietly,
    write_settings,
    write_toy,
)

pytestmark = [pytest.mark.spark, pytest.mark.slow]
OLD, NEW = date(2022, 6, 1), date(2023, 10, 2)  # the newer on a Monday of the training polls
FIRST_SEEN = NEW + timedelta(weeks=1)
FIRST = date(2023, 1, 2)
STEPS = ("grid", "snapshots", "train", "forecast")


def write_areas(path: Path, **figures: list[Any]) -> None:
    """Three strips from west to east that cut cells: over A, over both teams, over most of B."""
    width, height = COLUMNS * CELL, ROWS * CELL
    edges = [LEFT, LEFT + width * 0.53, LEFT + width * 1.21, LEFT + width * 1.7]
    strips = [shapely.box(west, BOTTOM, east, BOTTOM + height) for west, east in pairwise(edges)]
    frame = gpd.GeoDataFrame({"code": ["x", "y", "z"], **figures}, geometry=strips, crs=28992)
    frame.to_file(path, layer="areas", driver="GPKG")


def grid_with(folder: Path, editions: Mapping[date, str], version: str = "v2") -> dict[str, Any]:
    statistics = {
        "name": "strips",
        "area": "code",
        "figures": [
            {"name": n, "column": n, "kind": kind, "unit": "-", "meaning": n}
            for n, kind in (("people", "share_out"), ("income", "average"))
        ],
        "editions": [
            {"path": str(folder / name), "layer": "areas", "published_on": str(day)}
            for day, name in editions.items()
        ],
        "missing": [-99997],
    }
    grid = content_of_toy(folder)["grid"]
    return {"grid": grid | {"version": version, "area_statistics": [statistics]}}


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that held a grid without area statistics, then a forecast on one with two editions."""
    folder = tmp_path_factory.mktemp("areas")
    settings = load_settings(write_toy(folder))
    for step in ("ingest", "grid"):
        run_quietly(spark, step, settings, None)
    write_areas(folder / "old.gpkg", people=[300, 200, -99997], income=[30.0, None, 10.0])
    write_areas(folder / "new.gpkg", people=[400, 100, 50], income=[40.0, 20.0, 15.0])
    path = write_settings(folder, **grid_with(folder, {OLD: "old.gpkg", NEW: "new.gpkg"}))
    check_inputs(path, load_settings(path))
    for step in STEPS:
        run_quietly(spark, step, load_settings(path), POLL)
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    return load_settings(folder / "toy.yaml")


@pytest.fixture(scope="module")
def lake(spark: SparkSession, settings: Settings) -> Lake:
    return Lake(spark, settings.lake)


def test_what_was_published_is_kept_and_counted(spark: SparkSession, lake: Lake) -> None:
    rows = lake.read(tables.AREA_STATISTICS).where("grid_version = 'v2'").collect()
    assert len(rows) == 2 * 2 * 3
    of_no_use = {
        (str(r["published_on"]), r["figure"], r["area_id"], r["status"], r["found"])
        for r in rows
        if r["value"] is None
    }
    assert of_no_use == {
        (str(OLD), "people", "z", "marked_missing", "-99997"),
        (str(OLD), "income", "y", "empty", None),
    }
    runs = spark.read.format("delta").load(lake.path(tables.RUNS.name)).where("step = 'grid'")
    run = runs.orderBy("number").collect()[1]
    facts = json.loads(run["facts"])["area_statistics"]
    told = {(fact["published_on"], fact["figure"]): fact for fact in facts}
    assert told[str(OLD), "people"]["areas"] == {"known": 2, "marked_missing": 1}
    # East of the second strip no old area has a number: 8 columns of B less those it reaches into.
    assert told[str(OLD), "people"]["cells_filled_from_team"] == 6 * ROWS
    assert told[str(NEW), "people"]["cells_filled_from_team"] == 2 * ROWS
    assert told[str(NEW), "people"]["cells_filled_from_all"] == 0


def test_cell_context_has_a_set_of_rows_per_edition_without_gaps(
    lake: Lake, settings: Settings
) -> None:
    job = Job(read_published(lake, POLL), settings, POLL, silently)
    context = lake.read(job.cell_context)
    cells = lake.read(tables.CELLS).where("grid_version = 'v2'").drop("land_share")
    number = cells.count()
    counts = context.groupBy("grid_version", "valid_from_on").count().collect()
    assert {tuple(row) for row in counts} == {("v2", FIRST, number), ("v2", FIRST_SEEN, number)}
    names = ("strips_people", "strips_income", "land_share")
    assert context.where(" OR ".join(f"{n} IS NULL OR isnan({n})" for n in names)).isEmpty()
    corner = cells.where("column = 800 AND row = 3200")
    found = context.join(corner, "cell_id").orderBy("valid_from_on").select(*names[:2]).collect()
    strip = COLUMNS * 0.53 * ROWS  # cells
    assert [tuple(row) for row in found] == [
        (pytest.approx(300 / strip, abs=1e-4), 30.0),
        (pytest.approx(400 / strip, abs=1e-4), 40.0),
    ]


def test_each_training_poll_sees_the_edition_published_before_it(
    lake: Lake, settings: Settings
) -> None:
    frame = training_frame(lake, settings, POLL, "A", "burglary")
    polls = frame["poll_on"].dt.date
    income = frame.groupby(polls)["strips_income"].max()
    assert set(income[income.index <= NEW]) == {30.0}
    assert set(income[income.index > NEW]) == {40.0}
    assert NEW in income.index
    assert income.index.max() > NEW


def test_the_forecast_is_made_with_the_newest_edition_and_tells_it(
    lake: Lake, settings: Settings
) -> None:
    of_a = (F.col("team_id") == "A") & F.col("is_chosen") & (F.col("priority") == "burglary")
    chosen = lake.read(tables.FORECASTS).where(of_a & (F.col("horizon") == "current")).collect()
    [model] = (
        lake.read(tables.MODELS)
        .where("team_id = 'A' AND priority = 'burglary' AND horizon = 'current'")
        .collect()
    )
    assert model["status"] == "fitted"
    used = dict(Scorer.of(model).coefficients)
    assert {"strips_people", "strips_income"} <= set(used) | set(model["dropped"])
    place = list(used).index("strips_income") + 1  # behind the intercept
    [income] = [i for i in catalogue_of_lake(settings).indicators if i.name == "strips_income"]
    # 40 in the first strip, 20 in the second and between them where both reach into a cell.
    least, most = sorted(
        used["strips_income"] * float(transformed(np.array([value], np.float32), income)[0])
        for value in (20.0, 40.0)
    )
    found = {row["contributions"][place] for row in chosen}
    assert all(least <= contribution <= most for contribution in found)
    assert found & {least, most}


def test_a_backtest_scores_each_poll_with_the_edition_that_it_sees(
    lake: Lake, settings: Settings
) -> None:
    job = Job(read_published(lake, POLL), settings, POLL, silently)
    by_income = Scorer("burglary", "current", 0.0, (("strips_income", 1.0),))
    term = Term("income", NEW - timedelta(weeks=1), FIRST_SEEN, {"A": [by_income]})
    rows = model_scores(
        context_of_kept_cells(job, term.first, term.last),
        snapshot_files(job, term.first, term.last),
        job.catalogue,
        [term],
    ).collect()
    highest = {row["poll_on"]: max(row["scores"]) for row in rows}
    assert highest == {term.first: 30.0, NEW: 30.0, FIRST_SEEN: 40.0}


def test_an_edition_that_is_published_on_the_poll_changes_no_byte_of_its_forecast(
    spark: SparkSession, folder: Path, lake: Lake
) -> None:
    manifest = lake.last_manifest
    assert manifest is not None
    write_areas(folder / "late.gpkg", people=[9_000, 1, 1], income=[1.0, 90.0, 1.0])
    editions = {OLD: "old.gpkg", NEW: "new.gpkg", POLL: "late.gpkg"}
    settings = load_settings(write_settings(folder, **grid_with(folder, editions, "v3")))
    for step in STEPS:
        run_quietly(spark, step, settings, POLL)
    again = Lake(spark, settings.lake).last_manifest
    assert again is not None
    for table in ("snapshots", "models", "forecasts"):
        assert again.digests[table] == manifest.digests[table]
    assert again.digests["cell_context"] != manifest.digests["cell_context"]


def test_a_missing_file_of_an_edition_is_told_before_spark_starts(tmp_path: Path) -> None:
    path = write_toy(tmp_path)
    write_settings(tmp_path, **grid_with(tmp_path, {OLD: "nowhere.gpkg"}))
    with pytest.raises(SettingsError, match=r"no such file: .*nowhere\.gpkg"):
        check_inputs(path, load_settings(path))


def test_an_earlier_grid_version_gets_its_slow_indicators_back(
    spark: SparkSession, folder: Path
) -> None:
    settings = load_settings(write_settings(folder))
    cells = Lake(spark, settings.lake).read(tables.CELLS).count()
    run_quietly(spark, "grid", settings, None)
    lake = Lake(spark, settings.lake)
    context = lake.read(tables.cell_context([]))
    assert context.columns == [c.name for c in tables.cell_context([]).columns]
    assert {row["grid_version"] for row in context.collect()} == {"v1"}
    assert lake.read(tables.CELLS).count() == cells
