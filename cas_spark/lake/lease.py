"""The lease: one run at a time writes a lake, and what a dead run left behind is known.

A run that wants the lake puts a claim of its own into the lake's root and then looks for others. It
holds the lake once it has seen no other live claim, so of two that come at once never both do:
whichever looks last sees the other. (Hadoop's "create unless it exists" would be shorter, but local
disks and object stores check first and create then.) A thread renews the claim by touching a file
beside it, so that a kill never leaves half a claim.

A claim is over when its run broke and said so, when its processes on this machine are gone, or when
it was not renewed for as long as it holds. How long ago that was is measured by the storage's
clock, from this run's own claim, so clocks of two machines need not agree. A claim whose dates
cannot be trusted (see `lake.claims`) is over once this run has watched it for one holding time and
its files stayed as they were.

A run measures how long ago it renewed its own claim by a clock that cannot be set and that goes on
while the machine sleeps: then the run has lost its lease, while a clock that is stepped changes
nothing. This is the lake's own machinery: like the time of publishing it may ask the clock, which
no step may.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.claims import (
    BROKEN,
    CLAIM,
    HOLDS_SECONDS,
    LIVE,
    RENEWED,
    Claim,
    Sighting,
    claim_files,
    claim_of_this_process,
    sightings,
    text_of,
)
from cas_spark.platform import storage

log = logging.getLogger(__name__)

RENEWALS = 6
"""How often a claim is renewed in the time that it holds."""

PATIENCE_SECONDS = 5.0
"""How long to try: the JVM of a killed driver takes a moment to end, and rivals may give way."""


def _clock() -> float:
    """Seconds by a clock that is never set and counts while the machine sleeps, where there is one.

    Elsewhere than on Linux it is the monotonic clock, which may stand still meanwhile.
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


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
        return _clock() - self._renewed > self.claim.holds_seconds

    def keep(self, is_ending: threading.Event) -> None:
        """Renew the claim until the run ends; one that has lapsed is not renewed again."""
        while not is_ending.wait(self.claim.holds_seconds / RENEWALS):
            try:
                if self._has_lapsed or not self._is_there:
                    log.warning("this run has lost its lease and will not be published")
                    return
                asked = _clock()
                storage.write_text(self.spark, self._path(RENEWED), "")
                self._renewed = asked
            except (Py4JError, OSError) as error:  # the next time may do, until it lapses
                log.warning("the lease could not be renewed: %s", str(error).splitlines()[0])

    def end(self, *, is_broken: bool) -> None:
        """Give the lake back; where the run broke, leave a note for the next one."""
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


@dataclass
class _Seen:
    """A claim that is watched.

    Attributes:
        written_at: when its files were written.
        since: since when this run has seen it so; None once they were written again.
        is_told: whether the log says that this run waits for it.
    """

    written_at: tuple[float, float]
    since: float | None
    is_told: bool = False


@dataclass
class _Watch:
    """Watches claims whose dates cannot be trusted for signs of life.

    Attributes:
        seconds: for how long, each.
        seen: name -> what was seen of it.
    """

    seconds: float
    seen: dict[str, _Seen] = field(default_factory=dict)

    def remaining(self, sighting: Sighting) -> float | None:
        """For how many seconds an odd claim is still to be watched; None where it is alive.

        It is alive once its files were written again. The log says which claim is waited for, and
        how long, from the second look on: at the first a rival may just be writing it.
        """
        seen = self.seen.get(sighting.name)
        if seen is None:
            self.seen[sighting.name] = _Seen(sighting.written_at, _clock())
            return self.seconds
        if seen.written_at != sighting.written_at:
            seen.written_at, seen.since = sighting.written_at, None
        if seen.since is None:
            return None
        if not seen.is_told:
            log.warning(
                "waiting %g seconds for a sign of life of a claim on the lake that %s: %s",
                self.seconds,
                sighting.is_odd,
                sighting,
            )
            seen.is_told = True
        return max(0.0, seen.since + self.seconds - _clock())

    @property
    def pause(self) -> float:
        """Seconds until the next look: claims that the log has named are looked at seldom."""
        return self.seconds / RENEWALS if any(seen.is_told for seen in self.seen.values()) else 0.0


def _take(spark: SparkSession, root: str, step: str, seconds: float) -> Lease:
    token = uuid4().hex
    mine = f"{LIVE}{token}{CLAIM}"
    claim = claim_of_this_process(spark, step, seconds)
    watch = _Watch(seconds)
    give_up = _clock() + PATIENCE_SECONDS
    while True:
        asked = _clock()
        storage.write_text(spark, f"{root}/{mine}", text_of(claim))
        is_mine = False
        try:
            others, live, wait = _others(spark, root, mine, watch)
            is_mine = not live and wait is None
        finally:
            if not is_mine:
                storage.delete(spark, f"{root}/{mine}")
        if is_mine:
            # This claim is there already: should it be left behind, it says the same as these.
            for name in others:
                storage.delete(spark, f"{root}/{name}")
            return Lease(spark, root, token, claim, bool(others), asked)
        pause = random.uniform(0.1, 0.6)  # noqa: S311 - so that rivals do not keep step
        if not live and wait is not None:
            give_up = _clock() + wait + PATIENCE_SECONDS
            pause += min(wait, watch.pause)
        elif _clock() > give_up:
            raise _busy(root, live[0])
        time.sleep(pause)


def _others(
    spark: SparkSession, root: str, mine: str, watch: _Watch
) -> tuple[list[str], list[Sighting], float | None]:
    """Look at all other claims.

    Returns:
        Their files; those that are live; and for how many seconds others are still to be watched,
        None where none are. How old a claim is follows from the storage's clock, by a claim that
        was written just now.
    """
    written_at = claim_files(spark, root)
    if mine not in written_at:  # another run took it for over, since this process stood still
        return [], [], 0.0
    now = written_at.pop(mine)
    live, waits = list[Sighting](), list[float]()
    for sighting in sightings(spark, root, written_at, now):
        if sighting.is_over:
            continue
        remaining = watch.remaining(sighting) if sighting.is_odd else None
        if remaining is None:
            live.append(sighting)
        elif remaining > 0:
            waits.append(remaining)
    return list(written_at), live, max(waits, default=None)


def _busy(root: str, holder: Sighting) -> CasError:
    again = HOLDS_SECONDS
    if holder.is_odd:
        heard = f"which has just shown a sign of life, though its claim {holder.is_odd}"
    else:
        heard = f"last heard of {max(holder.age_seconds, 0):.0f} seconds ago"
        again = holder.claim.holds_seconds if holder.claim else HOLDS_SECONDS
    return CasError(
        what=f"the lake {root}",
        found=f"in use by {holder}, {heard}",
        expected="no other run: one at a time writes a lake",
        do=f"Wait until it is done. If it is dead, the same command works again "
        f"{again:g} seconds after it was last heard of",
    )
