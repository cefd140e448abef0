"""What operators see: a plan beforehand, what runs and ran, and where something went wrong."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.dry_run import dry_run
from cas_spark.pipelines.reports.status import status_of
from cas_spark.reporting import Report
from cas_spark.settings import load_settings
from tests.toy import POLL, run_quietly, write_settings, write_toy

pytestmark = pytest.mark.spark


def text_of(report: Report) -> str:
    cells = [cell for table in report.tables for row in table.rows for cell in row]
    return "\n".join([*cells, *report.lines])


def files_of(folder: Path) -> set[tuple[Path, int]]:
    return {(path, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_on_nothing_says_what_is_to_be_taken_in_and_writes_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = load_settings(write_toy(tmp_path))
    before = files_of(tmp_path)
    text = text_of(dry_run(spark, settings, POLL, "weekly"))
    extracts = len(list(tmp_path.glob("incidents_*")))
    assert f"{extracts} new extracts" in text
    assert "2 teams cut into cells" in text
    assert "Nothing was written" in text
    assert files_of(tmp_path) == before


def test_a_dry_run_counts_the_slices_rows_and_models_of_another_week(
    spark: SparkSession, demo_lake: Path
) -> None:
    settings = load_settings(demo_lake)
    lake = Lake(spark, settings.lake)
    kept = lake.read(tables.CELLS).where("is_kept").groupBy("team_id").count().collect()
    cells = sum(row["count"] for row in kept)
    before = files_of(demo_lake.parent)
    text = text_of(dry_run(spark, settings, POLL + timedelta(weeks=1), "weekly"))
    assert "nothing new" in text
    assert f"{cells:,} rows, {len(kept)} of" in text
    models = len(kept) * len(settings.priorities) * len(settings.horizons)
    assert f"{models} models" in text
    assert "the last `weekly`, run 1" in text
    assert files_of(demo_lake.parent) == before


def test_a_dry_run_with_other_indicators_counts_every_slice_anew(
    spark: SparkSession, tmp_path: Path, demo_lake: Path
) -> None:
    shutil.copytree(demo_lake.parent, tmp_path / "lake")
    fewer = {"leave_out": ["*density*"]}
    settings = load_settings(write_settings(tmp_path / "lake", indicators=fewer))
    teams = 2
    text = text_of(dry_run(spark, settings, POLL, "weekly"))
    polls = int(text.split(" slices")[0].split(" of ")[-1]) // teams
    assert f"{teams * polls} of {teams * polls} slices" in text
    assert f"{2 * teams} files" in text


def test_a_dry_run_before_newer_extracts_are_taken_in_says_that_the_week_follows_from_them(
    spark: SparkSession, tmp_path: Path, demo_lake: Path
) -> None:
    shutil.copytree(demo_lake.parent, tmp_path / "lake")
    [*_, newest] = sorted((tmp_path / "lake").glob("incidents_*"))
    shutil.copy(newest, newest.with_name("incidents_9.csv"))
    with newest.with_name("incidents_9.csv").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    settings = load_settings(write_settings(tmp_path / "lake"))
    for poll in (None, POLL + timedelta(weeks=520)):
        text = text_of(dry_run(spark, settings, poll, "weekly"))
        assert "incidents_9.csv\n1 new extracts" in text
        assert "of the poll that the new extracts reach" in text


def test_an_error_in_a_task_names_the_stage_and_the_team_and_status_tells_of_it(
    spark: SparkSession, tmp_path: Path, demo_lake: Path
) -> None:
    shutil.copytree(demo_lake.parent, tmp_path / "lake")
    settings = load_settings(write_settings(tmp_path / "lake"))
    lake = Lake(spark, settings.lake)
    assert "Nothing runs on this lake" in text_of(status_of(lake))
    at_poll = f"team_id = 'A' AND poll_on = DATE '{POLL}'"
    slices = lake.read(tables.SNAPSHOT_SLICES).where(at_poll).collect()
    [broken] = {Path(settings.lake, "snapshots", row["file"]) for row in slices}
    broken.write_bytes(b"no Parquet")
    with pytest.raises(Exception, match="working on: A") as error:
        run_quietly(spark, "forecast", settings, POLL)
    assert "in the stage: forecast" in error.value.__notes__
    text = text_of(status_of(lake))
    assert "Broke off: forecast" in text
    assert text.startswith("1\nweekly")
