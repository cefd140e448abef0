"""A forecast is scored as what it was made for, whatever the grid and the settings are by then."""

from pathlib import Path

import geopandas as gpd
import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.settings import load_settings
from tests.toy import POLL, content_of_toy, run_quietly, write_areas, write_settings, write_toy

pytestmark = pytest.mark.spark


def test_another_grid_other_horizons_or_priorities_leave_the_measures_of_stored_forecasts_alone(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = load_settings(write_toy(tmp_path))
    run_quietly(spark, "weekly", settings, POLL)
    without_run = [c.name for c in tables.EVALUATIONS.columns if c.name != "run_number"]
    before = Lake(spark, settings.lake).read(tables.EVALUATIONS).select(without_run)
    assert {row["team_id"] for row in before.collect()} == {"A", "B", "*"}

    teams = gpd.read_file(tmp_path / "teams.gpkg", layer="teams")
    write_areas(tmp_path / "joined.gpkg", {"Charlie": teams.union_all()})
    grid = content_of_toy(tmp_path)["grid"]
    of_teams = grid["teams"] | {"path": str(tmp_path / "joined.gpkg")}
    joined = load_settings(
        write_settings(tmp_path, grid=grid | {"version": "v2", "teams": of_teams})
    )
    run_quietly(spark, "grid", joined, None)
    run_quietly(spark, "evaluate", joined, POLL)
    after = Lake(spark, settings.lake).read(tables.EVALUATIONS)
    assert {row["run_number"] for row in after.collect()} == {3}
    assert_df_equality(after.select(without_run), before, ignore_row_order=True)

    # One horizon is of another week by now, and the others are gone.
    content = content_of_toy(tmp_path)
    moved = {name: weeks + 1 for name, weeks in [*settings.horizons.items()][:1]}
    of_moved = load_settings(write_settings(tmp_path, horizons=moved))
    run_quietly(spark, "evaluate", of_moved, POLL)
    after = Lake(spark, settings.lake).read(tables.EVALUATIONS)
    assert {row["run_number"] for row in after.collect()} == {4}
    assert_df_equality(after.select(without_run), before, ignore_row_order=True)

    # A priority that is no longer followed has no outcomes to be held against.
    del content["priorities"]["robbery"]
    del content["incidents"]["register"]["priority"]["codes"]["robbery"]
    without = load_settings(
        write_settings(tmp_path, priorities=content["priorities"], incidents=content["incidents"])
    )
    job = run_quietly(spark, "evaluate", without, POLL)
    assert job.run.facts["priorities_no_longer_scored"] == ["robbery"]
    after = Lake(spark, settings.lake).read(tables.EVALUATIONS)
    assert_df_equality(after.select(without_run), before, ignore_row_order=True)
    newest = {row["priority"]: row["run_number"] for row in after.collect()}
    assert newest == {"burglary": 5, "robbery": 4}
