"""What a whole country costs: the cold run, and two weeks after it with 2,000 revisions each.

    python benchmarks/national.py --settings conf/nl.yaml --poll 2024-10-28

It runs the command that people run, `cas-spark weekly`, in a folder of its own, first on an empty
lake; then a week later with one more extract, in which 2,000 corrections withdraw incidents of the
last two years, which leaves earlier polls as they were; then another week later with 2,000 that
purge, which recomputes every poll that counted them. For each it reports the seconds of each stage,
the largest memory of all processes together (proportional set size, sampled), and the rows and
bytes of each table. `--regions` takes only some of the country's regions and `--polls` fewer polls,
to see how the cost grows.

The result is printed and kept in `benchmarks/results`, with the machine, the date and the commit.
"""

import csv
import gzip
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import geopandas as gpd
import psutil
import typer
import yaml
from deltalake import DeltaTable

from cas_spark.lake.manifest import commit_of_the_code
from cas_spark.lake.tables import RUNS
from cas_spark.settings import Settings, load_settings

REVISIONS = 2_000
WEEKS = (("withdrawn", "from_known"), ("unfounded", "purge"))
"""What is said of incidents in the weeks after the cold run, and what follows from it."""
SAMPLED_EVERY_SECONDS = 5.0
RESULTS = Path(__file__).parent / "results"
COMMAND = Path(sys.executable).with_name("cas-spark")


class Memory(threading.Thread):
    """Samples the proportional set size of a process and all below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.most, self.is_over = pid, 0, threading.Event()

    def run(self) -> None:
        """Sample until it is over."""
        while not self.is_over.wait(SAMPLED_EVERY_SECONDS):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        total = 0
        try:
            root = psutil.Process(self.pid)
            processes = [root, *root.children(recursive=True)]
        except psutil.Error:
            return 0
        for process in processes:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # it has ended meanwhile
                continue
        return total


def run_weekly(settings: Path, poll: date) -> dict[str, Any]:
    """Run the command on the settings; what it took and left behind.

    Raises:
        CalledProcessError: it failed; what it said stands above.
    """
    started_at, start = datetime.now(tz=UTC), time.monotonic()
    arguments = [str(COMMAND), "weekly", "--settings", str(settings), "--poll", str(poll)]
    with subprocess.Popen(arguments) as process:
        memory = Memory(process.pid)
        memory.start()
        code = process.wait()
        memory.is_over.set()
    if code != 0:
        raise subprocess.CalledProcessError(code, arguments)
    seconds = time.monotonic() - start
    lake = Path(load_settings(settings).lake)
    published_at = newest_run(lake)["finished_at"].to_pydatetime()
    return {
        "poll": str(poll),
        "seconds": round(seconds, 1),
        "seconds_till_published": round((published_at - started_at).total_seconds(), 1),
        "peak_memory_gib": round(memory.most / 2**30, 2),
        "lake_gb": round(sum(_bytes_of(lake).values()) / 1e9, 2),
        "stages": stages_of_newest_run(lake),
        "tables": {
            name: {"rows": _rows_of(lake / name), "mb": round(size / 1e6, 1)}
            for name, size in sorted(_bytes_of(lake).items())
        },
    }


def stages_of_newest_run(lake: Path) -> Mapping[str, float]:
    """Seconds of each stage of the newest run; maps and MLflow follow when it is published."""
    stages = newest_run(lake)["stages"]
    return {pair["stage"]: round(pair["seconds"], 1) for pair in stages}


def newest_run(lake: Path) -> Any:
    """The newest row of `runs`."""
    runs = DeltaTable(str(lake / RUNS.name)).to_pandas()
    return runs.sort_values("number").iloc[-1]


def _bytes_of(lake: Path) -> dict[str, int]:
    return {
        folder.name: sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        for folder in lake.iterdir()
        if folder.is_dir()
    }


def _rows_of(folder: Path) -> int | None:
    if not DeltaTable.is_deltatable(str(folder)):
        return None
    actions = DeltaTable(str(folder)).get_add_actions(flatten=True)
    return int(sum(actions.column("num_records").to_pylist()))


def settings_in(
    folder: Path, path: Path, regions: int | None, polls: int | None
) -> tuple[Path, Settings]:
    """The settings with lake and extracts in a folder; of some of the regions and polls, if asked.

    The extracts are the generator's own, which must be there; those of some regions hold only what
    happened in them.
    """
    loaded = load_settings(path)
    content = json.loads(loaded.as_json())
    content["lake"] = str(folder / "lake")
    content["effects"] = dict(WEEKS)
    if polls is not None:
        content["polls"]["count"] = polls
    [source] = content["incidents"]
    delivered = sorted(Path(source["files"]).parent.glob(Path(source["files"]).name))
    extracts = folder / "extracts"
    extracts.mkdir()
    source["files"] = str(extracts / "incidents_*.csv*")
    teams = None
    if regions is not None:
        teams = _teams_of(loaded, regions)
        content["grid"]["teams"]["path"] = str(folder / "teams.gpkg")
        layer = content["grid"]["teams"]["layer"]
        teams.to_file(folder / "teams.gpkg", layer=layer)
    for file in delivered:
        if teams is None:
            (extracts / file.name).symlink_to(file)
        else:
            _write_inside(file, extracts / file.name, teams)
    _name_sources(content)
    there = folder / "settings.yaml"
    there.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return there, load_settings(there)


def _name_sources(content: dict[str, Any]) -> None:
    """Sources by their names, as settings files have them."""
    for kind in ("incidents", "suspects", "revisions"):
        content[kind] = {source.pop("name"): source for source in content[kind]}


def _teams_of(settings: Settings, regions: int) -> gpd.GeoDataFrame:
    layer = settings.grid.teams
    teams = gpd.read_file(layer.path, layer=layer.layer)
    chosen = sorted(teams[layer.region].unique())[:regions]
    return teams[teams[layer.region].isin(chosen)]


def _write_inside(file: Path, to: Path, teams: gpd.GeoDataFrame) -> None:
    """The rows of an extract that lie in these teams, and those without a known place."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        header, *lines = stream.read().splitlines()
    names = header.split(",")
    x, y = names.index("x"), names.index("y")
    parts = [line.split(",") for line in lines]
    points = gpd.points_from_xy(
        [_number(part, x) for part in parts], [_number(part, y) for part in parts]
    )
    inside = set(gpd.GeoSeries(points).sindex.query(teams.union_all(), predicate="intersects"))
    kept = [line for i, line in enumerate(lines) if i in inside]
    with gzip.open(to, "wt", encoding="utf-8") as stream:
        stream.write("\n".join([header, *kept]) + "\n")


def _number(fields: Sequence[str], place: int) -> float:
    try:
        return float(fields[place])
    except (IndexError, ValueError):
        return 0.0


def deliver_revisions(extracts: Path, poll: date, kind: str) -> None:
    """One more extract: corrections of incidents of the two years before a poll."""
    first, last = poll - timedelta(weeks=104), poll - timedelta(weeks=4)
    rows = [row for row in _rows(extracts) if str(first) <= row["registered_at"] < str(last)]
    seed = poll.toordinal()
    drawn = random.Random(seed).sample(rows, REVISIONS)  # noqa: S311 - drawn, not guarded
    known = f"{poll - timedelta(days=2)} 12:00:00"
    said = {"record_type": "correction", "correction_reason": kind, "registered_at": known}
    path = extracts / f"incidents_{poll}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(drawn[0]))
        writer.writeheader()
        writer.writerows({**row, **said} for row in drawn)


def _rows(extracts: Path) -> Iterator[dict[str, str]]:
    """The sound new rows of the last three years' extracts."""
    for path in sorted(extracts.glob("incidents_*.csv.gz"))[-3:]:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["record_type"] == "new" and row["origin"] and None not in row:
                    yield row


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
    }


def main(
    settings: Annotated[Path, typer.Option()],
    poll: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])],
    regions: Annotated[int | None, typer.Option(help="Only so many of the regions.")] = None,
    polls: Annotated[int | None, typer.Option(help="In place of the settings' number.")] = None,
    only_cold: Annotated[bool, typer.Option(help="Leave the weeks after it out.")] = False,  # noqa: FBT002
    folder: Annotated[Path | None, typer.Option(help="To work in, and to keep.")] = None,
) -> None:
    """Measure, print and keep."""
    day, name = poll.date(), load_settings(settings).name
    work = folder or Path(tempfile.mkdtemp(prefix=f"{name}-"))
    work.mkdir(parents=True, exist_ok=True)
    path, loaded = settings_in(work, settings, regions, polls)
    result: dict[str, Any] = {
        "settings": settings.name,
        "regions": regions,
        "polls": loaded.polls.count,
        "measured_on": f"{datetime.now(tz=UTC):%Y-%m-%dT%H:%MZ}",
        "commit": commit_of_the_code(),
        "machine": machine(),
        "cold": run_weekly(path, day),
    }
    part = f"-{regions}-regions" if regions else ""
    part += f"-{polls}-polls" if polls else ""
    kept = RESULTS / f"{name}{part}-{result['measured_on'][:10]}-{result['commit'][:7]}.json"
    _keep(result, kept)
    for number, (kind, effect) in enumerate(() if only_cold else WEEKS, start=1):
        later = day + timedelta(weeks=number)
        deliver_revisions(work / "extracts", later, kind)
        result[f"{number}_weeks_later_with_{REVISIONS}_{effect}"] = run_weekly(path, later)
        _keep(result, kept)
    if folder is None:
        shutil.rmtree(work)
    typer.echo(json.dumps(result, indent=1))


def _keep(result: Mapping[str, Any], path: Path) -> None:
    """Write what is measured so far: a week that breaks takes nothing from those before it."""
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
