"""Progress in a log: how far, of how much, and about how long still."""

import logging
import time

import pytest
from pyspark.sql import SparkSession

from cas_spark.platform.progress import following_tasks, lines


def test_a_line_tells_how_far_and_how_long_still(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "cas_spark"),
        lines("teams", 4, every_seconds=0) as advance,
    ):
        for _ in range(4):
            advance(1)
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(",")[0] for text in told] == [f"{n} of 4 teams" for n in (1, 2, 3)]
    assert all(text.endswith("s left") for text in told)


def test_lines_come_no_more_often_than_asked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "cas_spark"), lines("teams", 4, 3600) as advance:
        advance(3)
    assert not caplog.records


@pytest.mark.spark
def test_only_the_stage_with_as_many_tasks_as_asked_is_followed(spark: SparkSession) -> None:
    told: list[int] = []

    def wait(seconds: float, tasks: int) -> None:
        def work(number: int) -> None:
            time.sleep(seconds * (number + 1))  # they end at different times on any cores

        spark.sparkContext.parallelize(range(tasks), tasks).foreach(work)

    with following_tasks(spark, 3, told.append, 30):
        wait(0.1, 8)
        assert told == []
        wait(2.0, 3)
    assert sum(told) in (10, 20, 30)
