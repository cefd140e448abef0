"""An extract that lies there twice, under two names, is read once."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import open_run
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.ingest import listed_files, without_copies
from cas_spark.platform.progress import silently
from cas_spark.settings import load_settings
from tests.toy import settings_of_toy, write_toy


def test_the_first_file_of_a_content_is_kept_and_its_copies_are_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [register] = settings_of_toy().incidents
    other = register.model_copy(update={"name": "other"})
    files = [
        (register, "a.csv", "1"),
        (register, "b.csv", "2"),
        (register, "copy of a.csv", "1"),
        (other, "a.csv", "1"),
        (register, "again a.csv", "1"),
    ]
    assert without_copies(files) == [files[0], files[1], files[3]]
    assert [record.getMessage() for record in caplog.records] == [
        "copy of a.csv: the same file as a.csv, which is read once",
        "again a.csv: the same file as a.csv, which is read once",
    ]


@pytest.mark.spark
def test_of_copies_that_lie_in_the_folder_the_first_is_new(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = load_settings(write_toy(tmp_path))
    originals = sorted(tmp_path.glob("incidents_*"))
    for path in originals:
        shutil.copy(path, path.with_name(f"incidents_copy_of_{path.name}"))
    run = open_run(Lake(spark, settings.lake), "test", None, "{}", "0")
    new = listed_files(Job(run, settings, None, silently), settings.incidents)
    assert [Path(path).name for _, path, _ in new] == [path.name for path in originals]
