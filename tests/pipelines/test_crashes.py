"""A weekly run that is killed at any step, and then started again: as if nothing had happened.

Each run is a process of its own, killed by SIGKILL, and goes on with the lake that the one before
left. Starting Spark takes longer than the work, so most drivers die on a JVM that stays.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable
from mlflow import MlflowClient
from pyspark.java_gateway import launch_gateway

from cas_spark.lake.session import _prepare_environment
from tests.toy import content_of_toy, incidents_of_toy, write_extract, write_teams

pytestmark = [pytest.mark.spark, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
IN_DELTA_LOG = re.compile(r"\d{20}\.(json|crc|checkpoint\.parquet)|_last_checkpoint")
PUBLISHED = ("maps", "mlflow")
"""Stages after the manifest."""


def write_small_toy(folder: Path) -> Path:
    """The toy with one priority and horizon, some purges, few polls; the path of its settings."""
    folder.mkdir()
    write_teams(folder / "teams.gpkg")
    rows = [row for row in incidents_of_toy(seed=1) if row["kind"] != "R1"]
    known = "2023-12-01 00:00:00"
    undone = [
        row | {"type": "undo", "known": known}
        for row in rows[::50]
        if row["kind"] == "B1" and row["known"] < known
    ]
    write_extract(folder / "incidents_1.csv", [*rows, *undone])
    content = content_of_toy(folder)
    del content["priorities"]["robbery"]
    del content["incidents"]["register"]["priority"]["codes"]["robbery"]
    content |= {
        "horizons": {"current": 0},
        "polls": {"count": 4},
        "effects": {"withdrawn": "purge"},
    }
    content["indicators"] = {"leave_out": ["*density*", "*decayed*", "*weeks_since*", "any_*"]}
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


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


def run(
    settings: Path, jvm: dict[str, str], *places: str, command: str = "weekly"
) -> subprocess.CompletedProcess[str]:
    """A run to which that happens at these places, or nothing."""
    shell = f'. "{ROOT}/.runtime/env"; exec "$@"'
    module = "tests.pipelines.killed_run"
    return subprocess.run(
        ["/bin/bash", "-c", shell, "run", sys.executable, "-m", module, settings, command, *places],
        cwd=ROOT,
        env={"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", **jvm},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )


def let_lease_expire(lake: Path) -> None:
    """As if the dead run had not been heard of for an hour; its JVM is there still."""
    claims = list(lake.glob("lease-*"))
    assert claims
    for path in claims:
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def stray_files(lake: Path) -> list[str]:
    """Files that no version of a table names, nor a view; of `snapshots` only the newest counts."""
    named = set()
    if (lake / "snapshots").exists():
        named |= {uri.rsplit("/", 1)[-1] for uri in DeltaTable(lake / "snapshots").file_uris()}
    for commit in lake.glob("*/_delta_log/*.json"):
        if commit.parts[-3] != "snapshots":
            actions = map(json.loads, commit.read_text().splitlines())
            added = [action["add"]["path"] for action in actions if "add" in action]
            named |= {path.rsplit("/", 1)[-1] for path in added}
    stray = []
    for path in lake.rglob("*"):
        relative = path.relative_to(lake)
        if path.is_dir() or relative.parts[0] == "mlflow":
            continue
        if path.name.startswith(".") and path.suffix == ".crc":  # Hadoop's checksum of a file
            is_known = path.with_name(path.name[1:-4]).exists()
        elif path.parent.name == "_delta_log":
            is_known = IN_DELTA_LOG.fullmatch(path.name) is not None
        else:
            is_map = relative.parts[0] == "maps" and path.suffix in (".gpkg", ".geojson")
            is_known = path.name in named or is_map or is_without_rows(path)
        if not is_known:
            stray.append(str(relative))
    return stray


def is_without_rows(path: Path) -> bool:
    """Delta leaves such files of its writers out of its log, also in an undisturbed run."""
    try:
        return int(pq.ParquetFile(path).metadata.num_rows) == 0
    except pa.ArrowInvalid:  # cut off
        return False


def maps_of(lake: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in lake.glob("maps/*/*")}


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
    (lake / "maps" / "2023-01-02").mkdir(parents=True)
    (lake / "maps" / "2023-01-02" / ".1.unfinished").touch()  # of a task that died as it drew a map
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
