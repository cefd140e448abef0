"""Sets up what cas_spark needs: uv, the Python environment, the jars, Java, Spark's settings.

Needs nothing but Python itself, since a bare machine has no pip. Started by `deploy/runtime/setup`.
What is there and right is left alone, so that a second run takes no time and no network.
"""

import fcntl
import hashlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jars import JarList
from java import find_or_install_java
from places import JARS, JAVA, LOCK_FILE, ROOT, RUNTIME, STAMP, VENV, replace_link, replace_text
from problem import SetupError, say
from spark_conf import SPARK_FILES, write_spark_files
from uv_tool import find_or_fetch_uv

SCRIPTS = Path(__file__).resolve().parent


def state_of_inputs() -> str:
    """What the set-up was made from: the lock, the project's packages, the jars, these scripts."""
    digest = hashlib.sha256()
    scripts = sorted(path for path in SCRIPTS.iterdir() if path.is_file())
    for path in [LOCK_FILE, ROOT / "pyproject.toml", *scripts]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{ROOT}\n{digest.hexdigest()}\n"  # the place counts: a moved clone is set up again


def is_done(state: str) -> bool:
    """Whether the set-up was made from these inputs, in this place, and is still there."""
    if not STAMP.is_file() or STAMP.read_text() != state:
        return False
    needed = [JAVA / "bin/java", VENV / "bin/python", VENV / "bin/cas-spark", *SPARK_FILES]
    return all(path.exists() for path in [*needed, *JarList.read().files()])


@contextmanager
def only_one() -> Iterator[None]:
    """Let no second set-up of this checkout run at the same time."""
    RUNTIME.mkdir(exist_ok=True)
    with (RUNTIME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment() -> dict[str, str]:
    """The environment of the tools: nothing of another project, and the system's certificates."""
    foreign = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH", "PYTHONHOME"}
    cleaned = {name: value for name, value in os.environ.items() if name not in foreign}
    system = ["/etc/ssl/certs/ca-certificates.crt", ssl.get_default_verify_paths().cafile]
    bundle = next((path for path in system if path and Path(path).is_file()), None)
    if bundle:  # else a company's own certificate, known to the system, would be refused
        cleaned.setdefault("SSL_CERT_FILE", bundle)
        cleaned.setdefault("REQUESTS_CA_BUNDLE", bundle)
    return cleaned


def run(*command: str | Path, env: dict[str, str], quiet: bool = False) -> bool:
    """Run a command in the project's folder and return whether it succeeded."""
    kept = subprocess.DEVNULL if quiet else None
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, stdout=kept, stderr=kept)
    return done.returncode == 0


def sync_packages(uv: Path, env: dict[str, str]) -> None:
    """Install exactly the locked packages into `.venv`.

    Raises:
        SetupError: uv could not install them.
    """
    was_moved = STAMP.is_file() and STAMP.read_text().splitlines()[:1] != [str(ROOT)]
    if was_moved or not (VENV / "bin/python").exists():
        make = (uv, "venv", "--quiet", "--clear", "--python", sys.executable)
        run(*make, "--no-python-downloads", VENV, env=env)  # uv sync prints what went wrong
    sync = (uv, "sync", "--locked", "--quiet", "--no-python-downloads")
    if run(*sync, "--offline", env=env, quiet=True):  # what uv has seen before needs no network
        return
    say("installing the locked Python packages (about 900 MB to fetch, once)")
    if not run(*sync, env=env):
        raise SetupError(
            "the Python packages of uv.lock could not be installed (uv says above why); "
            "mend that, or the network, and run make setup again"
        )


def fetch_jars(env: dict[str, str]) -> None:
    """Fetch the jars that are missing or wrong, with the client that is among the packages.

    Raises:
        SetupError: a jar could not be had, or is not the one that was expected.
    """
    if not JarList.read().wrong_files(JARS):
        return
    if not run(VENV / "bin/python", SCRIPTS / "fetch_jars.py", env=env):
        raise SetupError("the jars are not complete; the line above says which and why")


def set_up() -> None:
    """Make whatever is missing, and leave a stamp that says what it was made from."""
    state = state_of_inputs()
    if is_done(state):
        return
    with only_one():
        if is_done(state):
            return
        env = environment()
        java = find_or_install_java()
        sync_packages(find_or_fetch_uv(env), env)
        fetch_jars(env)
        replace_link(JAVA, java)
        write_spark_files(JarList.read())
        replace_text(STAMP, state)
    if " " in str(ROOT):
        say("Spark's own scripts, such as spark-submit, fail in a folder with a space in its path")
    say("done")


if __name__ == "__main__":
    try:
        set_up()
    except SetupError as error:
        sys.exit(f"set-up: {error}")
