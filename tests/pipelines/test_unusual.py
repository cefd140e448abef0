"""Many rejected rows, or hardly any of a team, are said wherever a run is told of."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cas_spark.grid.cells import cell_ids
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import UNUSUAL, open_run
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.unusual import note_unusual, unusual_rejections, warnings_of
from cas_spark.platform.progress import silently
from cas_spark.settings.intake import Intake
from tests.toy import settings_of_toy

END = datetime(2023, 12, 31, 22, tzinfo=UTC)
ROWS = 1000


def judged(shares: list[float], runs: list[int] | None = None, **bounds: float) -> list[str]:
    """Names of the extracts that are unusual, of those with these shares of failed rows."""
    runs = runs or list(range(len(shares)))
    extracts = [
        {"source": "s", "sha256": str(i), "name": str(i), "run_number": run, "rows_read": ROWS}
        for i, run in enumerate(runs)
    ]
    failed = {("s", str(i)): {"malformed": round(share * ROWS)} for i, share in enumerate(shares)}
    return [entry["extract"] for entry in unusual_rejections(extracts, failed, Intake(**bounds))]


@pytest.mark.parametrize(
    ("shares", "unusual"),
    [
        ([0.01, 0.01, 0.01, 0.02], []),  # twice the usual, and only a point more
        ([0.01, 0.01, 0.01, 0.05], []),  # five times the usual, four points more
        ([0.01, 0.01, 0.01, 0.07], ["3"]),
        ([0.10, 0.10, 0.10, 0.25], []),
        ([0.10, 0.10, 0.10, 0.31], ["3"]),
        ([0.0, 0.0, 0.06], ["2"]),
        ([0.3, 0.3, 0.55], ["2"]),  # never more than is allowed to a first extract
        ([0.6, 0.6, 0.62], []),
        ([0.49], []),
        ([0.51], ["0"]),
        # Of the last twelve before, whatever came before them.
        ([0.5] * 20 + [0.01] * 12 + [0.2], ["32"]),
        ([0.01, 0.5, 0.01, 0.01], []),  # the one before was said when it came
    ],
)
def test_a_share_far_above_the_usual_is_unusual(shares: list[float], unusual: list[str]) -> None:
    assert judged(shares) == unusual


def test_every_extract_of_the_newest_run_is_judged_by_those_before_it() -> None:
    assert judged([0.01, 0.01, 0.3, 0.01, 0.3], runs=[1, 1, 2, 2, 2]) == ["2", "4"]
    assert judged([0.2, 0.01], runs=[1, 1], rejected_of_first=0.1) == ["0"]


def test_a_few_rows_are_no_share() -> None:
    extract = {"source": "s", "sha256": "1", "name": "1", "run_number": 1, "rows_read": 4}
    assert unusual_rejections([extract], {("s", "1"): {"malformed": 4}}, Intake()) == []


def job_with(spark: SparkSession, folder: Path, known: dict[tuple[str, str], list[int]]) -> Job:
    """A run on a lake with incidents; team and priority -> days from each to the end."""
    settings = settings_of_toy(folder)
    run = open_run(Lake(spark, settings.lake), "test", None, settings.as_json(), settings.sha256())
    cells = {"A": 1, "B": 2}
    rows: list[tuple[Any, ...]] = []
    for (team, priority), days in known.items():
        for day in days:
            number, moment = len(rows), END - timedelta(days=day)
            told = (f"register:{number}", 1, moment, None, None, moment, moment, priority, "X")
            cell = int(cell_ids(cells[team], 1))
            rows.append((*told, cell, None, None, "register", "f00d", number, 1))
    run.replace(tables.INCIDENTS, spark.createDataFrame(rows, tables.INCIDENTS.schema))
    read = len(rows)
    provenance = (False, "toy", "tests", "none needed", None, None, 1)
    dataset = ("register", "f00d", "x.csv", read, read, 0, 0, settings.incidents[0].complete_from)
    extract = (*dataset, END - timedelta(days=900), END, *provenance)
    run.replace(tables.DATASETS, spark.createDataFrame([extract], tables.DATASETS.schema))
    return Job(run, settings, None, silently)


@pytest.mark.spark
def test_half_a_delivery_is_told_by_source_team_and_priority(
    spark: SparkSession, tmp_path: Path
) -> None:
    often = [day for day in range(700) for _ in range(2)]
    known = {
        ("A", "burglary"): often,
        ("A", "robbery"): [day for day in range(28, 700) if day % 2],  # nothing in four weeks
        ("B", "burglary"): [day for day in often if day >= 28 or day % 4 == 0],  # hardly any
        ("B", "robbery"): [500, 300, 100],  # never many
    }
    job = job_with(spark, tmp_path, known)
    cells = spark.createDataFrame(
        [(int(cell_ids(1, 1)), "A"), (int(cell_ids(2, 1)), "B"), (int(cell_ids(3, 1)), "C")],
        "cell_id long, team_id string",
    )
    note_unusual(job, cells)
    found: list[dict[str, Any]] = job.run.facts[UNUSUAL]["deliveries"]
    said = [(e["team"], e["priority"], e["found"], e["usual"]) for e in found]
    assert said == [("B", "burglary", 14, 56), ("A", "robbery", 0, 14)]
    assert {(e["source"], e["until"]) for e in found} == {("register", "2023-12-31")}
    assert all(e["usual_low"] <= e["usual"] <= e["usual_high"] for e in found)
    lines = warnings_of(job)
    assert len(lines) == 2
    assert all(text in lines[1] for text in ("register", "team A", "robbery", "0 rows"))
    # It holds until newer extracts come in.
    job.run.publish()
    settings = job.settings
    following = open_run(
        Lake(spark, settings.lake), "test", None, settings.as_json(), settings.sha256()
    )
    assert warnings_of(Job(following, settings, None, silently)) == lines
