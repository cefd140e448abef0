"""A toy country of two teams, small enough for tests: two rectangles, two priorities, a few years.

Team A has plenty of burglaries; robberies are so few that a pooled model has to stand in, and team
B has hardly any of either.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
import yaml
from pyspark.sql import SparkSession

from cas_spark.pipelines.commands import run_command
from cas_spark.pipelines.job import Job
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings

POLL = date(2024, 1, 8)
START = date(2020, 1, 1)
END = date(2024, 4, 15)
LEFT, BOTTOM, CELL = 100_000, 400_000, 125
COLUMNS, ROWS = 8, 7
KEY = "5f0c1b62a97de384f6d2087b43e91ac57e60d9352bf84c18ad731e96c04b8f2d"
"""Of every toy's ids, so that their digests can be compared; it is no secret."""
FIELDS = ("number", "kind", "from", "until", "known", "x", "y", "by", "type")
FORMAT = "%Y-%m-%d %H:%M:%S"


def settings_of_toy(folder: Path = Path("/nowhere"), **changes: Any) -> Settings:
    """The toy's settings as an object, without any file."""
    return Settings.model_validate(content_of_toy(folder) | changes)


def content_of_toy(folder: Path) -> dict[str, Any]:
    """The content of the toy's settings file."""
    return {
        "name": "toy",
        "title": "Toy country",
        "is_generated": True,
        "timezone": "Europe/Amsterdam",
        "lake": str(folder / "lake"),
        "priorities": {"burglary": {"title": "Burglary"}, "robbery": {"title": "Robbery"}},
        "polls": {"count": 13},
        # A rough fit is a fit: what is tested is that it repeats, and what is done with it.
        "training": {"minimum_positives": 20, "tolerance": 1e-3},
        "grid": {
            "version": "v1",
            "valid_from": "2023-01-02",
            "crs": "EPSG:28992",
            "teams": {
                "path": str(folder / "teams.gpkg"),
                "layer": "teams",
                "id": "id",
                "name": "name",
            },
            "removal": [
                {
                    "reason": "nothing_ever_happens",
                    "all": [{"measure": "incidents", "within_m": 130, "below": 1}],
                }
            ],
        },
        "incidents": {
            "register": {
                "files": str(folder / "incidents_*.csv*"),
                "format": "csv",
                "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
                "complete_from": str(START),
                "key": ["number"],
                "case": "number",
                "occurred": {
                    "start": "from",
                    "end": "until",
                    "formats": ["yyyy-MM-dd HH:mm:ss"],
                    "earliest": "2019-01-01",
                },
                "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm:ss"]},
                "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
                "priority": {
                    "column": "kind",
                    "codes": {"burglary": ["B*"], "robbery": ["R1", "R2"]},
                    "other": ["Z*"],
                },
                "reported_by": {"column": "by", "citizen": ["c"], "police": ["p"]},
                "correction": {"column": "type", "equals": ["undo"]},
            }
        },
    }


def run_quietly(spark: SparkSession, command: str, settings: Settings, poll: date | None) -> Job:
    """Run a command of the command line in this process, without progress."""
    return run_command(spark, command, settings, poll, silently)


def write_toy(folder: Path, seed: int = 1, **changes: Any) -> Path:
    """Write the toy's teams, extracts and settings file; the path of the last."""
    folder.mkdir(parents=True, exist_ok=True)
    write_teams(folder / "teams.gpkg")
    rows = list(incidents_of_toy(seed))
    split = "2023-01-01 00:00:00"
    write_extract(folder / "incidents_1.csv", [r for r in rows if r["known"] < split])
    write_extract(folder / "incidents_2.csv.gz", [r for r in rows if r["known"] >= split])
    return write_settings(folder, **changes)


def write_settings(folder: Path, **changes: Any) -> Path:
    """Write the toy's settings file, with changes on top, and beside its lake the key."""
    folder.mkdir(parents=True, exist_ok=True)
    write_key(folder)
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content_of_toy(folder) | changes), encoding="utf-8")
    return path


def write_key(folder: Path) -> None:
    """Write the key of the toy's lake, so that two lakes of the toy have the same ids."""
    key = folder / "lake.key"
    key.touch(mode=0o600)
    key.write_text(f"{KEY}\n", encoding="ascii")


def write_teams(path: Path) -> None:
    """Two rectangles side by side; the border of B cuts its last column of cells in half."""
    width, height = COLUMNS * CELL, ROWS * CELL
    a = shapely.box(LEFT, BOTTOM, LEFT + width, BOTTOM + height)
    b = shapely.box(LEFT + width, BOTTOM, LEFT + 2 * width - CELL / 2, BOTTOM + height)
    write_areas(path, {"Alfa": a, "Bravo": b})


def write_areas(path: Path, areas: Mapping[str, shapely.Polygon]) -> None:
    """Write the areas of teams by their names, whose first letters are their ids."""
    frame = gpd.GeoDataFrame(
        {"id": [name[0] for name in areas], "name": list(areas)},
        geometry=list(areas.values()),
        crs="EPSG:28992",
    )
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2024-01-01T00:00:00Z"})
    frame.to_file(path, layer="teams", driver="GPKG")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def write_extract(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV, gzipped where the name says so."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    # No clock in any file: the same toy has the same bytes.
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def incident(
    number: str,
    kind: str,
    occurred: datetime,
    place: tuple[int, int],
    known: datetime | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A row of an extract; `place` is the column and row of its cell, counted from the corner."""
    return {
        "number": number,
        "kind": kind,
        "from": occurred.strftime(FORMAT),
        "until": (occurred + timedelta(hours=2)).strftime(FORMAT),
        "known": (known or occurred + timedelta(days=1)).strftime(FORMAT),
        "x": LEFT + place[0] * CELL + 60,
        "y": BOTTOM + place[1] * CELL + 60,
        "by": "c",
        "type": "new",
        **changes,
    }


def incidents_of_toy(seed: int) -> Iterable[dict[str, Any]]:
    """Burglaries that keep coming back to some cells, and a few robberies."""
    random = np.random.default_rng(seed)
    days = (END - START).days
    for kind, number in (("B1", 1700), ("R1", 700), ("Z9", 60)):
        for i in range(number):
            team_b = random.random() < 0.12
            place = (
                int(random.beta(1, 3) * COLUMNS) + (COLUMNS if team_b else 0),
                int(random.beta(2, 3) * ROWS),
            )
            day = START + timedelta(days=int(random.integers(0, days - 3)))
            moment = datetime.combine(day, time(int(random.integers(0, 22))))
            delay = timedelta(
                days=int(random.choice([0, 1, 2, 9], p=[0.5, 0.3, 0.17, 0.03])), hours=3
            )
            known = min(moment + delay, datetime.combine(END, time()))
            yield incident(
                f"{kind}-{i}", kind, moment, place, max(known, moment + timedelta(hours=2))
            )
