"""One Spark session for all tests, and a lake of the toy country on which a week has run."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock
from pyspark.sql import SparkSession

from cas_spark.platform.session import start_session
from cas_spark.settings import Settings, load_settings
from tests.toy import POLL, run_quietly, settings_of_toy, write_toy

# Test jobs are many and tiny: compiling each query takes longer than running it uncompiled.
QUICK_FOR_TINY_JOBS = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}

# Nor does the best machine code pay for itself in so short a life; what there is needs more room
# than Java then gives it.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m")

# How long a case takes says more of what runs beside it than of the case.
hypothesis.settings.register_profile("beside_others", deadline=None)
hypothesis.settings.load_profile("beside_others")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_session("tests")
    for name, value in QUICK_FOR_TINY_JOBS.items():
        session.conf.set(name, value)
    yield session
    session.stop()


@pytest.fixture
def toy_settings() -> Settings:
    return settings_of_toy()


@pytest.fixture(scope="session")
def demo_lake(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Path:
    """The settings file of a lake on which a week of the toy country has run; only for reading.

    One for all processes of the suite: who comes first makes it.
    """
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":  # one of several, each with a folder of its own in that of all
        folder = folder.parent
    with FileLock(folder / "toy.lock"):
        path, done = folder / "toy" / "toy.yaml", folder / "toy.done"
        if not done.exists():
            write_toy(path.parent)
            run_quietly(spark, "weekly", load_settings(path), POLL)
            done.touch()
    return path
