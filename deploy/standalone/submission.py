"""Makes what a submission to a cluster brings along: an environment of its own, and its settings.

    .venv/bin/python deploy/standalone/submission.py --master spark://127.0.0.1:7077
    SPARK_CONF_DIR=.runtime/standalone/conf cas-spark weekly --settings FILE --poll DATE

The environment holds Python itself and the locked packages; executors unpack it and use no Python
or package that happens to be installed where they run, only the system's libraries. It is
made again only where the lock or the Python is another. The jars go with the submission as they do
locally, by `spark.jars`, and this project's code by itself, at each start.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "runtime"))

from jars import JarList  # noqa: E402 - the set-up's scripts lie beside, they are no package
from places import LOCK_FILE, ROOT, RUNTIME, VENV, replace_text  # noqa: E402
from spark_conf import HEADER, LOGGING_TEXT, spark_defaults  # noqa: E402

FOLDER = RUNTIME / "standalone"
"""Of the archive, which is slow to make."""

CONF = Path(os.environ.get("CAS_STANDALONE_DIR", FOLDER)).resolve() / "conf"
UNPACKED = "environment"
"""Name under which executors find the archive in their working folder."""

PACKAGES = "packages"
LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "site-packages", "__pycache__"}
LEFT_OUT_OF_PYSPARK = ("jars", "bin", "sbin", "examples", "data", "licenses")
"""Executors run within a Spark that has these."""


def environment() -> Path:
    """The archive, made unless it is there.

    Raises:
        CalledProcessError: uv could not install the locked packages.
    """
    said = f"{hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()} {sys.version} {sys.base_prefix}"
    archive = FOLDER / f"environment-{hashlib.sha256(said.encode()).hexdigest()[:16]}.tgz"
    if archive.is_file():
        return archive
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
        folder = Path(scratch, UNPACKED)
        _copy_python(folder)
        _install_packages(folder / PACKAGES, Path(scratch, "requirements.txt"))
        draft = Path(scratch, archive.name)
        with tarfile.open(draft, "w:gz", compresslevel=1) as tar:
            for part in sorted(folder.iterdir()):
                tar.add(part, part.name)
        for older in FOLDER.glob("environment-*.tgz"):
            older.unlink()
        draft.rename(archive)
    return archive


def _copy_python(folder: Path) -> None:
    """Python as it is installed below this environment: its program and its own library."""
    version = f"python{sysconfig.get_python_version()}"
    program = Path(sys.base_prefix, "bin", version)
    (folder / "bin").mkdir(parents=True)
    shutil.copy(program, folder / "bin" / "python")
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        folder / "lib" / version,
        ignore=lambda _, names: [name for name in names if name in LEFT_OUT],
    )
    for shared in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy(shared, folder / "lib", follow_symlinks=True)


def _install_packages(folder: Path, requirements: Path) -> None:
    def uv(*arguments: str) -> None:
        subprocess.run([str(VENV / "bin/uv"), *arguments, "--quiet"], cwd=ROOT, check=True)

    uv("export", "--frozen", "--no-dev", "--no-emit-project", "-o", str(requirements))
    where = ["--python", sys.executable, "--target", str(folder), "--link-mode", "copy"]
    uv("pip", "install", "--no-deps", *where, "-r", str(requirements))
    for part in LEFT_OUT_OF_PYSPARK:
        shutil.rmtree(folder / "pyspark" / part, ignore_errors=True)


def write_conf(master: str, archive: Path, more: dict[str, str]) -> Path:
    """Spark's settings: those of this machine, but for where and with what tasks run."""
    settings = spark_defaults(JarList.read()) | {
        "spark.master": master,
        "spark.archives": f"{archive.as_uri()}#{UNPACKED}",
        "spark.pyspark.python": f"./{UNPACKED}/bin/python",
        "spark.pyspark.driver.python": str(VENV / "bin/python"),
        "spark.executorEnv.PYTHONPATH": f"./{UNPACKED}/{PACKAGES}",
        "spark.speculation": "true",
        **more,
    }
    lines = "".join(f"{name} {value}\n" for name, value in settings.items())
    replace_text(CONF / "spark-defaults.conf", HEADER + lines)
    replace_text(CONF / "log4j2.properties", HEADER + LOGGING_TEXT)
    return CONF


def main() -> None:
    """Make both and print how to use them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--master", required=True, help="such as spark://127.0.0.1:7077")
    parser.add_argument(
        "--conf", action="append", default=[], metavar="NAME=VALUE", help="a setting of Spark's"
    )
    arguments = parser.parse_args()
    more = dict(pair.split("=", 1) for pair in arguments.conf)
    folder = write_conf(arguments.master, environment(), more)
    sys.stdout.write(f"SPARK_CONF_DIR={os.path.relpath(folder)}\n")


if __name__ == "__main__":
    main()
