"""What is past its term or ordered erased goes for good, and a scan of what is left proves it."""

import gzip
import shutil
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
from cas_spark.lake.needles import needles_of
from cas_spark.lake.opening import open_run
from cas_spark.lake.scanning import files_below, scan_files
from cas_spark.pipelines import retain as steps
from cas_spark.pipelines.commands import run_retain
from cas_spark.pipelines.job import Job
from cas_spark.platform.progress import silently
from cas_spark.reporting import Report
from cas_spark.settings import Settings, load_settings
from tests.lake.test_scanning import parquet_of, zip_of
from tests.toy import (
    FORMAT,
    incident,
    run_quietly,
    write_extract,
    write_settings,
    write_teams,
)

pytestmark = [pytest.mark.spark, pytest.mark.slow]

AS_OF = date(2022, 7, 1)
LONG_AGO = datetime(2021, 3, 1, 12)  # noqa: DTZ001  # local, as extracts have it
OF_LATE = LONG_AGO + timedelta(days=365)
YEAR = {"retention": {"incidents": 365}}
FORMATS = {"formats": ["yyyy-MM-dd HH:mm:ss"]}
EXTRACT = {
    "format": "csv",
    "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
    "complete_from": "2020-01-01",
    "known": {"column": "known", **FORMATS},
    "incident": {"source": "register", "key": ["number"]},
}


def rows_of_toy() -> list[dict[str, Any]]:
    """Three incidents of long ago, of which the last was withdrawn of late, and three of late.

    The last row tells the first once more.
    """
    old = [incident(f"old-{i}", "B1", LONG_AGO + timedelta(days=i), (i, 1)) for i in range(3)]
    new = [incident(f"new-{i}", "B1", OF_LATE + timedelta(days=i), (i, 2)) for i in range(3)]
    withdrawn = old[2] | {"type": "undo", "known": OF_LATE.strftime(FORMAT)}
    return [*old, *new, withdrawn, old[0]]


def with_orders(folder: Path) -> dict[str, Any]:
    """Suspects of two of the newer incidents, and orders to erase a link and an incident."""
    kinds = {"kinds": {"column": "kind", "values": {"erased": ["erase"]}}}
    suspects = {
        "files": str(folder / "suspects_*.csv"),
        "person": "person",
        "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
        "priority": {"column": "kind", "codes": {"burglary": ["B*"]}},
    }
    about_links = {"suspect": {"source": "known", "person": "person"}}
    return {
        "suspects": {"known": EXTRACT | suspects},
        "revisions": {
            "orders": EXTRACT | kinds | {"files": str(folder / "orders_*.csv")},
            "links": EXTRACT | kinds | about_links | {"files": str(folder / "links_*.csv")},
        },
    }


def write_lines(path: Path, *lines: str) -> None:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_orders(folder: Path, number: int, more: str = "") -> None:
    """The same suspects and orders in files of another number; `more` makes other bytes of them."""
    write_lines(
        folder / f"suspects_{number}.csv",
        "person,number,kind,known,x,y",
        "person-0001,new-0,B1,2022-03-04 12:00:00,100060,400060",
        "person-0002,new-2,B1,2022-03-05 12:00:00,100060,400060",
        more,
    )
    erase = "erase,2022-04-01 12:00:00"
    write_lines(folder / f"orders_{number}.csv", "number,kind,known", f"new-1,{erase}", more)
    write_lines(
        folder / f"links_{number}.csv",
        "person,number,kind,known",
        f"person-0001,new-0,{erase}",
        more,
    )


def settled(folder: Path, lake: Path, **changes: Any) -> Settings:
    """The settings of a copy of a lake and its extracts."""
    shutil.copytree(lake, folder, dirs_exist_ok=True)
    return load_settings(write_settings(folder, **changes))


@pytest.fixture(scope="module")
def plain(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of the rows above, to be copied."""
    return ingested(spark, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def ordered(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with suspects and orders."""
    folder = tmp_path_factory.mktemp("ordered")
    write_orders(folder, 1)
    return ingested(spark, folder, **with_orders(folder))


def ingested(spark: SparkSession, folder: Path, **changes: Any) -> Path:
    write_teams(folder / "teams.gpkg")
    write_extract(folder / "incidents_1.csv", rows_of_toy())
    run_quietly(spark, "ingest", load_settings(write_settings(folder, **changes)), None)
    return folder


def retain(spark: SparkSession, settings: Settings) -> Report:
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


def test_without_terms_and_orders_nothing_is_changed(
    spark: SparkSession, plain: Path, tmp_path: Path
) -> None:
    settings = settled(tmp_path, plain)
    before = Lake(spark, settings.lake).last_manifest
    report = retain(spark, settings)
    assert Lake(spark, settings.lake).last_manifest == before
    assert report.tables == []
    assert report.lines[0].startswith("Nothing is past its term")


def test_a_term_removes_facts_from_every_byte_and_moves_the_calendar(
    spark: SparkSession, plain: Path, tmp_path: Path
) -> None:
    settings = settled(tmp_path, plain, retention={"incidents": 365, "exports": 30})
    for poll in ("2022-05-30", "2022-06-06"):
        (tmp_path / "lake" / "maps" / poll).mkdir(parents=True)
    before = ids(Lake(spark, settings.lake))
    old = [hexadecimal(before[number]) for number in (1, 2)]
    assert len(keys_found(settings, old)) >= 2  # so the search finds what is there
    report = retain(spark, settings)

    lake = Lake(spark, settings.lake)
    # The third was withdrawn within the year.
    assert set(ids(lake)) == {3, 4, 5, 6}
    assert lake.read(tables.REJECTED_ROWS).isEmpty()
    assert lake.read(tables.OUTCOMES).where("incidents = 1").count() == 4
    assert [path.name for path in (tmp_path / "lake" / "maps").iterdir()] == ["2022-06-06"]
    assert keys_found(settings, old) == []
    removed = {
        row["class"]: (row["rows"], row["facts"], row["reason"], row["complete_from_on"])
        for row in lake.read(tables.RETENTIONS).collect()
    }
    cut = date(2021, 7, 1)
    assert removed == {
        "incidents": (2, 2, "term", cut),
        "rejected_rows": (1, 1, "term", cut),
        "maps": (1, 0, "term", date(2022, 6, 1)),
    }
    [proof] = lake.read(tables.RETENTION_SCANS).collect()
    # Of two incidents, each the only one of its case.
    assert (proof["keys"], proof["keys_found"]) == (4, 0)
    assert proof["files"] > 20
    assert any("None of 4 keys is found" in line for line in report.lines)
    run = open_run(lake, "test", None, "{}", "")
    assert Job(run, settings, None, silently).calendar_from == date(2021, 7, 5)

    after = digests(settings, spark)
    assert retain(spark, settings).tables == []
    assert digests(settings, spark) == after


def test_what_is_ordered_erased_goes_and_does_not_come_back(
    spark: SparkSession, ordered: Path, tmp_path: Path
) -> None:
    settings = settled(tmp_path, ordered, **with_orders(tmp_path))
    lake = Lake(spark, settings.lake)
    suspect = lake.read(tables.SUSPECTS).where("row_number = 1").collect()[0]
    erased = [ids(lake)[5], suspect["link_id"], suspect["suspect_key"]]
    erased = [hexadecimal(identity) for identity in erased]
    assert all(keys_found(settings, [key]) for key in erased)
    report = retain(spark, settings)
    lake = Lake(spark, settings.lake)
    # The incident of the link stays, and so does another person's link.
    assert set(ids(lake)) == {1, 2, 3, 4, 6}
    assert set(ids(lake, "suspects")) == {2}
    assert lake.read(tables.REVISIONS).where("told_kind = 'erased'").isEmpty()
    assert keys_found(settings, erased) == []
    outside = sorted(line.rsplit("/", 1)[-1] for line in report.lines if "Holds rows" in line)
    assert outside == ["incidents_1.csv", "links_1.csv", "orders_1.csv", "suspects_1.csv"]

    # Everything again, in other files, which the settings now allow to be deleted.
    write_extract(tmp_path / "incidents_2.csv", [*rows_of_toy(), rows_of_toy()[4]])
    write_orders(tmp_path, 2, more=" ")
    run_quietly(spark, "ingest", settings, None)
    lake = Lake(spark, settings.lake)
    assert set(ids(lake)) == {1, 2, 3, 4, 6}
    assert set(ids(lake, "suspects")) == {2}
    assert keys_found(settings, erased) == []
    rejected = lake.read(tables.REJECTED_ROWS).where("reason = 'erased'")
    by_source = {
        row["source"]: row["count"] for row in rejected.groupBy("source").count().collect()
    }
    assert by_source == {"register": 2, "known": 1, "orders": 1, "links": 1}
    may_delete = with_orders(tmp_path) | {"retention": {"extracts": 3650}}
    retain(spark, load_settings(write_settings(tmp_path, **may_delete)))
    left = sorted(path.name for path in tmp_path.glob("*.csv"))
    assert left == ["incidents_2.csv", "links_2.csv", "orders_2.csv", "suspects_2.csv"]


def test_a_key_that_is_left_somewhere_fails_the_command_until_it_is_gone(
    spark: SparkSession, plain: Path, tmp_path: Path
) -> None:
    settings = settled(tmp_path, plain, **YEAR)
    key = hexadecimal(ids(Lake(spark, settings.lake))[1])
    plots, artifacts = tmp_path / "lake" / "plots", tmp_path / "lake" / "mlflow" / "artifacts"
    files = (tmp_path / "lake" / "incidents").glob("*.parquet")
    old_version = max(files, key=lambda path: path.stat().st_size)  # others may be without rows
    planted = {
        plots / "old.parquet": parquet_of([{"id": f"register:{key}"}]),
        artifacts / "model.zip": zip_of("models.json.gz", gzip.compress(key.encode())),
        plots / "old_version.parquet": old_version.read_bytes(),
        # What an old version's log says of a file's keys: cut off after 32 letters.
        plots / "01.json": f'{{"minValues": {{"incident_id": "register:{key[:23]}"}}}}'.encode(),
    }
    for path, content in planted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(CasError) as raised:
        retain(spark, settings)
    assert [path.name for path in planted if path.name not in raised.value.found] == []
    assert Journal(Lake(spark, settings.lake)).is_there()
    for path in planted:
        path.unlink()
    retain(spark, settings)
    assert not Journal(Lake(spark, settings.lake)).is_there()
    [proof] = Lake(spark, settings.lake).read(tables.RETENTION_SCANS).collect()
    assert proof["keys"] == 4


def test_wherever_it_breaks_off_the_same_command_completes_it(
    spark: SparkSession, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settled(tmp_path, plain, **YEAR)
    old = [hexadecimal(ids(Lake(spark, settings.lake))[number]) for number in (1, 2)]
    # In their order: after the journal, amid removing, once published, amid forgetting, at the end.
    for step, at_call in {
        "_record": 1,
        "end_with_a_commit_without_rows": 2,
        "_remove_outside": 1,
        "forget_past": 2,
        "_scan": 1,
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(steps, step, killed(getattr(steps, step), at_call))
            with pytest.raises(KeyboardInterrupt):
                retain(spark, settings)
        assert Journal(Lake(spark, settings.lake)).is_there(), step
        assert keys_found(settings, old), step
    retain(spark, settings)
    assert keys_found(settings, old) == []
    lake = Lake(spark, settings.lake)
    assert set(ids(lake)) == {3, 4, 5, 6}
    [proof] = lake.read(tables.RETENTION_SCANS).collect()
    assert (proof["retention"], proof["keys"]) == (1, 4)


def killed(step: Callable[..., Any], at_call: int) -> Callable[..., Any]:
    """The step, which is killed at its nth call."""
    calls = []

    def until_killed(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at_call:
            raise KeyboardInterrupt
        return step(*arguments)

    return until_killed
