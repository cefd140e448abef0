"""The Spark session: built once, here, and passed to what needs it.

Extensions, jars and memory stand in one `spark-defaults.conf`, which the set-up generates and Spark
finds through `SPARK_CONF_DIR`; so the CLI, the tests and `spark-submit` run with the same ones.
"""

import atexit
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from pyspark.sql import SparkSession

from cas_spark.errors import CasError

RUNTIME = Path(__file__).resolve().parents[2] / ".runtime"


def _prepare_environment() -> None:
    """Point a JVM that is yet to start at this project's runtime, whatever else is installed."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # spark-submit has started the JVM already
        return
    # A foreign Spark or Python path would bring other versions than the lock's.
    for foreign in ("SPARK_HOME", "PYTHONPATH"):
        os.environ.pop(foreign, None)
    if "SPARK_CONF_DIR" not in os.environ:
        defaults = RUNTIME / "conf" / "spark-defaults.conf"
        if not defaults.is_file():
            raise CasError(
                what="Spark's settings",
                found=f"no {defaults} and no SPARK_CONF_DIR",
                expected="the runtime that the set-up makes",
                do="Run `make setup` in the project's folder, or point SPARK_CONF_DIR at a folder "
                "made by deploy/runtime",
            )
        os.environ["SPARK_CONF_DIR"] = str(defaults.parent)
    os.environ["PYSPARK_PYTHON"] = _python_of_tasks(Path(os.environ["SPARK_CONF_DIR"]))
    java = RUNTIME / "java"  # link to the Java that the set-up found or installed
    if java.is_dir():
        os.environ["JAVA_HOME"] = str(java.resolve())


def _python_of_tasks(conf: Path) -> str:
    """The Python that runs tasks: what Spark's settings name, such as one that a submission brings.

    Spark itself heeds that setting only under `spark-submit`.
    """
    defaults = conf / "spark-defaults.conf"
    lines = defaults.read_text(encoding="utf-8").splitlines() if defaults.is_file() else []
    pairs = dict(line.split(None, 1) for line in lines if len(line.split(None, 1)) > 1)
    return pairs.get("spark.pyspark.python", sys.executable).strip()


def _bring_code(session: SparkSession) -> None:
    """Send this project's code to executors elsewhere, whatever version they may have."""
    if (session.sparkContext.master or "").startswith("local"):
        return
    package = Path(__file__).resolve().parents[1]
    scratch = tempfile.mkdtemp()  # executors fetch it from here whenever they start
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    archive = Path(scratch, f"{package.name}.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(package.rglob("*.py")):
            file.write(path, path.relative_to(package.parent))
    session.sparkContext.addPyFile(str(archive))


def start_session(name: str) -> SparkSession:
    """The session of this process, started if need be.

    Raises:
        CasError: the runtime is missing, or the session lacks Sedona or Delta.
    """
    _prepare_environment()
    session = SparkSession.builder.appName(name).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    _bring_code(session)
    extensions = session.conf.get("spark.sql.extensions", "") or ""
    needed = {"Sedona": "SedonaSqlExtensions", "Delta": "DeltaSparkSession"}
    for library, extension in needed.items():
        if extension not in extensions:
            raise CasError(
                what="the Spark session",
                found=f"spark.sql.extensions = {extensions!r}",
                expected=f"{library}'s extension among them",
                do="Set SPARK_CONF_DIR to the folder of the generated spark-defaults.conf",
            )
    return session
