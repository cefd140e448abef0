"""How much sooner two workers of one core are done than one: snapshots and training.

    python benchmarks/cluster.py --settings conf/nl.yaml --poll 2024-10-28

In a folder of its own it takes in the extracts and makes the grid, of some of a country's regions
if asked. From that lake it runs the steps `snapshots` and `train` on a standalone cluster of this
machine, once with one worker and once with two, and prints the seconds of each stage and their
ratios as one JSON line. Each worker keeps to a core of its own, else one worker would use the other
core too, for Java's compiler and for Python. The digests of both must be the same.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from national import COMMAND, newest_run, settings_in, stages_of_newest_run

STANDALONE = Path(__file__).parents[1] / "deploy" / "standalone"
PORT = "7177"
MASTER = f"spark://127.0.0.1:{PORT}"
"""Not the usual port, and a folder of its own, so that a cluster that runs here goes on."""
STEPS = ("snapshots", "train")
"""Each has a stage of its name, which is what is done in parallel."""
WORKER_MEMORY, DRIVER_MEMORY = "3g", "3g"


def call(*command: str | Path, **environment: str) -> str:
    """Run a command; what it printed.

    Raises:
        CalledProcessError: it failed; what it said stands above.
    """
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def run_steps(settings: Path, lake: Path, poll: str, workers: int) -> dict[str, Any]:
    """Seconds of the stages on a cluster of so many workers, and the digests at the end."""
    seconds, own = {}, {"CAS_STANDALONE_DIR": str(lake.with_name("standalone"))}
    try:
        size = (str(workers), "1", WORKER_MEMORY)
        call(STANDALONE / "cluster", "start", *size, **own, CAS_OWN_CORES="1", CAS_MASTER_PORT=PORT)
        more = {"spark.executor.memory": WORKER_MEMORY, "spark.driver.memory": DRIVER_MEMORY}
        options = [part for key, value in more.items() for part in ("--conf", f"{key}={value}")]
        printed = call(
            sys.executable, STANDALONE / "submission.py", "--master", MASTER, *options, **own
        ).strip()
        conf = STANDALONE.parents[1] / printed.removeprefix("SPARK_CONF_DIR=")
        for step in STEPS:
            call(COMMAND, step, "--settings", settings, "--poll", poll, SPARK_CONF_DIR=str(conf))
            seconds[step] = stages_of_newest_run(lake)[step]
    finally:
        call(STANDALONE / "cluster", "stop", **own)
    digests = {pair["table"]: pair["sha256"] for pair in newest_run(lake)["digests"]}
    return {"seconds": seconds, "digests": digests}


def main(
    settings: Annotated[Path, typer.Option()],
    poll: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
    regions: Annotated[int | None, typer.Option(help="Only so many of the regions.")] = None,
) -> None:
    """Print the figures."""
    day = str(poll.date())
    with tempfile.TemporaryDirectory(prefix="cluster-") as scratch:
        path, loaded = settings_in(Path(scratch), settings, regions, None)
        lake = Path(loaded.lake)
        for step in ("ingest", "grid"):
            call(COMMAND, step, "--settings", path)
        gridded = lake.with_name("gridded")
        shutil.copytree(lake, gridded)
        found = {}
        for workers in (1, 2):
            shutil.rmtree(lake)
            shutil.copytree(gridded, lake)
            found[workers] = run_steps(path, lake, day, workers)
        if found[1]["digests"] != found[2]["digests"]:
            raise SystemExit("one worker and two do not come to the same digests")
        seconds = {
            n: found[n]["seconds"] | {"both": sum(found[n]["seconds"].values())} for n in found
        }
        print(
            json.dumps(
                {
                    "bench": "cluster",
                    "settings": loaded.name,
                    "regions": regions,
                    "poll": day,
                    **{f"seconds_{n}_workers": seconds[n] for n in seconds},
                    "ratio": {
                        step: round(seconds[2][step] / seconds[1][step], 3)
                        for step in (*STEPS, "both")
                    },
                }
            )
        )


if __name__ == "__main__":
    typer.run(main)
