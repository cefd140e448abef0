"""A run in a process of its own, which dies where it is told to, or loses parts of its cluster.

`python -m tests.pipelines.killed_run SETTINGS COMMAND WHERE ...`: the stage at whose start the
process is killed, or names of POINTS. A run that is not killed prints its stages and digests.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pyspark import SparkContext, TaskContext

from cas_spark.indicators import snapshots as tasks
from cas_spark.lake import manifest
from cas_spark.lake.run import Run
from cas_spark.pipelines.steps import snapshots
from cas_spark.platform.session import start_session
from cas_spark.settings import load_settings
from tests.conftest import QUICK_FOR_TINY_JOBS
from tests.toy import POLL, run_quietly


def die(*_: Any, **__: Any) -> None:
    """Without a word, as the kernel does when memory is short; its own JVM with it."""
    os.killpg(0, signal.SIGKILL)


def die_in(wanted: str) -> None:
    stage = Run.stage

    @contextmanager
    def deadly(self: Run, name: str) -> Iterator[dict[str, Any]]:
        if name == wanted:
            die()
        with stage(self, name) as said:
            yield said

    Run.stage = deadly  # type: ignore[method-assign]


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

    setattr(tasks, "write_team", written_in_vain)  # noqa: B010 - mypy sees another signature


def lose_half_the_cluster() -> None:
    """Once files are written: one team's task fails, another's dies with all of its machine.

    Each once; the files that CAS_MARKS gets then tell of it.
    """
    marks = Path(os.environ["CAS_MARKS"])
    marks.mkdir()
    write_team = tasks.write_team

    def is_first(mark: str) -> bool:
        try:
            (marks / mark).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def parent_of(process: int) -> int:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])

    def written_in_vain(team: str, *arguments: Any) -> Any:
        written = write_team(team, *arguments)
        if team == "A" and is_first("killed"):
            executor = parent_of(os.getppid())  # between them is the daemon that forks workers
            for process in (parent_of(executor), executor):
                os.kill(process, signal.SIGKILL)
        if team == "B" and is_first("failed"):
            message = "the task failed after its file was written"
            raise OSError(message)
        return written

    setattr(tasks, "write_team", written_in_vain)  # noqa: B010 - mypy sees another signature


POINTS: dict[str, Callable[[], None]] = {
    "before the files of snapshots are committed": lambda: setattr(snapshots, "commit_files", die),
    "before the manifest": lambda: setattr(manifest, "fingerprint_of_the_machine", die),
    "a worker, for good": lambda: lose_worker(is_tried_again=False),
    "a worker, and its task is tried again": lambda: lose_worker(is_tried_again=True),
    "half the cluster": lose_half_the_cluster,
}


def leave_no_context() -> None:
    """In a JVM that outlives its drivers, stop what the one before had started."""
    SparkContext._ensure_initialized()
    jvm: Any = SparkContext._jvm
    session = jvm.org.apache.spark.sql.classic.SparkSession.getDefaultSession()
    if session.isDefined():
        session.get().stop()
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def main(settings: str, command: str, *places: str) -> None:
    for where in places:
        POINTS.get(where, partial(die_in, where))()
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        leave_no_context()
    session = start_session("killed")
    for name, value in QUICK_FOR_TINY_JOBS.items():
        session.conf.set(name, value)
    run = run_quietly(session, command, load_settings(Path(settings)), POLL).run
    sys.stdout.write(json.dumps({"stages": list(run.stages), "digests": run.digests}))
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
