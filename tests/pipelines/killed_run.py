"""A weekly run in a process of its own, which dies where it is told to; started by `test_crashes`.

`python -m tests.pipelines.killed_run SETTINGS WHERE`: WHERE is the number of the stage at whose
start the process is killed, or a name of POINTS, or `never`.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark import TaskContext

from cas_spark.indicators import snapshots as tasks
from cas_spark.lake.lease import Lease
from cas_spark.lake.run import Run
from cas_spark.lake.session import start_session
from cas_spark.pipelines import commands, snapshots
from cas_spark.settings import load_settings
from tests.conftest import QUICK_FOR_TINY_JOBS
from tests.toy import POLL, run_quietly

FINISHED_STAGES = "stages:"


def die(*_: Any, **__: Any) -> None:
    """Without a word, as the kernel does when memory is short; with the JVM."""
    os.killpg(0, signal.SIGKILL)


def die_in_stage(number: int) -> None:
    stage = Run.stage
    begun: list[str] = []

    @contextmanager
    def counted(self: Run, name: str) -> Iterator[dict[str, Any]]:
        if len(begun) == number:
            die()
        begun.append(name)
        with stage(self, name) as said:
            yield said

    Run.stage = counted  # type: ignore[method-assign]


def lose_worker(*, is_tried_again: bool) -> None:
    """A worker of the snapshots dies once its file is written."""
    write_team = tasks.write_team

    def written_in_vain(*arguments: Any) -> Any:
        written = write_team(*arguments)
        task = TaskContext.get()
        assert task is not None
        if task.attemptNumber() == 0 or not is_tried_again:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    tasks.write_team = written_in_vain


POINTS: dict[str, Callable[[], None]] = {
    "before the files of snapshots are committed": lambda: setattr(snapshots, "commit_files", die),
    "before the manifest": lambda: setattr(Lease, "check", die),
    "before the maps": lambda: setattr(commands, "draw_maps", die),
    "before MLflow": lambda: setattr(commands, "track", die),
    "a worker, for good": lambda: lose_worker(is_tried_again=False),
    "a worker, and its task is tried again": lambda: lose_worker(is_tried_again=True),
    "never": lambda: None,
}


def main(settings: str, where: str) -> None:
    if where in POINTS:
        POINTS[where]()
    else:
        die_in_stage(int(where))
    session = start_session("killed")
    for name, value in QUICK_FOR_TINY_JOBS.items():
        session.conf.set(name, value)
    job = run_quietly(session, "weekly", load_settings(Path(settings)), POLL)
    print(FINISHED_STAGES, len(job.run.stages), *job.run.stages, sep="\n")
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
