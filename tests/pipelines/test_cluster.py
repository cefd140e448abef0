"""A standalone cluster on this machine: the digests of local mode, also when parts of it die."""

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
from cas_spark.pipelines.reports.inventory import inventory_of
from cas_spark.settings import load_settings
from tests.pipelines.killing import stray_files
from tests.toy import write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def call(*command: str | Path, **environment: str) -> str:
    """Run a command in the project's folder, in a stripped environment; what it printed."""
    kept = {"HOME": os.environ["HOME"], "JDK_JAVA_OPTIONS": os.environ["JDK_JAVA_OPTIONS"]}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A master and two workers of a core each; the folder of a submission's settings."""
    # A folder of its own: an operator's cluster on this machine goes on.
    folder = str(tmp_path_factory.mktemp("standalone"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    more = ["spark.executor.memory=1g", "spark.driver.memory=2g", "spark.speculation=true"]
    try:
        call(
            "deploy/standalone/cluster",
            "start",
            "2",
            "1",
            "1g",
            CAS_MASTER_PORT=port,
            CAS_STANDALONE_DIR=folder,
        )
        told = call(
            sys.executable,
            "deploy/standalone/submission.py",
            "--master",
            f"spark://127.0.0.1:{port}",
            *(part for setting in more for part in ("--conf", setting)),
            # How a machine reaches the packages may stand in the environment.
            **{**os.environ, "CAS_STANDALONE_DIR": folder},
        )
        yield ROOT / told.strip().removeprefix("SPARK_CONF_DIR=")
    finally:
        call("deploy/standalone/cluster", "stop", CAS_STANDALONE_DIR=folder)


def test_a_worker_dies_and_a_task_fails_after_it_wrote_and_no_digest_changes(
    spark: SparkSession, tmp_path: Path, demo_lake: Path, cluster: Path
) -> None:
    settings = write_toy(tmp_path)
    told = call(
        sys.executable,
        "-m",
        "tests.pipelines.killed_run",
        settings,
        "weekly",
        "half the cluster",
        SPARK_CONF_DIR=str(cluster),
        CAS_MARKS=str(tmp_path / "marks"),
    )
    assert sorted(path.name for path in (tmp_path / "marks").iterdir()) == ["failed", "killed"]
    inventory = inventory_of(Lake(spark, load_settings(demo_lake).lake))
    expected = {table["name"]: table["digest"] for table in inventory["tables"]}
    assert json.loads(told.splitlines()[-1])["digests"] == expected
    assert stray_files(tmp_path / "lake") == []
