"""When an extract was delivered, told or judged by its rows; what is known later is rejected."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.sources.known_after_delivery import FIRST_MONDAY, last_moment_of
from tests.sources.deliveries import delivered, reasons_of, row, settings_of, write

ZONE = ZoneInfo("Europe/Amsterdam")
WEEK = 2_800
"""September 2023, in weeks since 1970."""
IN_2999 = (date(2999, 1, 1) - FIRST_MONDAY).days // 7


def weeks_kept(weeks: dict[int, int]) -> int | None:
    """The last week whose rows may stay, counted as `weeks` are."""
    last = last_moment_of(sorted(weeks.items()), ZONE)
    if last is None:
        return None
    return (last.astimezone(ZONE).date() - FIRST_MONDAY).days // 7


def every_week(number: int, weeks: int = 104) -> dict[int, int]:
    return {WEEK - weeks + 1 + week: number for week in range(weeks)}


@pytest.mark.parametrize(
    ("weeks", "last"),
    [
        (every_week(100), WEEK),
        (every_week(100) | {IN_2999: 1}, WEEK),
        (every_week(100) | {WEEK + 3: 1, WEEK + 4: 1}, WEEK),
        # A day's rows of a week that has just begun, and hardly any of another.
        (every_week(100) | {WEEK + 1: 14}, WEEK + 1),
        (every_week(100) | {WEEK + 1: 1}, WEEK + 1),
        # A year's incidents, of which fewer and fewer are reported later.
        (every_week(1000, 52) | {WEEK + k: 50 // k for k in range(1, 50, 2)}, WEEK + 49),
        # Twenty-five years of weeks hold less than one row in 1,000 each.
        (every_week(5000, 1300), WEEK),
        (every_week(5000, 1300) | {IN_2999: 40}, WEEK),
        # A placeholder such as 31 December 2999, of one row in 100.
        (every_week(10) | {IN_2999: 10}, WEEK),
        # Small extracts: a week's rows, a row a month, one a year.
        ({WEEK: 20, IN_2999: 1}, WEEK),
        ({WEEK: 19, IN_2999: 1, IN_2999 + 9: 1}, WEEK),
        ({WEEK - 4 * k: 1 for k in range(24)} | {IN_2999: 1}, WEEK),
        ({WEEK - 52 * k: 1 for k in range(6)}, WEEK),
        ({WEEK - 52 * k: 1 for k in range(6)} | {IN_2999: 1}, WEEK),
        # A year without rows, and then a year with them again.
        (every_week(3, 300) | {WEEK + 52 + k: 3 for k in range(52)}, WEEK + 103),
        # The fewer rows, the longer they may be apart.
        ({WEEK - 30: 2, WEEK: 1}, WEEK),
        ({WEEK - 500: 4, WEEK: 1}, WEEK),
        ({WEEK: 4, WEEK + 530: 1}, WEEK),
        (every_week(1) | {WEEK + 20: 1}, WEEK + 20),
        (every_week(1) | {WEEK + 30: 1}, WEEK),
        # Two rows do not show which is mistaken.
        ({WEEK: 1, IN_2999: 1}, IN_2999),
        ({WEEK: 1}, WEEK),
    ],
)
def test_the_rows_tell_when_their_extract_was_delivered(weeks: dict[int, int], last: int) -> None:
    assert weeks_kept(weeks) == last


def test_rows_beyond_the_calendar_bound_nothing() -> None:
    assert weeks_kept({}) is None
    assert weeks_kept({WEEK: 1, 500_000: 1}) is None
    assert weeks_kept({WEEK: 5, 500_000: 1}) == WEEK


@given(
    st.lists(st.integers(1, 50), min_size=5, max_size=200),
    st.lists(st.integers(521, 100_000), max_size=1),
)
def test_a_stray_row_moves_the_bound_of_no_extract_that_has_rows_each_week(
    counts: list[int], strays: list[int]
) -> None:
    weeks = {WEEK + week: number for week, number in enumerate(counts)}
    last = max(weeks)
    with_strays = weeks | {last + ahead: 1 for ahead in strays}
    assert weeks_kept(with_strays) == weeks_kept(weeks)


@given(st.dictionaries(st.integers(0, 5000), st.integers(1, 10_000), min_size=1))
def test_no_more_than_the_strays_is_ever_rejected(weeks: dict[int, int]) -> None:
    rows, last = sum(weeks.values()), weeks_kept(weeks)
    assert last is not None
    rejected = sum(number for week, number in weeks.items() if week > last)
    assert 2 * rejected <= rows
    assert any(week <= last for week in weeks)


def test_a_bound_is_local_midnight_whatever_the_clocks_do() -> None:
    summer = (date(2024, 3, 25) - FIRST_MONDAY).days // 7
    last = last_moment_of([(summer, 9)], ZONE)
    assert last == datetime(2024, 3, 31, 22, tzinfo=UTC) - timedelta(microseconds=1)


def fine(number: int, known: str) -> list[str]:
    return row(number=str(number), known=known)


@pytest.mark.spark
def test_a_row_known_in_2999_is_rejected_and_moves_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [fine(i, "2020-01-06 09:00") for i in range(1, 9)]
    rows += [fine(9, "2999-01-01 00:00"), fine(10, "2020-01-14 23:59")]
    # The mistaken row does not take the key of the right one.
    rows += [fine(9, "2020-01-07 09:00"), row(number="9", kind="undo", known="2999-01-01 00:00")]
    delivery = delivered(spark, settings_of(tmp_path), write(tmp_path / "extract.csv", rows))
    found = reasons_of(delivery)
    assert {n for n, reason in found.items() if reason == "known_after_delivery"} == {9, 12}
    assert {n for n, reason in found.items() if reason != "accepted"} == {9, 12}
    [dataset] = delivery.dataset.collect()
    assert dataset["known_until_at"] == datetime(2020, 1, 14, 22, 59)  # noqa: DTZ001
    said = {r["row_number"]: r["found"] for r in delivery.rejected.collect()}
    assert said == dict.fromkeys((9, 12), "2999-01-01 00:00")


@pytest.mark.spark
@pytest.mark.parametrize(
    ("changes", "late"),
    [
        ({"delivered": "2020-01-14"}, {3, 4}),
        ({"delivered": {"from_name": "extract_%Y%m%d.csv"}}, {3, 4}),
        (
            {
                "delivered": "2020-01-14",
                "known": {
                    "column": "known",
                    "formats": ["yyyy-MM-dd HH:mm"],
                    "rule": "assumed_delay",
                    "delay_days": 30,
                },
            },
            {4},
        ),
        (
            {
                "delivered": "2020-01-14",
                "known": {
                    "column": "known",
                    "formats": ["yyyy-MM-dd HH:mm"],
                    "rule": "next_month",
                },
            },
            {4},
        ),
    ],
    ids=["a day", "in the name", "assumed", "next month"],
)
def test_a_day_of_delivery_that_is_told_bounds_by_the_rule_of_knowing(
    spark: SparkSession, tmp_path: Path, changes: dict[str, Any], late: set[int]
) -> None:
    moments = ["2020-01-06 09:00", "2020-01-14 23:59", "2020-01-15 00:01", "2020-03-02 00:00"]
    rows = [
        row(number=str(i), began="2020-01-05 10:00", ended="", known=moment)
        for i, moment in enumerate(moments)
    ]
    path = write(tmp_path / "extract_20200114.csv", rows)
    found = reasons_of(delivered(spark, settings_of(tmp_path, **changes), path))
    assert {n for n, reason in found.items() if reason == "known_after_delivery"} == late


@pytest.mark.spark
def test_a_name_without_the_day_that_the_settings_promise_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, delivered={"from_name": "extract_%Y%m%d.csv"})
    path = write(tmp_path / "extract_2020.csv", [row()])
    with pytest.raises(CasError, match="extract_2020.csv.*no day.*incidents.register.delivered"):
        delivered(spark, settings, path)
