"""One Spark session for all tests, and a fresh lake for each that wants one."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake.session import start_session


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_session("tests")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    yield session
    session.stop()
