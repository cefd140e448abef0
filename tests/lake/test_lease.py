"""One run at a time writes a lake; a lease that a dead run left behind stops nobody for long."""

import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import lease as lease_module
from cas_spark.lake.claims import HOLDS_SECONDS, claim_files
from cas_spark.lake.lease import hold

pytestmark = pytest.mark.spark
LEFT = f"lease-{'0' * 32}.json"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "PATIENCE_SECONDS", 0.2)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Of a lake; nothing of a lease may be left there but what tells of a broken run."""
    yield tmp_path
    assert list(tmp_path.glob("*.renewed")) == []


def leave_claim(spark: SparkSession, root: Path, age: float = 0, **changes: Any) -> None:
    """What a run left behind that was last heard of some seconds ago."""
    with hold(spark, str(root), "weekly"):
        [path] = root.glob("lease-*.json")
        claim = json.loads(path.read_text())
    left = root / LEFT
    left.write_text(json.dumps(claim | changes))
    os.utime(left, (time.time() - age,) * 2)


def is_taken(spark: SparkSession, root: Path, seconds: float = HOLDS_SECONDS) -> bool:
    """Whether the lake can be had; a run that has it knows that it follows a broken one."""
    try:
        with hold(spark, str(root), "grid", seconds) as lease:
            assert lease.follows_broken_run
            return True
    except CasError:
        return False


def test_a_second_run_stops_and_says_who_holds_the_lake(spark: SparkSession, root: Path) -> None:
    with (
        hold(spark, str(root), "weekly") as lease,
        pytest.raises(CasError, match="one at a time") as error,
        hold(spark, str(root), "grid"),
    ):
        pass
    for told in ("weekly", f"process {os.getpid()} on {os.uname().nodename}", lease.claim.taken_at):
        assert told in error.value.found
    assert "works again 180 seconds after" in error.value.do


def test_a_run_that_ends_well_leaves_nothing_and_one_that_fails_is_told(
    spark: SparkSession, root: Path
) -> None:
    with hold(spark, str(root), "weekly") as first:
        assert not first.follows_broken_run
    assert list(root.iterdir()) == []
    with pytest.raises(KeyError), hold(spark, str(root), "weekly"):
        raise KeyError
    with hold(spark, str(root), "weekly") as third:
        assert third.follows_broken_run
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    "processes",
    [{"4194305": "1"}, {str(os.getpid()): "1"}],
    ids=["no such process", "another process of that number"],
)
def test_the_lease_of_a_process_of_this_machine_that_is_gone_is_over_at_once(
    spark: SparkSession, root: Path, processes: dict[str, str]
) -> None:
    leave_claim(spark, root, processes=processes)
    assert is_taken(spark, root)


def test_the_lease_of_another_machine_expires(spark: SparkSession, root: Path) -> None:
    elsewhere = {"machine": "far away", "processes": {"1": "1"}, "holds_seconds": 60}
    leave_claim(spark, root, age=30, **elsewhere)
    assert not is_taken(spark, root)
    leave_claim(spark, root / "older", age=90, **elsewhere)
    assert is_taken(spark, root / "older")


def test_a_claim_that_was_cut_off_expires(spark: SparkSession, root: Path) -> None:
    (root / LEFT).write_text("{")
    hour_ago = time.time() - 3600
    os.utime(root / LEFT, (hour_ago, hour_ago))
    assert is_taken(spark, root)


@pytest.mark.parametrize("kind", ["no UTF-8", "holds for a text", "holds for ever", "dated ahead"])
def test_a_claim_whose_dates_say_nothing_is_over_after_one_silent_holding_time_of_waiting(
    spark: SparkSession, root: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    holds = {"holds for a text": "180", "holds for ever": 1e9}.get(kind, 180)
    left = root / LEFT
    leave_claim(spark, root, machine="far away", holds_seconds=holds)
    if kind == "no UTF-8":
        left.write_bytes(b"\xff\xfe")
    elif kind == "dated ahead":
        os.utime(left, (time.time() + 365 * 86_400,) * 2)
    start = time.monotonic()
    assert is_taken(spark, root, seconds=0.7)
    assert time.monotonic() - start > 0.7
    [told] = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert told.startswith("waiting 0.7 seconds for a sign of life of a claim on the lake that ")
    assert "weekly" in told or LEFT in told


@pytest.mark.parametrize("kind", ["cut off", "holds for ever", "dated ahead"])
def test_a_claim_whose_dates_say_nothing_holds_while_its_run_shows_signs_of_life(
    spark: SparkSession, root: Path, kind: str
) -> None:
    leave_claim(spark, root, machine="far away", holds_seconds=1e9)
    if kind == "cut off":
        (root / LEFT).write_text("{")
    ahead = 86_400 if kind == "dated ahead" else 0
    is_ending = threading.Event()

    def renew() -> None:
        for beat in range(1000):
            if is_ending.wait(0.1):
                return
            (root / LEFT.replace(".json", ".renewed")).touch()
            os.utime(root / LEFT.replace(".json", ".renewed"), (time.time() + ahead + beat,) * 2)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(renew)
        try:
            with (
                pytest.raises(CasError, match="which has just shown a sign of life"),
                hold(spark, str(root), "grid", seconds=1),
            ):
                pass
        finally:
            is_ending.set()
    (root / LEFT.replace(".json", ".renewed")).unlink()


def test_a_lease_that_is_renewed_holds_longer_than_it_says(spark: SparkSession, root: Path) -> None:
    with hold(spark, str(root), "weekly", seconds=2) as lease:
        time.sleep(3)
        lease.check()
        assert not is_taken(spark, root)


def test_a_run_that_slept_or_whose_lease_is_gone_has_lost_it(
    spark: SparkSession, root: Path
) -> None:
    with hold(spark, str(root), "weekly") as slept:
        slept._renewed -= 200
        with pytest.raises(CasError, match="Nothing of this run was published"):
            slept.check()
    with hold(spark, str(root), "weekly") as robbed:
        [path] = root.glob("lease-*.json")
        path.unlink()
        with pytest.raises(CasError, match="another run may have begun"):
            robbed.check()


def test_a_clock_that_is_stepped_loses_no_run_and_a_machine_that_sleeps_does(
    spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, boot, monotonic = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic()
    with hold(spark, str(root), "weekly") as lease:
        for step in (200, -200, 86_400):
            monkeypatch.setattr(time, "time", lambda step=step: wall + step)
            lease.check()
        # Asleep the monotonic clock stands still, the one since the boot goes on.
        monkeypatch.setattr(time, "monotonic", lambda: monotonic)
        monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: boot + 170}.__getitem__)
        lease.check()
        monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: boot + 200}.__getitem__)
        with pytest.raises(CasError, match="does not sleep"):
            lease.check()
        monkeypatch.undo()


def test_of_many_that_find_an_expired_lease_one_at_a_time_holds_the_lake(
    spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "PATIENCE_SECONDS", 60)
    leave_claim(spark, root, age=3600, machine="far away")
    inside, most = 0, 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with hold(spark, str(root), "weekly"):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.3)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        assert len(list(pool.map(work, range(6)))) == 6
    assert most == 1


def test_a_claim_that_another_run_removed_before_the_first_look_is_put_anew(
    spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [dict[str, float]()]  # a process that stood still finds its claim gone

    def look(*place: Any) -> dict[str, float]:
        return looks.pop() if looks else claim_files(*place)

    monkeypatch.setattr(lease_module, "claim_files", look)
    with hold(spark, str(root), "weekly") as lease:
        lease.check()
        assert len(list(root.glob("lease-*.json"))) == 1
