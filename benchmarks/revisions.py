"""What revisions cost a week, beside computing everything: one JSON line each.

    python benchmarks/revisions.py --settings conf/stlouis.yaml --poll 2017-10-02

In a folder of its own it runs the week before the poll from an empty lake, which is the full
computation. Then, each time on a copy of that lake, it runs the poll's week with 0, 100 and 2,000
corrections that purge incidents drawn from the last two years, delivered as one more extract.
"""

import csv
import gzip
import json
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pyspark.sql import SparkSession

from cas_spark.lake.session import start_session
from cas_spark.pipelines.commands import run_command
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.progress import silently
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.effects import Effects

NUMBERS = (0, 100, 2_000)
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


def settings_in(folder: Path, settings: Settings, name: str) -> Settings:
    """The same settings with extracts and lake in the folder, where what is unfounded purges."""
    [source] = settings.incidents
    there = source.model_copy(update={"files": f"{folder}/{name}/extracts/*.csv*"})
    changes: dict[str, Any] = {
        "lake": f"{folder}/{name}/lake",
        "incidents": [there],
        "effects": Effects(unfounded="purge"),
    }
    return settings.model_copy(update=changes)


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
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        there = folder / "full" / "extracts"
        there.mkdir(parents=True)
        for path in extracts:
            (there / path.name).symlink_to(path)
        told = {"bench": "revisions", "settings": loaded.name, "poll": str(day)}
        _, full = week(spark, settings_in(folder, loaded, "full"), day - timedelta(weeks=1))
        print(json.dumps({**told, "week": "full", "seconds": round(full, 1)}), flush=True)
        for number in NUMBERS:
            name = f"with_{number}"
            shutil.copytree(folder / "full", folder / name, symlinks=True)
            rows = corrections(extracts, day, number)
            if rows:
                extra = folder / name / "extracts" / "later.csv"
                with extra.open("w", encoding="utf-8", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
            job, seconds = week(spark, settings_in(folder, loaded, name), day)
            anew = job.run.facts["teams_computed_anew"]
            line = {
                "week": f"{number} purges",
                "seconds": round(seconds, 1),
                "share_of_full": round(seconds / full, 3),
                "teams_computed_anew": len(anew),
                "polls_computed_anew": sum(anew.values()),
                "stages": {name: round(took, 1) for name, took in job.run.stages.items()},
            }
            print(json.dumps({**told, **line}), flush=True)
            shutil.rmtree(folder / name)
    spark.stop()


if __name__ == "__main__":
    typer.run(main)
