"""What the engines and the indicators cost, and whether the engines agree: one JSON line each.

    python benchmarks/bench.py --settings conf/stlouis.yaml --poll 2017-10-02

It reads the lake of these settings, on which `cas-spark weekly` has run for that poll, and writes
nothing to it. The two largest teams, all priorities and horizons; both engines use two cores. Trust
ratios of one run, not seconds of two.
"""

import json
import logging
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from engines import Comparison, compare_engines
from indicators import time_indicators
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from stability import compare_stability
from training import profile_training

from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import read_published
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.train import expected_of, training_data
from cas_spark.platform.progress import silently
from cas_spark.platform.session import start_session
from cas_spark.settings import load_settings

TEAMS = 2


def open_job(spark: SparkSession, path: Path, poll: datetime) -> Job:
    """What the last complete run left, as a step sees it."""
    settings = load_settings(path)
    lake = Lake(spark, settings.lake)
    return Job(read_published(lake, poll.date()), settings, poll.date(), silently)


def largest_teams(job: Job, number: int) -> list[str]:
    """The teams with the most kept cells, the largest first."""
    sizes = job.cells().where("is_kept").groupBy("team_id").count().collect()
    largest = sorted(sizes, key=lambda row: (-row["count"], row["team_id"]))
    return [row["team_id"] for row in largest[:number]]


def main(
    settings: Annotated[Path, typer.Option()],
    poll: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
) -> None:
    """Print the figures."""
    logging.getLogger("cas_spark").setLevel(logging.WARNING)
    spark = start_session("bench")
    job = open_job(spark, settings, poll)
    teams = largest_teams(job, TEAMS)
    common = {"settings": job.settings.name, "poll": str(job.poll), "teams": teams}
    print(json.dumps({"bench": "indicators", **common, **time_indicators(job, teams[0])}))
    expected, data = expected_of(job), training_data(job)
    asked = F.col("team_id").isin(teams)
    data = replace(
        data,
        snapshots=data.snapshots.where(asked),
        labels=data.labels.where(asked),
        context=data.context.where(asked),
    )
    expected = replace(expected, teams={team: expected.teams[team] for team in teams})
    with tempfile.TemporaryDirectory() as scratch:
        comparison = Comparison(data, expected, job.settings.training, Path(scratch))
        for line in compare_stability(comparison, job.settings.forecast.share):
            print(json.dumps({**line, **common}), flush=True)
        line = profile_training(data, expected, job.settings.training, teams[0])
        print(json.dumps({"bench": "training", **common, **line}), flush=True)
        for line in compare_engines(comparison):
            print(json.dumps({**line, **common}), flush=True)
    spark.stop()


if __name__ == "__main__":
    typer.run(main)
