"""A purge takes a fact out of every poll, and only what it touches is done anew."""

import csv
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.reports.revisions import count_revisions
from cas_spark.settings import load_settings
from tests.toy import (
    BOTTOM,
    CELL,
    COLUMNS,
    FORMAT,
    LEFT,
    POLL,
    ROWS,
    incident,
    incidents_of_toy,
    run_quietly,
    write_extract,
    write_settings,
    write_toy,
)

pytestmark = pytest.mark.spark
AT_POLL = datetime.combine(POLL, datetime.min.time())
STEPS = ("ingest", "grid", "snapshots", "train", "forecast")
FAR = 100
"""Columns from the toy's two teams to a third, which no halo reaches."""
FIELDS = ("number", "kind", "decided", "known", "code", "from", "x", "y")
FROM_FACTS = ("outcomes", "cells", "snapshots", "models", "forecasts")


def with_decisions(folder: Path, **effects: str) -> dict[str, Any]:
    kinds = ("unlawful", "unfounded", "erased", "reclassified", "relocated", "retimed")
    return {
        "effects": effects,
        "revisions": {
            "decisions": {
                "files": str(folder / "decisions_*.csv"),
                "format": "csv",
                "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
                "complete_from": "2020-01-01",
                "incident": {"source": "register", "key": ["number"]},
                "kinds": {"column": "kind", "values": {kind: [kind] for kind in kinds}},
                "decided": {"column": "decided", "formats": ["yyyy-MM-dd"]},
                "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm:ss"]},
                "code": "code",
                "occurred": {"start": "from", "formats": ["yyyy-MM-dd HH:mm:ss"]},
                "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
            }
        },
    }


def decision(number: str, kind: str, known: datetime, **told: Any) -> dict[str, Any]:
    told |= {"decided": (known - timedelta(days=3)).strftime("%Y-%m-%d")}
    return {"number": number, "kind": kind, "known": known.strftime(FORMAT), **told}


def write_decisions(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def write_three_teams(folder: Path, leaving_out: frozenset[str] = frozenset()) -> Path:
    """The toy with a third team far away, whose incidents are those of the first, moved."""
    path = write_toy(folder, **with_decisions(folder))
    width, height = COLUMNS * CELL, ROWS * CELL
    boxes = [
        shapely.box(LEFT + at * CELL, BOTTOM, LEFT + at * CELL + width, BOTTOM + height)
        for at in (0, COLUMNS, FAR)
    ]
    teams = gpd.GeoDataFrame(
        {"id": ["A", "B", "C"], "name": ["Alfa", "Bravo", "Cara"]},
        geometry=boxes,
        crs="EPSG:28992",
    )
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2024-01-01T00:00:00Z"})
    (folder / "teams.gpkg").unlink()
    teams.to_file(folder / "teams.gpkg", layer="teams", driver="GPKG")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    every = list(incidents_of_toy(1))
    rows = [row for row in every if row["number"] not in leaving_out]
    moved = [row | {"number": f"C-{row['number']}", "x": row["x"] + FAR * CELL} for row in every]
    (folder / "incidents_2.csv.gz").unlink()
    alone = [] if ALONE in leaving_out else [THERE]
    write_extract(folder / "incidents_1.csv", [*rows, *moved, *alone])
    return path


# Alone in its corner before the grid serves, and so the only reason why the cell there is kept.
ALONE = "B1-alone"
THERE = incident(ALONE, "B1", AT_POLL - timedelta(weeks=140), (2 * COLUMNS - 1, ROWS - 1))
PURGED = [ALONE, *(f"B1-{number}" for number in range(0, 300, 7))]


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("purge")
    path = write_three_teams(folder)
    write_decisions(folder / "decisions_1.csv", [decision("nobody's", "unlawful", AT_POLL)])
    for step in STEPS:
        run_quietly(spark, step, load_settings(path), POLL)
    return folder


def lake_in(spark: SparkSession, folder: Path) -> Lake:
    return Lake(spark, load_settings(folder / "toy.yaml").lake)


def digests(lake: Lake) -> dict[str, str]:
    assert lake.last_manifest is not None
    return dict(lake.last_manifest.digests)


def slices(lake: Lake) -> dict[str, list[Row]]:
    rows = lake.read(tables.SNAPSHOT_SLICES).orderBy("team_id", "poll_on").collect()
    return {team: [row for row in rows if row["team_id"] == team] for team in "ABC"}


def test_a_purge_is_a_world_in_which_the_objects_never_were_and_touches_no_other_team(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    before = lake_in(spark, folder)
    untouched, models = slices(before), before.read(tables.MODELS).where("team_id = 'C'")
    models_of_c = {(r["priority"], r["horizon"]): r["coefficients"] for r in models.collect()}
    known = AT_POLL - timedelta(days=9)
    write_decisions(
        folder / "decisions_2.csv", [decision(number, "unlawful", known) for number in PURGED]
    )
    for step in STEPS:
        run_quietly(spark, step, load_settings(folder / "toy.yaml"), POLL)
    after = lake_in(spark, folder)
    found = slices(after)
    assert found["C"] == untouched["C"]
    assert {row["file"] for row in found["A"]}.isdisjoint(row["file"] for row in untouched["A"])
    models = after.read(tables.MODELS).where("team_id = 'C'")
    again = {(r["priority"], r["horizon"]): r["coefficients"] for r in models.collect()}
    assert again["burglary", "current"] == models_of_c["burglary", "current"]

    other = write_three_teams(tmp_path, frozenset(PURGED))
    write_decisions(tmp_path / "decisions_1.csv", [decision("nobody's", "unlawful", AT_POLL)])
    for step in STEPS:
        run_quietly(spark, step, load_settings(other), POLL)
    never = digests(lake_in(spark, tmp_path))
    assert {name: digests(after)[name] for name in FROM_FACTS} == {
        name: never[name] for name in FROM_FACTS
    }

    counts = count_revisions(after, load_settings(folder / "toy.yaml"))
    waiting, line = counts[counts["kind"] == "unlawful"].sort_values("received").to_dict("records")
    polls = len(found["A"])
    assert (line["received"], line["linked"]) == (len(PURGED), len(PURGED))
    assert line["polls_recomputed"] == 2 * polls  # of A and of B, whose halo reaches into A
    assert line["models_retrained"] == 2 * 2 * 3
    assert (line["days_to_delivery"], line["days_to_processing"]) == (3, 9)
    assert (waiting["received"], waiting["pending"]) == (1, 1)


def _latest(frame: DataFrame) -> int:
    [row] = frame.agg(F.max("run_number").alias("run_number")).collect()
    return int(row["run_number"])


def test_the_models_that_a_poll_had_before_are_kept(spark: SparkSession, folder: Path) -> None:
    lake = lake_in(spark, folder)
    earlier, now = lake.read(tables.EARLIER_MODELS), lake.read(tables.MODELS)
    assert earlier.count() == now.count() == 3 * 2 * 3
    assert {row["version"] for row in earlier.collect()} == {1}
    assert _latest(earlier) < _latest(now)


def test_what_holds_from_when_it_is_known_recomputes_nothing_and_counts_from_the_next_poll(
    spark: SparkSession, folder: Path
) -> None:
    before = slices(lake_in(spark, folder))
    known = AT_POLL + timedelta(days=2)
    there = {"x": LEFT + 3 * CELL + 60, "y": BOTTOM + 2 * CELL + 60}
    rows = [
        decision("B1-1", "unfounded", known),
        decision("B1-2", "reclassified", known, code="R1"),
        decision("B1-3", "reclassified", known, code="Z9"),
        decision("B1-4", "relocated", known, **there),
        decision("B1-5", "retimed", known, **{"from": "2023-06-01 12:00:00"}),
        decision("B1-6", "retimed", known, **{"from": "2025-06-01 12:00:00"}),
        decision("B1-8", "relocated", known),
        decision("B1-9", "reclassified", known, code="?"),
        decision("B1-10", "promoted", known),
        decision("", "unfounded", known),
    ]
    write_decisions(folder / "decisions_3.csv", rows)
    settings = load_settings(folder / "toy.yaml")
    for step in ("ingest", "grid", "snapshots"):
        run_quietly(spark, step, settings, POLL)
    lake = lake_in(spark, folder)
    assert slices(lake) == before
    reasons = lake.read(tables.REJECTED_ROWS).where("source = 'decisions'").collect()
    assert sorted(row["reason"] for row in reasons) == [
        "coordinates_missing",
        "key_missing",
        "occurred_after_known",
        "unknown_code",
        "unknown_kind",
    ]
    later = {
        row["priority"]: row for row in lake.read(tables.INCIDENTS).where("version = 2").collect()
    }
    assert lake.read(tables.INCIDENTS).where("version = 2").count() == 3
    assert later["robbery"]["code"] == "R1"
    run_quietly(spark, "snapshots", settings, POLL + timedelta(weeks=1))
    found = slices(lake_in(spark, folder))
    polls = {row["poll_on"] for row in before["A"]}
    assert [row for row in found["A"] if row["poll_on"] in polls] == [
        row for row in before["A"] if row["poll_on"] in {r["poll_on"] for r in found["A"]}
    ]
    assert max(row["poll_on"] for row in found["A"]) == POLL + timedelta(weeks=1)


def test_an_accuracy_of_the_past_may_be_measured_as_it_was_known_then(
    spark: SparkSession, folder: Path
) -> None:
    settings = load_settings(write_settings(folder, **with_decisions(folder)))
    job = run_quietly(spark, "ingest", settings, POLL)
    every = job.run.read(tables.INCIDENTS).count()
    assert job.incidents.count() == every - len(PURGED)
    job.is_purging = False
    assert job.incidents.count() == every
    assert job.at(POLL).outcomes.count() > job.run.read(tables.OUTCOMES).count()
