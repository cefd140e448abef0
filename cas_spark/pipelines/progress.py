"""Progress with an estimate of the time left, for people at a terminal; silent elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

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

from cas_spark.pipelines.job import Advance, ShowProgress

LOOK_EVERY_SECONDS = 0.5


def bars(console: Console) -> ShowProgress:
    """Progress bars on a terminal."""

    @contextmanager
    def show(what: str, total: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        hidden = not console.is_terminal
        with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.advance(task, done)

    return show


@contextmanager
def silently(what: str, total: int) -> Iterator[Advance]:
    """In place of bars, where nobody looks."""
    del what, total
    yield lambda _: None


@contextmanager
def following_tasks(spark: SparkSession, advance: Advance, total: int) -> Iterator[None]:
    """Say how many tasks of the widest running stage are done, as a share of `total`."""
    tracker = spark.sparkContext.statusTracker()
    stop = threading.Event()

    def look() -> None:
        said = 0
        while not stop.wait(LOOK_EVERY_SECONDS):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            widest = max(
                (stage for stage in stages if stage), key=lambda stage: stage.numTasks, default=None
            )
            if widest is not None and widest.numTasks > 0:
                done = widest.numCompletedTasks * total // widest.numTasks
                if done > said:
                    advance(done - said)
                    said = done

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
