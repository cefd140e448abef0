"""Small extracts for the tests of sources, and what they are delivered with."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession

from cas_spark.grid.cells import cell_ids
from cas_spark.settings import Settings, load_settings
from cas_spark.sources.coordinates import Land
from cas_spark.sources.incidents import Delivery, deliver
from cas_spark.sources.reading import read_rows

HEADER = ("number", "case", "code", "began", "ended", "known", "x", "y", "by", "kind", "note")
KEY = bytes(range(7, 255, 5))
LEFT, BOTTOM = 100_000, 400_000  # of the only land: 4 x 4 cells
FORMATS = ["yyyy-MM-dd HH:mm", "d/M/yyyy H:mm"]
FINE = {
    "number": "7",
    "case": "C7",
    "code": "B1",
    "began": "2020-01-05 10:00",
    "ended": "2020-01-05 12:00",
    "known": "2020-01-06 09:00",
    "x": "100010",
    "y": "400010",
    "by": "c",
    "kind": "new",
    "note": "",
}


def row(**changes: str) -> list[str]:
    """The fields of a row that is fine, but for the changes."""
    return list((FINE | changes).values())


def source_of(**changes: Any) -> dict[str, Any]:
    """The settings of a source whose rows are as `row` gives them."""
    return {
        "files": "extract.csv",
        "format": "csv",
        "provenance": {"source": "someone", "purpose": "tests", "legal_basis": "none needed"},
        "complete_from": "2020-01-01",
        "key": ["number"],
        "case": "case",
        "occurred": {
            "start": "began",
            "end": "ended",
            "formats": FORMATS,
            "earliest": "2019-01-01",
        },
        "known": {"column": "known", "formats": FORMATS},
        "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
        "priority": {
            "column": "code",
            "codes": {"burglary": ["B*"], "robbery": ["R1?"]},
            "other": ["Z*"],
        },
        "reported_by": {"column": "by", "citizen": ["c"], "police": ["p", "P"]},
        "correction": {"column": "kind", "equals": ["undo"]},
        "exclude": [{"column": "note", "equals": ["test"], "reason": "a_test"}],
        **changes,
    }


def settings_of(folder: Path, crs: str = "EPSG:28992", **changes: Any) -> Settings:
    """Settings with the one source `register`, read from a file in the folder."""
    content = {
        "name": "tests",
        "title": "Tests",
        "timezone": "Europe/Amsterdam",
        "lake": "lake",
        "priorities": {"burglary": {"title": "Burglary"}, "robbery": {"title": "Robbery"}},
        "grid": {
            "version": "v1",
            "valid_from": "2023-01-02",
            "crs": crs,
            "teams": {"path": "teams.gpkg", "layer": "teams", "id": "id"},
        },
        "incidents": {"register": source_of(**changes)},
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_settings(path)


def write(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    """Write rows as they are, so that some may have another number of fields."""
    lines = [",".join(fields) for fields in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@cache
def land_of(spark: SparkSession, left: float = LEFT, bottom: float = BOTTOM) -> Land:
    """4 x 4 land cells from a corner on."""
    column, line = int(left // 125), int(bottom // 125)
    ids = [int(cell_ids(column + i, line + j)) for i in range(4) for j in range(4)]
    return Land.of(spark.createDataFrame([(cell_id,) for cell_id in ids], "cell_id long"))


def no_ids(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    """The ids of earlier incidents and revisions: none."""
    return (
        spark.createDataFrame([], "incident_id string"),
        spark.createDataFrame([], "revision_id string"),
    )


def ids_of(delivery: Delivery) -> tuple[DataFrame, DataFrame]:
    """The ids of what was delivered, as the lake would give them to the next delivery."""
    return delivery.accepted.select("incident_id"), delivery.revisions.select("revision_id")


def delivered(
    spark: SparkSession,
    settings: Settings,
    path: Path,
    earlier: tuple[DataFrame, DataFrame] | None = None,
    land: Land | None = None,
) -> Delivery:
    """Deliver one file."""
    source = settings.incidents[0]
    rows = read_rows(spark, source, str(path))
    already = earlier or no_ids(spark)
    land = land or land_of(spark)
    return deliver(rows, source, settings, KEY, "f00d", path.name, land, *already)


def reasons_of(delivery: Delivery) -> dict[int, str]:
    """Row number -> what became of it: `accepted`, `revision` or the reason of its rejection."""
    accepted = {row["row_number"]: "accepted" for row in delivery.accepted.collect()}
    revisions = {row["row_number"]: "revision" for row in delivery.revisions.collect()}
    rejected = {row["row_number"]: str(row["reason"]) for row in delivery.rejected.collect()}
    assert not (accepted.keys() & revisions.keys() | accepted.keys() & rejected.keys())
    assert not revisions.keys() & rejected.keys()
    return dict(sorted((accepted | revisions | rejected).items()))


def utc(day: int, hour: int) -> datetime:
    """An instant of January 2020."""
    return datetime(2020, 1, day, hour)  # noqa: DTZ001 - Spark hands out instants as naive UTC
