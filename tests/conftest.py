"""One Spark session for all tests, and a lake of the toy country on which a week has run."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake.session import start_session
from cas_spark.settings import Settings
from tests.toy import settings_of_toy


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_session("tests")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    yield session
    session.stop()


@pytest.fixture
def toy_settings() -> Settings:
    return settings_of_toy()
