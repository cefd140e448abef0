"""What is past its term or ordered erased goes for good, and a scan of what is left proves it."""

import gzip
import zipfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.erasing import Journal
from cas_spark.lake.lake import Lake
from cas_spark.lake.run import open_run
from cas_spark.lake.scanning import files_below, needles_of, scan_files
from cas_spark.pipelines import retain as steps
from cas_spark.pipelines.commands import run_retain
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.progress import silently
from cas_spark.pipelines.report import TextReport
from cas_spark.settings import Settings, load_settings
from tests.toy import (
    FORMAT,
    incident,
    run_quietly,
    write_extract,
    write_settings,
    write_teams,
)

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]

AS_OF = date(2022, 7, 1)
OLD, YOUNG = datetime(2021, 3, 1, 12), datetime(2022, 3, 1, 12)
YEAR = {"retention": {"incidents": 365}}
VARIABLE = "CAS_TOY_KEY"


def rows_of_toy() -> list[dict[str, Any]]:
    """Three incidents that are long past, of which one is withdrawn late, and three that are not.

    Another row is of an old incident that was told twice.
    """
    old = [incident(f"old-{i}", "B1", OLD + timedelta(days=i), (i, 1)) for i in range(3)]
    young = [incident(f"young-{i}", "B1", YOUNG + timedelta(days=i), (i, 2)) for i in range(3)]
    late = old[2] | {"type": "undo", "known": YOUNG.strftime(FORMAT)}
    return [*old, *young, late, old[0]]


def revision_source(folder: Path, about_suspects: bool = False) -> dict[str, Any]:
    suspect = {"suspect": {"source": "known", "person": "person"}} if about_suspects else {}
    return {
        "files": str(folder / "decisions_*.csv"),
        "format": "csv",
        "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
        "complete_from": "2020-01-01",
        "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm:ss"]},
        "incident": {"source": "register", "key": ["number"]},
        "kinds": {"column": "kind", "values": {"erased": ["erase"]}},
        **suspect,
    }


def write_decisions(folder: Path, lines: list[str], columns: str = "number,kind,known") -> None:
    path = folder / "decisions_1.csv"
    path.write_text("\n".join([columns, *lines]) + "\n", encoding="utf-8")


def write_lake(spark: SparkSession, folder: Path, **changes: Any) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    write_teams(folder / "teams.gpkg")
    write_extract(folder / "incidents_1.csv", rows_of_toy())
    settings = load_settings(write_settings(folder, **changes))
    run_quietly(spark, "ingest", settings, None)
    return settings


def retain(spark: SparkSession, settings: Settings) -> TextReport:
    return run_retain(spark, settings, AS_OF)


def ids(lake: Lake, name: str = "incidents") -> dict[int, str]:
    """Row number -> id, of the first versions."""
    table = {"incidents": tables.INCIDENTS, "suspects": tables.SUSPECTS}[name]
    key = table.keys[0]
    return {row["row_number"]: row[key] for row in lake.read(table).collect()}


def digests(settings: Settings, spark: SparkSession) -> dict[str, str]:
    manifest = Lake(spark, settings.lake).last_manifest
    assert manifest is not None
    return dict(manifest.digests)


def keys_found(settings: Settings, keys: list[str]) -> list[str]:
    files = files_below(settings.lake)
    return [found for found, _ in scan_files(files, needles_of(keys)).found]


def hexadecimal(identity: str) -> str:
    return identity.rsplit(":", 1)[-1]


def test_without_terms_and_orders_nothing_is_changed(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_lake(spark, tmp_path)
    before = Lake(spark, settings.lake).last_manifest
    report = retain(spark, settings)
    assert Lake(spark, settings.lake).last_manifest == before
    assert report.tables == []
    assert report.lines[0].startswith("Nothing is past its term")


def test_a_term_removes_facts_from_every_byte_and_moves_the_calendar(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = write_lake(spark, tmp_path, **YEAR)
    before = ids(Lake(spark, settings.lake))
    old = [hexadecimal(before[number]) for number in (1, 2)]
    assert len(keys_found(settings, old)) >= 2  # so the search finds what is there
    report = retain(spark, settings)

    lake = Lake(spark, settings.lake)
    # The third was withdrawn within the year.
    assert set(ids(lake)) == {3, 4, 5, 6}
    assert lake.read(tables.REJECTED_ROWS).count() == 0
    assert lake.read(tables.OUTCOMES).where("superseded_at IS NULL").count() == 3
    assert keys_found(settings, old) == []
    removed = {
        row["class"]: (row["rows"], row["facts"], row["reason"], row["complete_from_on"])
        for row in lake.read(tables.RETENTIONS).collect()
    }
    cut = date(2021, 7, 1)
    assert removed == {
        "incidents": (2, 2, "term", cut),
        "rejected_rows": (1, 1, "term", cut),
    }
    [proof] = lake.read(tables.RETENTION_SCANS).collect()
    # An id and a pseudonym of the case each.
    assert (proof["keys"], proof["keys_found"]) == (4, 0)
    assert proof["files"] > 20
    assert any("None of 4 keys is found" in line for line in report.lines)
    run = open_run(lake, "test", None, "{}", "")
    assert Job(run, settings, None, silently).calendar_from == date(2021, 7, 5)

    after = digests(settings, spark)
    assert retain(spark, settings).tables == []
    assert digests(settings, spark) == after


def test_what_is_delivered_again_does_not_come_back(spark: SparkSession, tmp_path: Path) -> None:
    settings = (
        write_lake(spark, tmp_path, **YEAR, revisions={"decisions": revision_source(tmp_path)})
        if write_orders(tmp_path)
        else None
    )
    assert settings is not None
    orders = ids(Lake(spark, settings.lake))
    erased = hexadecimal(orders[5])
    report = retain(spark, settings)
    lake = Lake(spark, settings.lake)
    assert set(ids(lake)) == {3, 4, 6}
    assert keys_found(settings, [erased]) == []
    assert lake.read(tables.REVISIONS).where("told_kind = 'erased'").isEmpty()
    outside = [line for line in report.lines if line.startswith("Holds rows")]
    assert [line.rsplit("/", 1)[-1] for line in outside] == ["decisions_1.csv", "incidents_1.csv"]

    # Everything again, in other files.
    again = [*rows_of_toy(), incident("new", "B1", YOUNG, (3, 3))]
    write_extract(tmp_path / "incidents_2.csv", again)
    write_decisions(tmp_path, ["young-1,erase,2022-04-01 12:00:00", "nobody,erase,2022-04-01"])
    run_quietly(spark, "ingest", settings, None)
    lake = Lake(spark, settings.lake)
    assert set(ids(lake)) == {3, 4, 6, 9}
    assert keys_found(settings, [erased]) == []
    rejected = lake.read(tables.REJECTED_ROWS).groupBy("reason").count().collect()
    assert {row["reason"]: row["count"] for row in rejected} == {
        "past_term": 4,
        "duplicate": 3,
        "erased": 2,
        "known_unreadable": 1,
    }
    after = digests(settings, spark)
    retain(spark, settings)
    assert digests(settings, spark) == after


def write_orders(folder: Path) -> bool:
    write_decisions(folder, ["young-1,erase,2022-04-01 12:00:00"])
    return True


def test_a_suspects_link_is_erased_on_order_and_its_incident_stays(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "a key of the toy country only")
    links = ["person,number,kind,known,x,y"]
    links += [
        f"person-000{i},young-{i},B1,2022-03-0{i + 4} 12:00:00,100060,400060" for i in range(2)
    ]
    (tmp_path / "suspects_1.csv").write_text("\n".join(links) + "\n", encoding="utf-8")
    write_decisions(
        tmp_path,
        ["person-0000,young-0,erase,2022-04-01 12:00:00"],
        "person,number,kind,known",
    )
    suspects = {
        "files": str(tmp_path / "suspects_*.csv"),
        "format": "csv",
        "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
        "complete_from": "2020-01-01",
        "person": "person",
        "incident": {"source": "register", "key": ["number"]},
        "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm:ss"]},
        "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
        "priority": {"column": "kind", "codes": {"burglary": ["B*"]}},
    }
    settings = write_lake(
        spark,
        tmp_path,
        pseudonym_key={"environment": VARIABLE},
        suspects={"known": suspects},
        revisions={"decisions": revision_source(tmp_path, about_suspects=True)},
        retention={"extracts": 3650},
    )
    lake = Lake(spark, settings.lake)
    before = lake.read(tables.SUSPECTS).orderBy("row_number").collect()
    person, link = before[0]["suspect_key"], hexadecimal(before[0]["link_id"])
    assert keys_found(settings, [person, link])
    retain(spark, settings)
    lake = Lake(spark, settings.lake)
    assert set(ids(lake, "suspects")) == {2}
    assert lake.read(tables.INCIDENTS).where("version = 1").count() == 6
    assert keys_found(settings, [person, link]) == []
    # The extracts that held it are gone too, as the settings have it.
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["incidents_1.csv"]


def test_exports_of_old_polls_go_and_others_stay(spark: SparkSession, tmp_path: Path) -> None:
    settings = write_lake(spark, tmp_path, retention={"exports": 30})
    maps = Path(settings.lake, "maps")
    for poll in ("2022-05-30", "2022-06-06"):
        (maps / poll).mkdir(parents=True)
        (maps / poll / "team A.geojson").write_text("{}")
    retain(spark, settings)
    assert [path.name for path in maps.iterdir()] == ["2022-06-06"]
    assert len(ids(Lake(spark, settings.lake))) == 6


def plant_in_parquet(lake: Path, key: str, spark: SparkSession) -> Path:
    path = lake / "plots" / "old.parquet"
    spark.createDataFrame([(f"register:{key}",)], "id string").toPandas().to_parquet(path)
    return path


def plant_in_zip(lake: Path, key: str, spark: SparkSession) -> Path:
    path = lake / "plots" / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("models.json.gz", gzip.compress(f'{{"example": "{key}"}}'.encode()))
    return path


def plant_in_a_log(lake: Path, key: str, spark: SparkSession) -> Path:
    path = lake / "cells" / "_delta_log" / "00000000000000000000.json"
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"add": {{"stats": "{{register:{key[:23]}"}}}}')
    return path


@pytest.mark.parametrize("plant", [plant_in_parquet, plant_in_zip])
def test_a_key_that_is_left_somewhere_fails_the_command_until_it_is_gone(
    plant: Callable[[Path, str, SparkSession], Path], spark: SparkSession, tmp_path: Path
) -> None:
    settings = write_lake(spark, tmp_path, **YEAR)
    key = hexadecimal(ids(Lake(spark, settings.lake))[1])
    (tmp_path / "lake" / "plots").mkdir()
    planted = plant(tmp_path / "lake", key, spark)
    with pytest.raises(CasError, match=f"1 of them in .*{planted.name}"):
        retain(spark, settings)
    assert Journal(Lake(spark, settings.lake)).is_there()
    planted.unlink()
    retain(spark, settings)
    assert not Journal(Lake(spark, settings.lake)).is_there()
    [proof] = Lake(spark, settings.lake).read(tables.RETENTION_SCANS).collect()
    assert proof["keys"] == 4


@pytest.mark.parametrize(
    "step", ["_record", "end_with_a_commit_without_rows", "_remove_outside", "forget_past", "_scan"]
)
def test_where_it_breaks_off_the_same_command_completes_it(
    step: str, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = write_lake(spark, tmp_path, **YEAR)
    old = [hexadecimal(ids(Lake(spark, settings.lake))[number]) for number in (1, 2)]
    calls = []

    def killed(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2 or step in ("_record", "_remove_outside", "_scan"):
            raise KeyboardInterrupt
        return original(*arguments)

    original = getattr(steps, step)
    with monkeypatch.context() as patch:
        patch.setattr(steps, step, killed)
        with pytest.raises(KeyboardInterrupt):
            retain(spark, settings)
    assert Journal(Lake(spark, settings.lake)).is_there()
    assert keys_found(settings, old)
    retain(spark, settings)
    assert keys_found(settings, old) == []
    assert set(ids(Lake(spark, settings.lake))) == {3, 4, 5, 6}
    [proof] = Lake(spark, settings.lake).read(tables.RETENTION_SCANS).collect()
    assert (proof["retention"], proof["keys"]) == (1, 4)
