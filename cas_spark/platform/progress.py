"""Progress with an estimate of the time left: a bar at a terminal, a line now and then in a log."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)

Advance = Callable[[int], None]
"""Adds how many items are done since the last call."""
ShowProgress = Callable[[str, int], AbstractContextManager[Advance]]
"""(what, total) -> a context that yields an `Advance`."""

LOOK_EVERY_SECONDS = 0.5
LINE_EVERY_SECONDS = 30.0


def bars(console: Console) -> ShowProgress:
    """Progress bars at a terminal; else a line every half minute."""
    return _bar_on(console) if console.is_terminal else lines


def _bar_on(console: Console) -> ShowProgress:
    @contextmanager
    def show(what: str, total: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.advance(task, done)

    return show


@contextmanager
def lines(what: str, total: int, every_seconds: float = LINE_EVERY_SECONDS) -> Iterator[Advance]:
    """A line of the log every so many seconds, as long as there is something left to do."""
    begun = logged = time.monotonic()
    so_far = 0

    def advance(done: int) -> None:
        nonlocal so_far, logged
        so_far += done
        now = time.monotonic()
        if now - logged >= every_seconds and 0 < so_far < total:
            logged = now
            left = (now - begun) / so_far * (total - so_far)
            log.info("%s of %s %s, about %.0f s left", f"{so_far:,}", f"{total:,}", what, left)

    yield advance


@contextmanager
def silently(what: str, total: int) -> Iterator[Advance]:
    """Show nothing: for runs that no person watches."""
    del what, total
    yield lambda _: None


@contextmanager
def following_tasks(
    spark: SparkSession, tasks: int, advance: Advance, total: int
) -> Iterator[None]:
    """Say how far a stage is, by its tasks that are done.

    Args:
        spark: the session.
        tasks: how many the stage has; other stages, such as those that bring its rows, have others.
        advance: is called with how much more is done.
        total: what all its tasks together come to.
    """
    tracker = spark.sparkContext.statusTracker()
    stop = threading.Event()

    def look() -> None:
        reported = 0
        while not stop.wait(LOOK_EVERY_SECONDS):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            for stage in stages:
                if stage is not None and stage.numTasks == tasks:
                    done = stage.numCompletedTasks * total // tasks
                    if done > reported:
                        advance(done - reported)
                        reported = done

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
