"""What tests that kill runs share: a small toy, a run as a process, and what is left over."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from deltalake import DeltaTable

from cas_spark.lake.marker import MARKER
from cas_spark.lake.outputs import FILES
from tests.toy import content_of_toy, incidents_of_toy, write_extract, write_key, write_teams

ROOT = Path(__file__).parents[2]
IN_DELTA_LOG = re.compile(r"\d{20}\.(json|crc|checkpoint\.parquet)|_last_checkpoint")


def write_small_toy(folder: Path) -> Path:
    """The toy with one priority and horizon, some purges, few polls; the path of its settings."""
    folder.mkdir()
    write_key(folder)
    write_teams(folder / "teams.gpkg")
    rows = [row for row in incidents_of_toy(seed=1) if row["kind"] != "R1"]
    known = "2023-12-01 00:00:00"
    undone = [
        row | {"type": "undo", "known": known}
        for row in rows[::50]
        if row["kind"] == "B1" and row["known"] < known
    ]
    write_extract(folder / "incidents_1.csv", [*rows, *undone])
    content = content_of_toy(folder)
    del content["priorities"]["robbery"]
    del content["incidents"]["register"]["priority"]["codes"]["robbery"]
    content |= {
        "horizons": {"current": 0},
        "polls": {"count": 4},
        "effects": {"withdrawn": "purge"},
    }
    content["indicators"] = {"leave_out": ["*density*", "*decayed*", "*weeks_since*", "any_*"]}
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(
    settings: Path, jvm: Mapping[str, str], *places: str, command: str = "weekly"
) -> subprocess.CompletedProcess[str]:
    """A run to which that happens at these places, or nothing."""
    process = start(settings, jvm, *places, command=command)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def start(
    settings: Path, jvm: Mapping[str, str], *places: str, command: str = "weekly"
) -> subprocess.Popen[str]:
    """Start a run in a process group of its own."""
    shell = f'. "{ROOT}/.runtime/env"; exec "$@"'
    module = "tests.pipelines.killed_run"
    return subprocess.Popen(
        ["/bin/bash", "-c", shell, "run", sys.executable, "-m", module, settings, command, *places],
        cwd=ROOT,
        env={"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", **jvm},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stray_files(lake: Path) -> list[str]:
    """Files that no version of a table names, nor a view; of `snapshots` only the newest counts."""
    named = set()
    if (lake / "snapshots").exists():
        named |= {uri.rsplit("/", 1)[-1] for uri in DeltaTable(lake / "snapshots").file_uris()}
    for commit in lake.glob("*/_delta_log/*.json"):
        if commit.parts[-3] != "snapshots":
            actions = map(json.loads, commit.read_text().splitlines())
            added = [action["add"]["path"] for action in actions if "add" in action]
            named |= {path.rsplit("/", 1)[-1] for path in added}
    stray = []
    for path in lake.rglob("*"):
        relative = path.relative_to(lake)
        if path.is_dir() or relative.parts[0] == "mlflow":
            continue
        if path.name.startswith(".") and path.suffix == ".crc":  # Hadoop's checksum of a file
            is_known = path.with_name(path.name[1:-4]).exists()
        elif path.parent.name == "_delta_log":
            is_known = IN_DELTA_LOG.fullmatch(path.name) is not None
        else:
            is_map = relative.parts[0] == "maps" and path.suffix in (".gpkg", ".geojson")
            is_list = relative.parts[0] == "maps" and path.name.endswith(FILES)
            is_own = is_map or is_list or str(relative) == MARKER
            is_known = path.name in named or is_own or is_without_rows(path)
        if not is_known:
            stray.append(str(relative))
    return stray


def is_without_rows(path: Path) -> bool:
    """Delta leaves such files of its writers out of its log, also in an undisturbed run."""
    try:
        return int(pq.ParquetFile(path).metadata.num_rows) == 0
    except pa.ArrowInvalid:  # cut off
        return False


def maps_of(lake: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in lake.glob("maps/*/*")}
