"""One and two cores, the command line and `spark-submit`: the same digests.

Each run is a process of its own, as users start it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake.lake import Lake
from cas_spark.pipelines.reports.inventory import inventory_of
from cas_spark.settings import load_settings
from tests.toy import POLL, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(*command: str | Path, cores: int) -> str:
    """Run a command in a stripped environment with that many cores; what it printed."""
    options = f'export PYSPARK_SUBMIT_ARGS="--master local[{cores}] pyspark-shell"'
    shell = f'. "{ROOT}/.runtime/env"; {options}; exec "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", shell, "run", *command],
        cwd=ROOT,
        env={
            "HOME": os.environ["HOME"],
            "PATH": "/usr/bin:/bin",
            "JDK_JAVA_OPTIONS": os.environ["JDK_JAVA_OPTIONS"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def digests(spark: SparkSession, settings: Path) -> dict[str, str]:
    inventory = inventory_of(Lake(spark, load_settings(settings).lake))
    return {table["name"]: table["digest"] for table in inventory["tables"]}


def test_cores_and_the_way_of_starting_change_no_digest(
    spark: SparkSession, tmp_path: Path, demo_lake: Path
) -> None:
    expected = digests(spark, demo_lake)
    arguments = ("--poll", str(POLL), "--settings")
    one = write_toy(tmp_path / "one")
    run(BIN / "cas-spark", "weekly", *arguments, one, cores=1)
    assert digests(spark, one) == expected
    submitted = write_toy(tmp_path / "submitted")
    run(
        BIN / "spark-submit",
        "--master",
        "local[2]",
        "jobs/weekly.py",
        *arguments,
        submitted,
        cores=2,
    )
    assert digests(spark, submitted) == expected
    told = json.loads(run(BIN / "cas-spark", "tables", "--json", "--settings", one, cores=1))
    assert {table["name"]: table["digest"] for table in told["tables"]} == expected
