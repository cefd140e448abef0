"""Claims: the files in a lake's root by which runs say that they want or hold it.

How long ago a claim showed a sign of life is measured by the storage's clock. That says nothing of
a claim that is dated ahead of this clock, is malformed, or asks to hold for longer than any run
does. Whether its run is alive is then seen by watching: its files are written again, or they are
not.
"""

import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from py4j.protocol import Py4JJavaError
from pydantic import Field, TypeAdapter
from pyspark.sql import SparkSession

from cas_spark.platform import storage

HOLDS_SECONDS = 180.0
"""How long a claim holds that is not renewed."""

LONGEST_SECONDS = 600.0
"""How long a claim may ask to hold without being renewed."""

AHEAD_SECONDS = 10.0
"""How far ahead a sign of life may be dated, since files are listed after the clock was read."""

LIVE, BROKEN = "lease-", "broken-"
"""How the names of claims begin, and of those of runs that ended with an error."""

CLAIM, RENEWED = ".json", ".renewed"
"""How the names of a claim's two files end."""

_FILE = re.compile(rf"(?:{LIVE}|{BROKEN})[0-9a-f]{{32}}\.(?:{CLAIM[1:]}|{RENEWED[1:]})")
"""A file of a claim; a person's `broken-windows.json` is none."""

Pid = Annotated[str, Field(pattern=r"^[0-9]{1,10}$")]


@dataclass(frozen=True)
class Claim:
    """Who wants or holds a lake.

    Attributes:
        host: name of the machine.
        machine: distinguishes machines and containers of one name; None where the
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
    processes: Annotated[Mapping[Pid, str | None], Field(min_length=1)]
    step: str
    taken_at: str
    holds_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]

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


_CLAIMS = TypeAdapter(Claim)


@dataclass(frozen=True)
class Sighting:
    """A claim as it was found.

    Attributes:
        name: of its file.
        claim: None where the file is malformed, is being written, or has just gone.
        age_seconds: since its last sign of life by the storage's clock; negative where that is
            dated ahead.
        written_at: when its two files were written, by the storage's clock; 0 where there is none.
    """

    name: str
    claim: Claim | None
    age_seconds: float
    written_at: tuple[float, float]

    @property
    def is_over(self) -> bool:
        """Whether its run broke and said so, is gone from this machine, or was too long silent."""
        if self.name.startswith(BROKEN):
            return True
        if self.claim is None:
            return self.age_seconds > HOLDS_SECONDS
        return self.claim.is_of_gone_processes or self.age_seconds > self.claim.holds_seconds

    @property
    def is_odd(self) -> str | None:
        """Why its dates do not say whether its run is alive; None where they do."""
        if self.claim is None:
            return "is malformed"
        if self.claim.holds_seconds > LONGEST_SECONDS:
            return f"asks to hold for {self.claim.holds_seconds:g} seconds"
        if self.age_seconds < -AHEAD_SECONDS:
            return f"is dated {-self.age_seconds:.0f} seconds ahead"
        return None

    def __str__(self) -> str:
        return str(self.claim or f"a run that does not say which ({self.name})")


@dataclass(frozen=True)
class Claims:
    """The claims on a lake.

    Attributes:
        live: those that hold, and how many seconds ago each was last heard of; negative where that
            is dated ahead.
        over: those of runs that broke off.
    """

    live: Sequence[tuple[Claim, float]]
    over: Sequence[Claim]


def claims_on(spark: SparkSession, root: str) -> Claims:
    """Who holds a lake, and which runs broke off since the last that was complete.

    How long ago is measured by this machine's clock: good enough for people to look at.
    """
    live, over = [], []
    for sighting in sightings(spark, root, claim_files(spark, root), time.time()):
        if sighting.claim is not None and sighting.is_over:
            over.append(sighting.claim)
        elif sighting.claim is not None:
            live.append((sighting.claim, sighting.age_seconds))
    return Claims(live, over)


def claim_files(spark: SparkSession, root: str) -> dict[str, float]:
    """Files of claims -> when they were written, in seconds by the storage's clock."""
    files = {path.rsplit("/", 1)[-1]: at / 1000 for path, at in storage.files(spark, root).items()}
    return {name: at for name, at in files.items() if _FILE.fullmatch(name)}


def sightings(
    spark: SparkSession, root: str, written_at: Mapping[str, float], now: float
) -> Iterator[Sighting]:
    """Every claim among files of claims, by name.

    Args:
        spark: the session.
        root: of the lake.
        written_at: of `claim_files`.
        now: by the same clock.
    """
    for name in sorted(written_at):
        if name.endswith(CLAIM):
            signs = (written_at[name], written_at.get(name.removesuffix(CLAIM) + RENEWED, 0.0))
            yield Sighting(name, _read(spark, f"{root}/{name}"), now - max(signs), signs)


def _read(spark: SparkSession, path: str) -> Claim | None:
    try:
        return claim_in(storage.read_text(spark, path))
    except (Py4JJavaError, UnicodeDecodeError):
        return None


def claim_in(text: str) -> Claim | None:
    """The claim that the text of a file says, or None where it is malformed."""
    try:
        return _CLAIMS.validate_json(text, strict=True)
    except ValueError:
        return None


def text_of(claim: Claim) -> str:
    """The content of a claim's file."""
    return json.dumps(vars(claim), indent=1)


def claim_of_this_process(spark: SparkSession, step: str, seconds: float) -> Claim:
    """The claim with which this process wants a lake.

    Args:
        spark: the session.
        step: what is done.
        seconds: how long the claim holds when it is not renewed.
    """
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
