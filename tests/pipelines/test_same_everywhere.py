"""One core, a cluster of two workers, the command line and `spark-submit`: the same digests.

Each run is a process of its own, as users start it.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake.lake import Lake
from cas_spark.pipelines.inventory import inventory_of
from cas_spark.settings import load_settings
from tests.toy import POLL, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def call(*command: str | Path, setting: str = "", **environment: str) -> str:
    """Run a command in a stripped environment; what it printed."""
    shell = f'. "{ROOT}/.runtime/env"; {setting} exec "$@"'
    done = subprocess.run(
        ["/bin/bash", "-c", shell, "run", *command],
        cwd=ROOT,
        env={"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A standalone cluster of two workers of a core each; the folder of a submission's settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    try:
        call("deploy/standalone/cluster", "start", "2", "1", "1500m", CAS_MASTER_PORT=port)
        told = call(
            sys.executable,
            "deploy/standalone/submission.py",
            "--master",
            f"spark://127.0.0.1:{port}",
            "--conf",
            "spark.executor.memory=1g",
            "--conf",
            "spark.driver.memory=2g",
        )
        yield told.strip().removeprefix("SPARK_CONF_DIR=")
    finally:
        call("deploy/standalone/cluster", "stop")


def digests(spark: SparkSession, settings: Path) -> dict[str, str]:
    inventory = inventory_of(Lake(spark, load_settings(settings).lake))
    return {table["name"]: table["digest"] for table in inventory["tables"]}


def test_one_core_changes_no_digest(spark: SparkSession, tmp_path: Path, demo_lake: Path) -> None:
    expected = digests(spark, demo_lake)
    path = write_toy(tmp_path)
    one_core = 'export PYSPARK_SUBMIT_ARGS="--master local[1] pyspark-shell";'
    command = (BIN / "cas-spark", "weekly", "--poll", str(POLL), "--settings", path)
    call(*command, setting=one_core)
    assert digests(spark, path) == expected
    told = json.loads(call(BIN / "cas-spark", "tables", "--json", "--settings", path))
    assert {table["name"]: table["digest"] for table in told["tables"]} == expected


def test_a_cluster_and_spark_submit_change_no_digest(
    spark: SparkSession, tmp_path: Path, demo_lake: Path, cluster: str
) -> None:
    path = write_toy(tmp_path)
    call(
        BIN / "spark-submit",
        "jobs/weekly.py",
        "--poll",
        str(POLL),
        "--settings",
        path,
        setting=f'export SPARK_CONF_DIR="{cluster}";',
    )
    assert digests(spark, path) == digests(spark, demo_lake)
