"""What cannot work on this machine, or at all, is refused when the settings load."""

from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pytest
import yaml

from cas_spark.errors import SettingsError
from cas_spark.settings import load_settings
from cas_spark.settings.zones import java_knows
from tests.toy import content_of_toy


def problems_with(folder: Path, **changes: Any) -> str:
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(content_of_toy(folder) | changes, allow_unicode=True))
    try:
        load_settings(path)
    except SettingsError as error:
        return "\n".join(error.problems)
    return ""


@pytest.mark.parametrize("scheme", ["s3a", "s3", "hdfs", "abfss", "gs", "viewfs"])
def test_a_far_lake_needs_spark_to_move_the_bytes_and_a_store_for_mlflow(
    tmp_path: Path, scheme: str
) -> None:
    lake, tracking = f"{scheme}://bucket/lake", {"uri": "http://localhost:5000"}
    found = problems_with(tmp_path, lake=lake)
    assert f"lake: tasks cannot reach {scheme}:// themselves; set resources.storage_access" in found
    assert "tracking.uri: needed" in found
    spark = {"storage_access": "spark"}
    assert "tracking.uri: needed" in problems_with(tmp_path, lake=lake, resources=spark)
    assert problems_with(tmp_path, lake=lake, resources=spark, tracking=tracking) == ""
    database = {"uri": f"sqlite:///{tmp_path}/m.db"}
    found = problems_with(tmp_path, lake=lake, resources=spark, tracking=database)
    assert found.startswith("tracking.artifacts: needed with a database")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("postgresql://me:secret@host/db", "needs the Python package psycopg"),
        ("postgresql+psycopg2://host/db", "needs the Python package psycopg2"),
        ("mysql+pymysql://host/db", "needs the Python package pymysql"),
        ("mssql+pyodbc://host/db", "needs the Python package pyodbc"),
        ("oracle://host/db", "none of a store that MLflow has"),
        ("mlflow.db", "none of a store that MLflow has"),
        ("sqlite:////a%20b/mlflow.db", "holds % or ?"),
        ("sqlite:////tmp/mlflow.db", ""),
        ("http://localhost:5000", ""),
        ("https://me:secret@host/mlflow", ""),
        ("databricks", ""),
    ],
)
def test_a_tracking_store_needs_its_driver(tmp_path: Path, uri: str, problem: str) -> None:
    found = problems_with(tmp_path, tracking={"uri": uri})
    assert problem in found
    assert bool(found) == bool(problem)
    assert "secret" not in found


@pytest.mark.parametrize(
    ("lake", "problem"),
    [
        ("a space", ""),
        ("ha#sh & [x] 日本 'q' \"q\" ;$(x)", ""),
        ("back`tick", "holds '`', which Delta's library takes for something else"),
        ("-dash", ""),
        ("./co:lon/lake", ""),
        ("per%cent", "holds '%', which Delta's library takes for something else"),
        ("per%20cent", "holds '%', which Delta's library takes for something else"),
        ("back\\slash", "holds '\\\\', which Delta's library"),
        ("new\nline", "holds '\\n', which Delta's library"),
        ("quest?ion", "holds ?, which MLflow's places inside it may not"),
        ("s3a:/bucket", "has one slash after the colon"),
        ("file:///a%20b", "give the folder as a plain path"),
        ("file:///a b", "give the folder as a plain path"),
        ("file://host/a", "give the folder as a plain path"),
        ("file:///tmp/a-b/c.d", ""),
        ("lake ", "begins or ends with white space"),
        ("", "is empty, expected a path"),
        ("日" * 100, "a folder's name of 300 bytes"),
        ("settings.yaml", "is a file, expected a folder"),
        ("x" * 4_001, "a path of 4001 characters"),
    ],
)
def test_a_lake_may_lie_in_any_folder_or_is_refused(
    tmp_path: Path, lake: str, problem: str
) -> None:
    found = problems_with(tmp_path, lake=lake)
    assert problem in found
    assert bool(found) == bool(problem)


def test_a_lake_with_a_question_mark_works_where_mlflow_lies_elsewhere(tmp_path: Path) -> None:
    tracking = {"uri": f"sqlite:///{tmp_path}/m.db", "artifacts": str(tmp_path / "artifacts")}
    assert problems_with(tmp_path, lake="what?", tracking=tracking) == ""
    wrong = tracking | {"artifacts": str(tmp_path / "per%cent")}
    assert "tracking.artifacts: holds %" in problems_with(tmp_path, tracking=wrong)


@pytest.mark.parametrize(
    "zone",
    ["localtime", "Factory", "ROC", "posixrules", "posix/Europe/Paris", "right/UTC", "", "x"],
)
def test_a_zone_that_spark_does_not_know_is_refused(tmp_path: Path, zone: str) -> None:
    assert "is not a time zone: give an IANA name" in problems_with(tmp_path, timezone=zone)
    source = content_of_toy(tmp_path)["incidents"]["register"] | {"timezone": zone}
    found = problems_with(tmp_path, incidents={"register": source})
    assert "incidents.register.timezone: " in found


def test_the_nearest_zone_is_named(tmp_path: Path) -> None:
    found = problems_with(tmp_path, timezone="Europe/Amsterdan")
    assert found.endswith("give an IANA name such as Europe/Amsterdam")


@pytest.mark.spark
def test_java_is_read_as_it_reads_zones_itself(spark: Any) -> None:
    of = spark._jvm.java.time.ZoneId
    known = set(of.getAvailableZoneIds()) | set(of.SHORT_IDS) | {"GMT+0", "GMT-0"}
    for zone in sorted(available_timezones()):
        assert java_knows(zone) == (zone in known), zone
