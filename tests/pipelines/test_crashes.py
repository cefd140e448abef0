"""A weekly run that is killed at any step, and then started again: as if nothing had happened.

Each run is a process of its own, killed by SIGKILL, and goes on with the lake that the one before
left. Starting Spark takes longer than the work, so most drivers die on a JVM that stays.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from pyspark.java_gateway import launch_gateway

from cas_spark.platform.session import _prepare_environment
from tests.pipelines.killing import maps_of, run, stray_files, write_small_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]

PUBLISHED = ("maps", "mlflow")
"""Stages after the manifest."""


@pytest.fixture(scope="module")
def lasting_jvm() -> Iterator[dict[str, str]]:
    """The environment of drivers that work on one JVM; each starts Spark anew in it."""
    _prepare_environment()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(
            "PYSPARK_SUBMIT_ARGS", "--master local[2,2] --driver-memory 2g pyspark-shell"
        )
        gateway = launch_gateway()  # type: ignore[no-untyped-call]
    at = gateway.gateway_parameters
    yield {"PYSPARK_GATEWAY_PORT": str(at.port), "PYSPARK_GATEWAY_SECRET": at.auth_token}
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


def let_lease_expire(lake: Path) -> None:
    """As if the dead run had not been heard of for an hour; its JVM is there still."""
    claims = list(lake.glob("lease-*"))
    assert claims
    for path in claims:
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def test_a_run_killed_at_any_step_and_started_again_leaves_what_an_undisturbed_one_does(
    tmp_path: Path, lasting_jvm: dict[str, str]
) -> None:
    undisturbed = write_small_toy(tmp_path / "undisturbed")
    done = run(undisturbed, lasting_jvm)
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout.splitlines()[-1])
    stages = expected["stages"]
    assert stages[-2:] == list(PUBLISHED)

    settings = write_small_toy(tmp_path / "killed")
    lake = settings.parent / "lake"

    def kill(*places: str, jvm: dict[str, str] = lasting_jvm) -> None:
        died = run(settings, jvm, *places)
        assert died.returncode == -signal.SIGKILL, f"{places}: {died.stdout}{died.stderr}"
        if jvm:
            let_lease_expire(lake)

    def finish(command: str) -> None:
        done = run(settings, lasting_jvm, command=command)
        assert done.returncode == 0, done.stderr
        digests = json.loads(done.stdout.splitlines()[-1])["digests"]
        assert digests.items() <= expected["digests"].items()
        assert (digests == expected["digests"]) is (command == "weekly")
        assert stray_files(lake) == []

    until_grid = stages.index("grid") + 1
    for where in stages[:until_grid]:
        kill(where)
    # From here on there is a complete run, to which tables are put back.
    finish("ingest")
    for where in (*stages[until_grid : -len(PUBLISHED)], "before the manifest"):
        kill(where)
    # With its JVM: all processes of this run are gone, so its lease is over at once.
    kill("before the files of snapshots are committed", jvm={})
    assert stray_files(lake) != []
    maps = lake / "maps" / "2023-01-02"
    maps.mkdir(parents=True)
    (maps / f".{'1' * 32}.unfinished").touch()  # of a task that died as it drew a map
    failed = run(settings, lasting_jvm, "a worker, for good")
    assert failed.returncode == 1
    assert "worker" in failed.stderr
    kill("a worker, and its task is tried again", PUBLISHED[0])
    kill(PUBLISHED[1])
    finish("weekly")
    assert maps_of(lake) == maps_of(undisturbed.parent / "lake")
    client = MlflowClient(f"sqlite:///{lake}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("toy 2024-01")
    assert experiment is not None
    weeks = client.search_runs([experiment.experiment_id], "tags.level = 'week'")
    assert [week.data.tags["complete"] for week in weeks] == ["true"]
