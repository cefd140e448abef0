"""Finds a Java that Spark 4 runs on, or installs it through the system's packages.

17 or 21: newer ones break Hadoop's file system. Spark also wants a module that Java runtimes made
for pip leave out.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from problem import SetupError, say

VERSIONS = (17, 21)
MODULE = "jdk.incubator.vector"


def _told(*command: str | Path) -> str:
    """What a command says, or nothing where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout + done.stderr  # java -version speaks on stderr


def _homes() -> Iterator[Path]:
    """Where a Java may be, the most deliberate place first."""
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"]).absolute()
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve().parents[1]
    for version in VERSIONS:
        yield from sorted(Path("/usr/lib/jvm").glob(f"*{version}*"))
        if sys.platform == "darwin":
            yield Path(_told("/usr/libexec/java_home", "-v", str(version)).strip())
            # Homebrew's is not known to the system.
            yield Path(f"/opt/homebrew/opt/openjdk@{version}/libexec/openjdk.jdk/Contents/Home")
    yield from sorted(Path("/usr/lib/jvm").glob("*"))


def fits(home: Path) -> bool:
    """Whether the Java of this home is one that Spark runs on."""
    java = home / "bin/java"
    if not java.is_file():
        return False
    version = re.search(r'version "(\d+)', _told(java, "-version"))
    return bool(version and int(version[1]) in VERSIONS and MODULE in _told(java, "--list-modules"))


def find_java() -> Path | None:
    """The first home of a fitting Java."""
    return next((home for home in _homes() if fits(home)), None)


def _package() -> str:
    """The system's package of a fitting Java, the first that the release has."""
    names = [f"openjdk-{version}-jre-headless" for version in VERSIONS]
    return next((name for name in names if _told("apt-cache", "show", name)), names[-1])


def find_or_install_java() -> Path:
    """The home of a fitting Java.

    Raises:
        SetupError: there is none, and it may not or could not be installed.
    """
    if home := find_java():
        return home
    if not shutil.which("apt-get"):
        means = "brew install openjdk@17" if sys.platform == "darwin" else "your package manager"
        raise SetupError(
            f"no Java 17 or 21 with {MODULE} found; install one with {means}, or set JAVA_HOME"
        )
    if os.geteuid() != 0:
        raise SetupError(
            f"no Java 17 or 21 with {MODULE} found; type: sudo apt-get install {_package()} "
            "(or set JAVA_HOME to one)"
        )
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    say("installing Java through apt-get")
    subprocess.run(["apt-get", "update", "-qq"], env=env, check=False)
    install = ["apt-get", "install", "-qq", "--no-install-recommends", _package()]
    subprocess.run(install, env=env, check=False, stdout=subprocess.DEVNULL)
    if home := find_java():
        return home
    raise SetupError(
        f"apt-get could not install {_package()} (it says above why); install Java 17 or 21 "
        "yourself, or set JAVA_HOME to one"
    )
