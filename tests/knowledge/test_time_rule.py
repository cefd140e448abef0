"""What a poll sees, which week an incident counts in, and when a week has settled; in Spark."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.settling import settled_at, settling_days
from cas_spark.knowledge.visibility import NEVER, counts_at, known_at, polls_that_see, week_on
from cas_spark.settings import Settings

pytestmark = pytest.mark.spark
ZONE = ZoneInfo("Europe/Amsterdam")
POLL = instant_of(date(2024, 1, 8), ZONE)
SECOND = timedelta(seconds=1)
SCHEMA = (
    "id string, occurred_from_at timestamp, occurred_until_at timestamp, known_at timestamp, "
    "superseded_at timestamp"
)


def versions(
    spark: SparkSession, *rows: tuple[str, datetime, datetime, datetime, datetime | None]
) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA).withColumn("version", F.lit(1))


def known(
    id_: str, at: datetime, superseded: datetime | None = None
) -> tuple[str, datetime, datetime, datetime, datetime | None]:
    return (id_, POLL - timedelta(days=9), POLL - timedelta(days=9), at, superseded)


def test_a_poll_sees_what_was_known_before_it_and_not_superseded_before_it(
    spark: SparkSession,
) -> None:
    rows = versions(
        spark,
        known("known just before", POLL - SECOND),
        known("known at the poll", POLL),
        known("superseded just before", POLL - timedelta(days=2), POLL - SECOND),
        known("superseded at the poll", POLL - timedelta(days=2), POLL),
        known("superseded later", POLL - timedelta(days=2), POLL + SECOND),
    )
    seen = {row["id"] for row in known_at(rows, POLL).collect()}
    assert seen == {"known just before", "superseded at the poll", "superseded later"}


def test_the_rule_for_many_polls_is_the_same_rule() -> None:
    edges = np.array([10, 20, 30], dtype=np.int64)
    known_at = np.array([9, 10, 9, 9, 9], dtype=np.int64)
    superseded_at = np.array([NEVER, NEVER, 19, 20, 21], dtype=np.int64)
    first, until = polls_that_see(known_at, superseded_at, edges)
    seen = [[k for k in range(3) if a <= k < b] for a, b in zip(first, until, strict=True)]
    slowly = [
        [k for k in range(3) if known < edges[k] and not superseded < edges[k]]
        for known, superseded in zip(known_at, superseded_at, strict=True)
    ]
    assert seen == slowly == [[0, 1, 2], [1, 2], [0], [0, 1], [0, 1]]


def test_an_interval_counts_in_its_middle(spark: SparkSession) -> None:
    start = datetime(2024, 1, 5, 12, tzinfo=UTC)
    rows = versions(spark, ("x", start, start + timedelta(hours=5), POLL, None))
    [row] = rows.select(F.unix_micros(counts_at()).alias("at")).collect()
    assert row["at"] == int((start + timedelta(hours=2.5)).timestamp()) * 1_000_000


@pytest.mark.parametrize("poll", [date(2024, 3, 25), date(2024, 4, 1), date(2024, 10, 28)])
def test_a_week_begins_at_local_midnight_also_around_dst(spark: SparkSession, poll: date) -> None:
    edge = instant_of(poll, ZONE)
    moments = [edge - SECOND, edge, instant_of(poll + timedelta(weeks=1), ZONE) - SECOND]
    rows = versions(spark, *((str(i), m, m, m, None) for i, m in enumerate(moments)))
    weeks = rows.select("id", week_on(ZONE, 0).alias("week_on")).orderBy("id").collect()
    assert [row["week_on"] for row in weeks] == [poll - timedelta(weeks=1), poll, poll]


def test_the_measured_delay_is_that_within_which_the_share_had_arrived(
    spark: SparkSession, toy_settings: Settings
) -> None:
    happened = POLL - timedelta(days=60)
    rows = [(str(i), happened, happened, happened + timedelta(days=2), None) for i in range(95)] + [
        (f"late {i}", happened, happened, happened + timedelta(days=20), None) for i in range(5)
    ]
    unseen = [(f"later {i}", happened, happened, POLL, None) for i in range(50)]
    frame = versions(spark, *rows, *unseen)
    assert settling_days(frame, POLL, toy_settings) == 2
    one_more = versions(
        spark, *rows, ("late too", happened, happened, happened + timedelta(days=9), None)
    )
    assert settling_days(one_more, POLL, toy_settings) == 9


def test_a_week_settles_the_delay_after_its_end() -> None:
    assert settled_at(date(2024, 1, 1), 3, ZONE) == instant_of(date(2024, 1, 11), ZONE)
