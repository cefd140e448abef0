"""Extracts are read by one set of settings: where these change, a run refuses or reads again."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.opening import open_run
from cas_spark.pipelines.commands import run_command, run_rebuild, run_retain
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.reread import check_reading, held_extracts
from cas_spark.pipelines.steps.ingest import listed_files, new_files
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings, load_settings
from tests.pipelines.test_retain import AS_OF, with_orders, write_orders
from tests.toy import (
    POLL,
    content_of_toy,
    incident,
    run_quietly,
    write_extract,
    write_settings,
    write_teams,
    write_toy,
)

pytestmark = pytest.mark.spark

MOMENT = datetime(2021, 3, 1, 12)  # noqa: DTZ001  # local, as extracts have it
WITH_THEFT = {"column": "kind", "codes": {"burglary": ["B*", "Z1"], "robbery": ["R*"]}}
BEFORE = {"column": "kind", "codes": {"burglary": ["B*"], "robbery": ["R*"]}, "other": ["Z*"]}
AFTER = WITH_THEFT | {"other": ["Z*"]}
FACTS = ("datasets", "rejected_rows", "incidents", "revisions", "outcomes")


def rows_of_town() -> list[dict[str, Any]]:
    """Burglaries and thefts, one of which was withdrawn, and a second row of the first."""
    kinds = ("B1", "Z1", "B1", "Z1", "Z2")
    rows = [
        incident(f"n-{i}", kind, MOMENT + timedelta(days=i), (i, 1)) for i, kind in enumerate(kinds)
    ]
    withdrawn = [
        rows[i] | {"type": "undo", "known": str(MOMENT + timedelta(days=9))} for i in (1, 2)
    ]
    return [*rows, *withdrawn, rows[0]]


def settings_in(folder: Path, **changes: Any) -> Settings:
    content = content_of_toy(folder)
    register = content["incidents"]["register"] | {"priority": BEFORE} | changes
    return load_settings(write_settings(folder, incidents={"register": register}))


def write_town(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_teams(folder / "teams.gpkg")
    write_extract(folder / "incidents_1.csv", rows_of_town())
    return folder


def ingest(spark: SparkSession, settings: Settings, *reread: str) -> Manifest:
    run_command(spark, "ingest", settings, None, silently, reread)
    manifest = Lake(spark, settings.lake).last_manifest
    assert manifest is not None
    return manifest


@pytest.fixture(scope="module")
def town(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake on which one run has taken in the rows above; to be copied."""
    folder = write_town(tmp_path_factory.mktemp("town"))
    ingest(spark, settings_in(folder))
    return folder


def job_on(spark: SparkSession, settings: Settings, *reread: str) -> Job:
    lake = Lake(spark, settings.lake)
    run = open_run(lake, "test", None, settings.as_json(), settings.sha256())
    return Job(run, settings, None, silently, reread=frozenset(reread))


def check(job: Job) -> None:
    check_reading(job, listed_files(job, job.settings.sources), held_extracts(job))


def test_what_is_read_again_is_as_if_it_had_never_been_read_otherwise(
    spark: SparkSession, town: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(town, folder)
    settings = settings_in(folder, priority=AFTER)
    lake = Lake(spark, settings.lake)
    before = lake.last_manifest
    assert before is not None
    with pytest.raises(CasError, match="register") as refused:
        ingest(spark, settings)
    texts = ("priority.codes.burglary.1 is 'Z1', was not there", "--reread register")
    assert all(text in str(refused.value) for text in texts)
    assert Lake(spark, settings.lake).last_manifest == before
    again = ingest(spark, settings, "register")

    fresh = ingest(spark, settings_in(write_town(tmp_path / "fresh"), priority=AFTER))
    assert {name: again.digests[name] for name in FACTS} == {
        name: fresh.digests[name] for name in FACTS
    }
    assert again.digests["incidents"] != before.digests["incidents"]
    lake = Lake(spark, settings.lake)
    assert lake.read(tables.INCIDENTS).select("incident_id").distinct().count() == 4
    moved = lake.read(tables.REPLACED_INCIDENTS).select("replacement", "replaced_by_run").collect()
    assert [tuple(row) for row in moved] == [(1, 2), (1, 2)]
    # What is read by the settings of now stays so.
    assert ingest(spark, settings).digests["incidents"] == fresh.digests["incidents"]


def test_an_extract_of_an_older_lake_was_read_by_the_settings_of_its_run(
    spark: SparkSession, town: Path, tmp_path: Path
) -> None:
    shutil.copytree(town, tmp_path, dirs_exist_ok=True)
    job = job_on(spark, settings_in(tmp_path))
    unknown = {
        "source_sha256": F.lit(None).cast("string"),
        "delivered_on": F.lit(None).cast("date"),
    }
    datasets = job.run.read(tables.DATASETS).withColumns(unknown).localCheckpoint()
    job.run.replace(tables.DATASETS, datasets)
    check(job)
    check(Job(job.run, settings_in(tmp_path, delivered="2021-04-01"), None, silently))
    with pytest.raises(CasError, match=r"register: priority.codes.burglary.1 is 'Z1'"):
        check(Job(job.run, settings_in(tmp_path, priority=AFTER), None, silently))


def test_what_can_not_be_read_again_is_refused(
    spark: SparkSession, town: Path, tmp_path: Path
) -> None:
    shutil.copytree(town, tmp_path, dirs_exist_ok=True)
    settings = settings_in(tmp_path, priority=AFTER)
    job = job_on(spark, settings, "register")
    assert [path.rsplit("/", 1)[-1] for _, path, _ in new_of(job)] == ["incidents_1.csv"]
    with pytest.raises(CasError, match="--reread registry.*expected one of register"):
        check(job_on(spark, settings, "registry"))
    with pytest.raises(CasError, match="delivered says 2021-03-20 of incidents_1.csv, said no day"):
        check(job_on(spark, settings_in(tmp_path, delivered="2021-03-20")))
    text = (tmp_path / "incidents_1.csv").read_text(encoding="utf-8")
    (tmp_path / "incidents_1.csv").write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(CasError, match=r"incidents_1.csv.*Put them back"):
        check(job)


def new_of(job: Job) -> list[Any]:
    return new_files(job, listed_files(job, job.settings.sources), held_extracts(job))


def test_two_files_of_the_same_content_are_one_extract(
    spark: SparkSession, town: Path, tmp_path: Path
) -> None:
    shutil.copytree(town, tmp_path, dirs_exist_ok=True)
    shutil.copy(tmp_path / "incidents_1.csv", tmp_path / "incidents_2.csv")
    write_extract(tmp_path / "incidents_3.csv", rows_of_town()[:1])
    shutil.copy(tmp_path / "incidents_3.csv", tmp_path / "incidents_4.csv")
    job = job_on(spark, settings_in(tmp_path))
    assert [path.rsplit("/", 1)[-1] for _, path, _ in new_of(job)] == ["incidents_3.csv"]


@pytest.mark.slow
def test_a_week_of_before_is_rebuilt_from_the_rows_that_were_replaced(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = load_settings(write_toy(tmp_path))
    run_quietly(spark, "weekly", settings, POLL)
    register = content_of_toy(tmp_path)["incidents"]["register"]
    codes = register["priority"] | {"codes": {"burglary": ["B*", "Z*"], "robbery": ["R*"]}}
    changed = register | {"priority": codes | {"other": []}}
    settings = load_settings(write_settings(tmp_path, incidents={"register": changed}))
    run_command(spark, "weekly", settings, POLL, silently, ["register"])
    now = Lake(spark, settings.lake).last_manifest
    assert now is not None
    for number in (1, 2):
        rebuilt, _ = run_rebuild(spark, settings, number, None, silently)
        assert rebuilt.is_equal, number
        assert (now.digests["incidents"] == rebuilt.recorded["incidents"]) == (number == 2)
    # Every poll saw the new rows: so did the snapshots of a lake that never had others.
    fresh = tmp_path / "fresh"
    write_toy(fresh)
    register = changed | {"files": str(fresh / "incidents_*.csv*")}
    fresh_settings = load_settings(write_settings(fresh, incidents={"register": register}))
    run_quietly(spark, "weekly", fresh_settings, POLL)
    expected = Lake(spark, fresh_settings.lake).last_manifest
    assert expected is not None
    for name in ("incidents", "outcomes", "snapshots", "models", "forecasts"):
        assert now.digests[name] == expected.digests[name], name


@pytest.mark.slow
def test_erasures_reach_replaced_rows_and_those_that_are_read_again(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_teams(tmp_path / "teams.gpkg")
    rows = [
        incident(f"new-{i}", kind, datetime(2022, 3, 1 + i, 12), (i, 2))  # noqa: DTZ001
        for i, kind in enumerate(("B1", "B1", "Z1"))
    ]
    write_extract(tmp_path / "incidents_1.csv", rows)
    write_orders(tmp_path, 1)

    def settings(**changes: Any) -> Settings:
        register = content_of_toy(tmp_path)["incidents"]["register"] | changes
        content = with_orders(tmp_path) | {"incidents": {"register": register}}
        return load_settings(write_settings(tmp_path, **content))

    ingest(spark, settings(priority=BEFORE))
    # A decision is about an incident of some priority, so orders are read by its codes as well.
    all_three = ("register", "orders", "links")
    ingest(spark, settings(priority=AFTER), *all_three)
    report = run_retain(spark, settings(priority=AFTER), AS_OF)  # proves that no key is left
    of_replaced = [row for row in report.tables[0].rows if row[0] == "replaced_incidents"]
    assert [row[-2:] for row in of_replaced] == [["1", "1"]]
    ingest(spark, settings(priority=BEFORE), *all_three)
    lake = Lake(spark, settings(priority=BEFORE).lake)
    assert lake.read(tables.INCIDENTS).count() == 1
    reasons = (
        lake.read(tables.REJECTED_ROWS).where("source = 'register'").select("reason").collect()
    )
    assert sorted(row[0] for row in reasons) == ["erased", "other_code"]
    with pytest.raises(CasError, match="erased on order.*encoding"):
        ingest(spark, settings(priority=BEFORE, encoding="windows-1252"), "register")
