"""The lease: one run at a time writes a lake, and what a dead run left behind is known.

A run that wants the lake puts a claim of its own into the lake's root and then looks for others. It
holds the lake once it has seen no other live claim, so of two that come at once never both do:
whichever looks last sees the other. (Hadoop's "create unless it exists" would be shorter, but local
disks and object stores check first and create then.) A thread renews the claim by touching a file
beside it, so that a kill never leaves half a claim.

A claim is over when its run broke and said so, when its processes on this machine are gone, or when
it was not renewed for as long as it holds; how long ago that was is told by the storage's clock,
from this run's own claim, so clocks of two machines need not agree.

This is the lake's own machinery: like the time of publishing it may ask the clock, which no step
may.
"""

import json
import logging
import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import storage

log = logging.getLogger(__name__)

HOLDS_SECONDS = 180.0
"""How long a claim holds that is not renewed."""

RENEWALS = 6
"""How often it is renewed in that time."""

PATIENCE_SECONDS = 5.0
"""How long to try: the JVM of a killed driver takes a moment to end, and rivals may give way."""

LIVE, BROKEN = "lease-", "broken-"
"""How the names of claims begin, and of those of runs that ended with an error."""

CLAIM, RENEWED = ".json", ".renewed"
"""How the names of a claim's two files end."""

_FILE = re.compile(rf"(?:{LIVE}|{BROKEN})[0-9a-f]{{32}}\.(?:{CLAIM[1:]}|{RENEWED[1:]})")
"""A file of a claim; a person's `broken-windows.json` is none."""


@dataclass(frozen=True)
class Claim:
    """Who wants or holds a lake.

    Attributes:
        host: name of the machine.
        machine: tells machines and containers apart whose names are the same; None where the
            system does not say.
        pid: of the driver.
        processes: pid -> when it started, in the kernel's own measure, of the driver and its JVM.
        step: what runs.
        taken_at: when.
        holds_seconds: how long it holds from when it was last renewed.
    """

    host: str
    machine: str | None
    pid: int
    processes: Mapping[str, str | None]
    step: str
    taken_at: str
    holds_seconds: float

    @property
    def is_of_gone_processes(self) -> bool:
        """Whether it is of this machine and none of its processes is there any more."""
        return (
            self.machine is not None
            and self.machine == _this_machine()
            and all(_started(int(pid)) != started for pid, started in self.processes.items())
        )

    def __str__(self) -> str:
        return f"{self.step}, process {self.pid} on {self.host}, since {self.taken_at}"


@dataclass
class Lease:
    """A claim that holds.

    Attributes:
        token: in the names of the claim's files, in the lake's root.
        follows_broken_run: whether a run before it did not finish.
    """

    spark: SparkSession
    root: str
    token: str
    claim: Claim
    follows_broken_run: bool
    _renewed: float

    def check(self) -> None:
        """See to it that this run still holds the lake.

        Raises:
            CasError: it does not: another may have begun to write.
        """
        if self._is_there and not self._has_lapsed:
            return
        raise CasError(
            what=f"the lease of the lake {self.root}",
            found=f"not renewed in {self.claim.holds_seconds:g} seconds, so another run may have "
            "begun",
            expected=f"held to its end by this run ({self.claim})",
            do="Nothing of this run was published. Run the same command again, on a machine that "
            "does not sleep meanwhile",
        )

    @property
    def _is_there(self) -> bool:
        return storage.exists(self.spark, self._path(CLAIM))

    @property
    def _has_lapsed(self) -> bool:
        return time.time() - self._renewed > self.claim.holds_seconds

    def keep(self, is_ending: threading.Event) -> None:
        """Renew the claim until the run ends; one that has lapsed is not taken up again."""
        while not is_ending.wait(self.claim.holds_seconds / RENEWALS):
            try:
                if self._has_lapsed or not self._is_there:
                    log.warning("this run has lost its lease and will not be published")
                    return
                storage.write_text(self.spark, self._path(RENEWED), "")
                self._renewed = time.time()
            except (Py4JError, OSError) as error:  # the next time may do, until it lapses
                log.warning("the lease could not be renewed: %s", str(error).splitlines()[0])

    def end(self, *, is_broken: bool) -> None:
        """Give the lake back; where the run broke, the next one is told."""
        try:
            storage.delete(self.spark, self._path(RENEWED))
            if is_broken:  # a new name needs no room on a full disk
                broken = f"{self.root}/{BROKEN}{self.token}{CLAIM}"
                storage.rename(self.spark, self._path(CLAIM), broken)
            else:
                storage.delete(self.spark, self._path(CLAIM))
        except (Py4JError, OSError) as error:  # without its JVM this process is about to end too
            log.warning("the lease stays behind: %s", str(error).splitlines()[0])

    def _path(self, ending: str) -> str:
        return f"{self.root}/{LIVE}{self.token}{ending}"


@contextmanager
def hold(
    spark: SparkSession, root: str, step: str, seconds: float = HOLDS_SECONDS
) -> Iterator[Lease]:
    """Hold a lake while something is written to it.

    Args:
        spark: the session.
        root: of the lake.
        step: what is done.
        seconds: how long the lease holds when it is not renewed.

    Raises:
        CasError: another run holds it.
    """
    lease = _take(spark, root, step, seconds)
    is_ending = threading.Event()
    keeper = threading.Thread(target=lease.keep, args=(is_ending,), name="lease", daemon=True)
    keeper.start()
    is_broken = True
    try:
        yield lease
        is_broken = False
    finally:
        is_ending.set()
        keeper.join(PATIENCE_SECONDS)  # else it might renew what is over
        lease.end(is_broken=is_broken)


@dataclass(frozen=True)
class Claims:
    """The claims on a lake.

    Attributes:
        live: those that hold, and how many seconds ago each was last heard of.
        over: those of runs that broke off.
    """

    live: Sequence[tuple[Claim, float]]
    over: Sequence[Claim]


def claims_on(spark: SparkSession, root: str) -> Claims:
    """Who holds a lake, and which runs broke off since the last that was complete.

    How long ago is told by this machine's clock: good enough for people to look at.
    """
    live, over = [], []
    for name, claim, age in _claims(spark, root, _files(spark, root), time.time()):
        if claim is not None and _is_over(name, claim, age):
            over.append(claim)
        elif claim is not None:
            live.append((claim, max(age, 0.0)))
    return Claims(live, over)


def _claims(
    spark: SparkSession, root: str, written_at: Mapping[str, float], now: float
) -> Iterator[tuple[str, Claim | None, float]]:
    """(name, claim, seconds since its last sign) of every claim among the files."""
    for name in sorted(written_at):
        if name.endswith(CLAIM):
            renewed = name.removesuffix(CLAIM) + RENEWED
            age = now - max(written_at[name], written_at.get(renewed, 0))
            yield name, _read(spark, f"{root}/{name}"), age


def _take(spark: SparkSession, root: str, step: str, seconds: float) -> Lease:
    token = uuid4().hex
    mine = f"{LIVE}{token}{CLAIM}"
    claim = _claim_of_this_process(spark, step, seconds)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        asked = time.time()
        storage.write_text(spark, f"{root}/{mine}", json.dumps(vars(claim), indent=1))
        is_mine = False
        try:
            others, live = _others(spark, root, mine)
            is_mine = not live
        finally:
            if not is_mine:
                storage.delete(spark, f"{root}/{mine}")
        if is_mine:
            # This claim is there already: should it be left behind, it tells the same as these.
            for name in others:
                storage.delete(spark, f"{root}/{name}")
            return Lease(spark, root, token, claim, bool(others), asked)
        if time.monotonic() > give_up:
            raise _busy(root, *live[0])
        time.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - so that rivals do not keep step


def _others(
    spark: SparkSession, root: str, mine: str
) -> tuple[list[str], list[tuple[Claim | None, float]]]:
    """The files of all other claims; and the claims that are live, and how old their last sign is.

    How old is told by the storage's clock, from a claim that was written just now.
    """
    written_at = _files(spark, root)
    now = written_at.pop(mine)
    live = [
        (claim, age)
        for name, claim, age in _claims(spark, root, written_at, now)
        if not _is_over(name, claim, age)
    ]
    return list(written_at), live


def _busy(root: str, holder: Claim | None, unrenewed_seconds: float) -> CasError:
    holds_seconds = holder.holds_seconds if holder else HOLDS_SECONDS
    return CasError(
        what=f"the lake {root}",
        found=f"in use by {holder or 'a run that does not say which'}, "
        f"last heard of {max(unrenewed_seconds, 0):.0f} seconds ago",
        expected="no other run: one at a time writes a lake",
        do=f"Wait until it is done. If it is dead, the same command works again "
        f"{holds_seconds:g} seconds after it was last heard of",
    )


def _is_over(name: str, claim: Claim | None, unrenewed_seconds: float) -> bool:
    if name.startswith(BROKEN) or (claim is not None and claim.is_of_gone_processes):
        return True
    return unrenewed_seconds > (claim.holds_seconds if claim else HOLDS_SECONDS)


def _files(spark: SparkSession, root: str) -> dict[str, float]:
    """Files of claims -> when they were written, in seconds by the storage's clock."""
    files = {path.rsplit("/", 1)[-1]: at / 1000 for path, at in storage.files(spark, root).items()}
    return {name: at for name, at in files.items() if _FILE.fullmatch(name)}


def _read(spark: SparkSession, path: str) -> Claim | None:
    """A claim, or None where it is being written or has just gone."""
    try:
        return Claim(**json.loads(storage.read_text(spark, path)))
    except (Py4JJavaError, ValueError, TypeError):
        return None


def _claim_of_this_process(spark: SparkSession, step: str, seconds: float) -> Claim:
    jvm: Any = spark._jvm  # noqa: SLF001 - the driver's JVM writes too, and may end a bit later
    processes = (os.getpid(), int(jvm.java.lang.ProcessHandle.current().pid()))
    return Claim(
        host=socket.gethostname(),
        machine=_this_machine(),
        pid=os.getpid(),
        processes={str(pid): _started(pid) for pid in processes},
        step=step,
        taken_at=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        holds_seconds=seconds,
    )


def _this_machine() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process of this machine started, in ticks since its boot; None where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]  # Z and X: dead, only not yet cleared away
