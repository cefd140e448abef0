"""What revisions cost a week, beside computing everything: one JSON line each.

    python benchmarks/revisions.py --settings conf/stlouis.yaml --poll 2017-10-02

In a folder of its own it runs the week before the poll from an empty lake, which is the full
computation. Then, each time on a copy of that lake, it runs the poll's week with 0, 100 and 2,000
corrections that purge incidents drawn from the last two years, delivered as one more extract. Last
it runs that week with all corrections from when they are known, and with all of them purged, and
reports how many of the chosen cells are the same.
"""

import csv
import gzip
import json
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.lake.tables import FORECASTS, INCIDENTS
from cas_spark.pipelines.commands import run_command
from cas_spark.pipelines.job import Job
from cas_spark.platform.progress import silently
from cas_spark.platform.session import start_session
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.effects import Effects

NUMBERS = (0, 100, 2_000)
UNFOUNDED_PURGES = Effects(unfounded="purge")
SEED = 20171002


def extracts_of(settings: Settings) -> list[Path]:
    """The delivered extracts, in the order of their names."""
    pattern = Path(settings.incidents[0].files)
    return sorted(pattern.parent.glob(pattern.name))


def corrections(extracts: Sequence[Path], poll: date, number: int) -> list[dict[str, str]]:
    """Rows that say of incidents of the last two years that they were unfounded."""
    rows = []
    for path in extracts[-2:]:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows += [
                row
                for row in csv.DictReader(file)
                if row["count"] == "1" and row["crime_code"][:1] in "34567" and row["case_id"]
            ]
    drawn = random.Random(SEED).sample(rows, number)  # noqa: S311 - drawn, not guarded
    coded = (poll - timedelta(days=20)).strftime("%Y-%m")
    said = {"count": "-1", "flag_unfounded": "Y", "coded_month": coded}
    return [row | said for row in drawn]


def settings_in(folder: Path, settings: Settings, effects: Effects) -> Settings:
    """The same settings with extracts and lake in the folder, and other effects."""
    [source] = settings.incidents
    there = source.model_copy(update={"files": f"{folder}/extracts/*.csv*"})
    changes: dict[str, Any] = {
        "lake": f"{folder}/lake",
        "incidents": [there],
        "effects": effects,
    }
    return settings.model_copy(update=changes)


def copied(full: Path, name: str) -> Path:
    """A copy of the folder with the extracts and the lake of the week before."""
    folder = full.parent / name
    shutil.copytree(full, folder, symlinks=True)
    return folder


def chosen_cells(job: Job) -> DataFrame:
    """Which cells the week chose, for each team, priority and horizon."""
    at_poll = (F.col("poll_on") == F.lit(job.poll)) & F.col("is_chosen")
    keys = ("team_id", "priority", "horizon", "cell_id")
    return job.run.read(FORECASTS).where(at_poll).select(*keys).localCheckpoint()


def weeks_with_purges(
    spark: SparkSession, loaded: Settings, full: Path, day: date, extracts: Sequence[Path]
) -> Iterator[dict[str, Any]]:
    """The poll's week with so many purges more than the week before."""
    for number in NUMBERS:
        folder = copied(full, f"with_{number}")
        rows = corrections(extracts, day, number)
        if rows:
            with (folder / "extracts" / "later.csv").open(
                "w", encoding="utf-8", newline=""
            ) as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        job, seconds = week(spark, settings_in(folder, loaded, UNFOUNDED_PURGES), day)
        anew = job.run.facts["teams_computed_anew"]
        yield {
            "week": f"{number} purges",
            "seconds": round(seconds, 1),
            "teams_computed_anew": len(anew),
            "polls_computed_anew": sum(anew.values()),
            "stages": {name: round(took, 1) for name, took in job.run.stages.items()},
        }
        shutil.rmtree(folder)


def all_purged(
    spark: SparkSession, loaded: Settings, full: Path, day: date
) -> Iterator[dict[str, Any]]:
    """What purging all corrections changes in the choice of cells, by priority."""
    every = Effects.model_validate(dict.fromkeys(Effects.model_fields, "purge"))
    chosen = {}
    for name, effects in (("from_known", Effects()), ("purged", every)):
        folder = copied(full, name)
        job, seconds = week(spark, settings_in(folder, loaded, effects), day)
        chosen[name] = chosen_cells(job)
        purged = job.run.read(INCIDENTS).where("purged_at IS NOT NULL").count()
        yield {"week": f"all {name}", "seconds": round(seconds, 1), "incidents_purged": purged}
        shutil.rmtree(folder)
    cells = chosen["from_known"].groupBy("priority").count().collect()
    same = chosen["from_known"].intersect(chosen["purged"]).groupBy("priority").count().collect()
    alike = {row["priority"]: row["count"] for row in same}
    yield {
        "chosen_cells": sum(row["count"] for row in cells),
        "alike": sum(alike.values()),
        "share_alike": {r["priority"]: round(alike[r["priority"]] / r["count"], 4) for r in cells},
    }


def week(spark: SparkSession, settings: Settings, poll: date) -> tuple[Job, float]:
    """Run a week, and the seconds it took."""
    start = time.monotonic()
    job = run_command(spark, "weekly", settings, poll, silently)
    return job, time.monotonic() - start


def main(
    settings: Annotated[Path, typer.Option()],
    poll: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
) -> None:
    """Print the figures."""
    logging.getLogger("cas_spark").setLevel(logging.WARNING)
    loaded, day = load_settings(settings), poll.date()
    extracts = extracts_of(loaded)
    spark = start_session("bench revisions")
    common = {"bench": "revisions", "settings": loaded.name, "poll": str(day)}
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full"
        (full / "extracts").mkdir(parents=True)
        for path in extracts:
            (full / "extracts" / path.name).symlink_to(path)
        before = day - timedelta(weeks=1)
        _, seconds = week(spark, settings_in(full, loaded, UNFOUNDED_PURGES), before)
        print(json.dumps({**common, "week": "full", "seconds": round(seconds, 1)}), flush=True)
        for line in weeks_with_purges(spark, loaded, full, day, extracts):
            share = round(line["seconds"] / seconds, 3)
            print(json.dumps({**common, **line, "share_of_full": share}), flush=True)
        for line in all_purged(spark, loaded, full, day):
            print(json.dumps({**common, **line}), flush=True)
    spark.stop()


if __name__ == "__main__":
    typer.run(main)
