"""A weekly run that is killed thirty times at any moment: as if nothing had happened.

Each run is a process of its own, with a JVM of its own. Beside `test_crashes`, which kills at the
start of each step, this kills wherever a clock says.
"""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cas_spark.lake.declaring import FOLDER
from tests.pipelines.killing import maps_of, run, start, stray_files, write_small_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(3 * 3600)]

KILLS = int(os.environ.get("CAS_KILLS", "30"))
"""Fewer while this test is developed."""

FINISHED_AFTER = 10
"""After so many kills the command runs to its end, so that the next ones meet a complete run."""

OF_JVM = {"JDK_JAVA_OPTIONS": os.environ["JDK_JAVA_OPTIONS"]}
"""What `conftest` says of Java: so short a life earns no better machine code."""

FIRST_SECOND = 5.0
"""Before, Python and Java start."""


def kill_at(settings: Path, second: float) -> bool:
    """Start the weekly run and kill all of it; whether it was still at work."""
    process = start(settings, OF_JVM)
    try:
        _, err = process.communicate(timeout=second)
    except subprocess.TimeoutExpired:
        return True
    finally:  # also where this test is told to end
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, err
    return False


def finish(settings: Path, digests: dict[str, str], undisturbed: Path) -> float:
    """Run the command to its end and look at what it leaves; the seconds that it took."""
    began = time.monotonic()
    done = run(settings, OF_JVM)
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["digests"] == digests
    lake = settings.parent / "lake"
    assert stray_files(lake) == []
    names = {path.name for path in lake.iterdir()}
    assert not [name for name in names if name.startswith(("lease-", "broken-")) or name == FOLDER]
    assert names == {path.name for path in (undisturbed.parent / "lake").iterdir()}
    assert maps_of(lake) == maps_of(undisturbed.parent / "lake")
    return seconds


def test_a_run_killed_at_random_moments_leaves_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    undisturbed = write_small_toy(tmp_path / "undisturbed")
    began = time.monotonic()
    done = run(undisturbed, OF_JVM)
    usual = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    digests = json.loads(done.stdout.splitlines()[-1])["digests"]

    settings = write_small_toy(tmp_path / "killed")
    moments = random.Random(21)  # noqa: S311 - so that a failure repeats
    kills, tries = 0, 0
    while kills < KILLS:
        tries += 1
        assert tries <= 3 * KILLS, "most runs end before they are killed"
        if not kill_at(settings, moments.uniform(FIRST_SECOND, usual)):
            continue
        kills += 1
        if kills % FINISHED_AFTER == 0 or kills == KILLS:
            usual = finish(settings, digests, undisturbed)
