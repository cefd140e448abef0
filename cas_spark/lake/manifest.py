"""A run's manifest: with what the run was made, and what it left behind."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import Row
from threadpoolctl import threadpool_info

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Manifest:
    """One row of `runs`: the last thing that a run writes, and the first that a reader reads."""

    number: int
    schema_version: int
    step: str
    poll_on: date | None
    settings: str
    settings_sha256: str
    finished_at: datetime
    commit: str
    lock_sha256: str | None
    fingerprint: str
    versions_in: Mapping[str, int] = field(default_factory=dict)
    versions_out: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Row) -> "Manifest":
        """The manifest that a row of `runs` holds."""
        values = row.asDict()
        for name in ("versions_in", "versions_out", "digests", "stages"):
            values[name] = {pair[0]: pair[1] for pair in values[name]}
        values["facts"] = json.loads(values["facts"])
        return cls(**values)

    def to_row(self) -> dict[str, Any]:
        """The row of `runs` that holds the manifest; pairs in the order of their names."""
        values = dict(vars(self))
        for name in ("versions_in", "versions_out", "digests"):
            values[name] = sorted(values[name].items())
        values["stages"] = list(values["stages"].items())  # in the order in which they ran
        values["facts"] = json.dumps(values["facts"], sort_keys=True)
        return values


def commit_of_the_code() -> str:
    """The commit that runs, with -dirty behind it where the working tree differs; or unknown."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def sha256_of_the_lock() -> str | None:
    """The sha256 of uv.lock, or None where the code runs without it."""
    lock = PROJECT / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None


def fingerprint_of_the_machine() -> str:
    """What may change the last bits of a fit: Python, libraries, BLAS kernels and processor."""
    libraries = ("numpy", "scipy", "pyspark", "apache-sedona", "delta-spark", "pyarrow", "mlflow")
    fields = ("internal_api", "version", "architecture")
    # numpy and scipy bring a BLAS each; the order of loading means nothing.
    blas = {
        tuple(str(pool.get(key)) for key in fields)
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    }
    return json.dumps(
        {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "libraries": {name: library_version(name) for name in libraries},
            "blas": [dict(zip(fields, one, strict=True)) for one in sorted(blas)],
            "simd": np.show_config(mode="dicts")["SIMD Extensions"],
        },
        sort_keys=True,
    )
