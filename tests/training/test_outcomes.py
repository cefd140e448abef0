"""Outcomes are versions: what was known of a cell's week, and from when on."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from cas_spark.lake.tables import OUTCOMES
from cas_spark.training.outcomes import labels_of, outcomes_of
from tests.toy import settings_of_toy

pytestmark = pytest.mark.spark
ZONE = settings_of_toy().zone
WEDNESDAY = datetime(2024, 1, 3, 12, tzinfo=UTC)
MONDAY = date(2024, 1, 1)
DAY = timedelta(days=1)
INCIDENTS = (
    "priority string, cell_id long, occurred_from_at timestamp, occurred_until_at timestamp, "
    "known_at timestamp, superseded_at timestamp"
)


def incident(known: datetime, superseded: datetime | None = None, cell: int = 7) -> tuple[Any, ...]:
    return ("burglary", cell, WEDNESDAY, WEDNESDAY, known, superseded)


def outcome(known: datetime, superseded: datetime | None, number: int) -> tuple[Any, ...]:
    return ("burglary", 7, MONDAY, known, superseded, number)


@pytest.mark.parametrize(
    ("incidents", "outcomes"),
    [
        ([incident(WEDNESDAY + DAY)], [outcome(WEDNESDAY + DAY, None, 1)]),
        (
            [incident(WEDNESDAY + DAY), incident(WEDNESDAY + 3 * DAY)],
            [
                outcome(WEDNESDAY + DAY, WEDNESDAY + 3 * DAY, 1),
                outcome(WEDNESDAY + 3 * DAY, None, 2),
            ],
        ),
        (
            [incident(WEDNESDAY + DAY, superseded=WEDNESDAY + 2 * DAY)],
            [
                outcome(WEDNESDAY + DAY, WEDNESDAY + 2 * DAY, 1),
                outcome(WEDNESDAY + 2 * DAY, None, 0),
            ],
        ),
        (  # one version replaced by another at the same instant changes no number
            [
                incident(WEDNESDAY + DAY, superseded=WEDNESDAY + 2 * DAY),
                incident(WEDNESDAY + 2 * DAY),
            ],
            [outcome(WEDNESDAY + DAY, None, 1)],
        ),
    ],
    ids=["one", "a second, later", "taken back", "replaced at once"],
)
def test_every_number_ever_known_is_a_version(
    spark: SparkSession, incidents: list[tuple[Any, ...]], outcomes: list[tuple[Any, ...]]
) -> None:
    found = outcomes_of(spark.createDataFrame(incidents, INCIDENTS), ZONE, 0)
    expected = spark.createDataFrame(outcomes, OUTCOMES.schema)
    assert_df_equality(
        found, expected, ignore_row_order=True, ignore_nullable=True, ignore_metadata=True
    )


def test_a_week_is_the_target_of_one_poll_per_horizon(spark: SparkSession) -> None:
    outcomes = spark.createDataFrame(
        [outcome(WEDNESDAY, None, 2), ("burglary", 8, MONDAY, WEDNESDAY, None, 0)], OUTCOMES.schema
    )
    polls = [MONDAY - timedelta(weeks=6), MONDAY]
    found = labels_of(outcomes, {"current": 0, "early_6w": 6, "too_early": 7}, polls)
    expected = spark.createDataFrame(
        [("burglary", 7, MONDAY, ["current"]), ("burglary", 7, polls[0], ["early_6w"])],
        found.schema,  # the names and types are those of the docstring; array elements are not null
    )
    assert found.dtypes == [
        ("priority", "string"),
        ("cell_id", "bigint"),
        ("poll_on", "date"),
        ("horizons", "array<string>"),
    ]
    assert_df_equality(found, expected, ignore_row_order=True, ignore_nullable=True)
