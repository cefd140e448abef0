"""Finds uv, or gets the one that the lock names, without pip.

The lock holds the address and the sum of uv's own wheels, so no address and no version of it stands
in the code.
"""

import hashlib
import http.client
import io
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

from places import LOCK_FILE, RUNTIME
from problem import SetupError, say

OWN_UV = RUNTIME / "bin/uv"
ATTEMPTS = 3
TIMEOUT_SECONDS = 60


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def version_of(uv: Path, env: dict[str, str]) -> tuple[int, ...]:
    """The version of a uv, or nothing where it does not run."""
    try:
        printed = subprocess.run(
            [uv, "--version"], env=env, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    return _numbers(printed.stdout)


def platform_pattern() -> str:
    """What the name of a wheel for this machine ends with, as a regular expression."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return rf"macosx_\d+_\d+_{machine}\.whl"
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return rf"{libc}_\d+_\d+_{machine}[.\w]*\.whl"


def choose_wheel(package: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Of uv's wheels in the lock the one that runs here, for the oldest system.

    Raises:
        SetupError: there is none.
    """
    pattern = re.compile(platform_pattern())
    fitting = [
        (_numbers(match.group()), wheel["url"], wheel)
        for wheel in package["wheels"]
        if (match := pattern.search(wheel["url"]))
    ]
    if not fitting:
        raise SetupError(
            f"uv.lock has no uv for {platform.platform()}; install uv yourself and put it on PATH"
        )
    return min(fitting)[-1]


def _read(url: str, attempts: int = ATTEMPTS) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException):
        if attempts == 1:
            raise
        return _read(url, attempts - 1)
    return content


def download(wheel: dict[str, str]) -> bytes:
    """The wheel's bytes, checked against the lock.

    Raises:
        SetupError: it could not be fetched, or is not what the lock says.
    """
    try:
        content = _read(wheel["url"])
    except (OSError, http.client.HTTPException) as error:
        raise SetupError(
            f"uv could not be fetched ({error}); check the network (and that the package "
            "ca-certificates is installed), or install uv yourself and put it on PATH"
        ) from error
    found = "sha256:" + hashlib.sha256(content).hexdigest()
    if found != wheel["hash"]:
        raise SetupError(
            f"{wheel['url']} was refused: found {found}, expected {wheel['hash']} as in uv.lock"
        )
    return content


def find_or_fetch_uv(env: dict[str, str]) -> Path:
    """A uv that is at least as new as the one that wrote the lock.

    Raises:
        SetupError: there is none and it could not be fetched.
    """
    packages = tomllib.loads(LOCK_FILE.read_text())["package"]
    package = next(package for package in packages if package["name"] == "uv")
    for uv in (Path(shutil.which("uv") or OWN_UV), OWN_UV):
        if version_of(uv, env) >= _numbers(package["version"]):
            return uv
    say(f"fetching uv {package['version']}")
    with zipfile.ZipFile(io.BytesIO(download(choose_wheel(package)))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("/scripts/uv"))
        OWN_UV.parent.mkdir(parents=True, exist_ok=True)
        draft = OWN_UV.with_name(".uv")
        draft.write_bytes(wheel.read(name))
    draft.chmod(0o755)
    draft.replace(OWN_UV)
    return OWN_UV
