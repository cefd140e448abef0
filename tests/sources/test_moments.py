"""When a row happened and when it became known, as delivered and as instants."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.visibility import known_at
from cas_spark.sources.moments import month_start
from tests.sources.deliveries import (
    delivered,
    reasons_of,
    row,
    settings_of,
    utc,
    write,
)

pytestmark = pytest.mark.spark


def of_months(rule: str, **known: Any) -> dict[str, Any]:
    return {"column": "known", "formats": ["yyyy-MM"], "rule": rule, **known}


def test_a_coded_month_was_known_when_the_next_one_began(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, known=of_months("next_month"))
    rows = [
        row(number="1", known="2020-01"),
        row(number="2", known="2020-06"),
        row(number="3", known="2020-12"),
        row(number="4", known="2020-01", began="2020-02-01 00:00", ended=""),
        row(number="5", known="2020-01", began="2020-02-01 00:01", ended=""),
        row(number="6", known="2020-01-05"),
    ]
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(delivery).values())[3:] == [
        *("accepted", "occurred_after_known", "known_unreadable")
    ]
    known = [r["known_at"] for r in delivery.accepted.orderBy("row_number").collect()]
    assert known == [
        datetime(2020, 1, 31, 23),  # noqa: DTZ001  # naive UTC
        datetime(2020, 6, 30, 22),  # noqa: DTZ001  # naive UTC
        datetime(2020, 12, 31, 23),  # noqa: DTZ001  # naive UTC
        datetime(2020, 1, 31, 23),  # noqa: DTZ001  # naive UTC
    ]


def test_the_start_of_the_coded_month_would_leak(spark: SparkSession, tmp_path: Path) -> None:
    """A poll in the month must not see what was coded, let alone what happened, after it."""
    settings = settings_of(tmp_path, known=of_months("next_month"))
    rows = [row(known="2020-06", began="2020-06-20 10:00", ended="")]
    honest = delivered(spark, settings, write(tmp_path / "extract.csv", rows)).accepted
    mid_month = datetime(2020, 6, 15, tzinfo=ZoneInfo("Europe/Amsterdam"))
    leaky = honest.withColumn(
        "known_at", month_start(F.col("occurred_from_at"), "Europe/Amsterdam")
    )
    happened_later = F.col("occurred_from_at") > F.lit(mid_month)
    assert known_at(leaky, mid_month).where(happened_later).count() == 1
    assert known_at(honest, mid_month).count() == 0
    assert leaky.where(F.col("known_at") < F.col("occurred_from_at")).count() == 1
    assert honest.where(F.col("known_at") < F.col("occurred_from_at")).count() == 0


def test_an_assumed_delay_stays_within_the_coded_month(spark: SparkSession, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, known=of_months("assumed_delay", delay_days=7))
    microsecond = timedelta(microseconds=1)
    zone = ZoneInfo("Europe/Amsterdam")
    cases = [
        ("2020-06-05 10:00", datetime(2020, 6, 12, 10, tzinfo=zone)),
        ("2020-05-24 23:59", datetime(2020, 6, 1, tzinfo=zone)),
        ("2019-01-02 10:00", datetime(2020, 6, 1, tzinfo=zone)),
        ("2020-06-23 10:00", datetime(2020, 6, 30, 10, tzinfo=zone)),
        ("2020-06-24 10:00", datetime(2020, 7, 1, tzinfo=zone) - microsecond),
        ("2020-06-30 23:59", datetime(2020, 7, 1, tzinfo=zone) - microsecond),
        ("2020-07-01 00:00", None),
    ]
    rows = [
        row(number=str(i), known="2020-06", began=b, ended="") for i, (b, _) in enumerate(cases)
    ]
    undo = row(kind="undo", known="2020-06", began="2020-06-05 10:00", ended="")
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", [*rows, undo]))
    found = {r["row_number"]: r["micros"] for r in _micros(delivery.accepted)}
    assert found == {
        number: _epoch_micros(known) for number, (_, known) in enumerate(cases, start=1) if known
    }
    assert reasons_of(delivery)[len(cases)] == "occurred_after_known"
    [correction] = _micros(delivery.revisions)
    assert correction["micros"] == _epoch_micros(datetime(2020, 7, 1, tzinfo=zone) - microsecond)
    [dataset] = delivery.dataset.collect()
    assert dataset["is_known_at_assumed"]


def _micros(frame: Any) -> Any:
    return frame.select("row_number", F.unix_micros("known_at").alias("micros")).collect()


def _epoch_micros(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000 - (1 if moment.microsecond else 0)


@pytest.mark.parametrize("zone", ["America/Chicago", "America/Sao_Paulo"])
def test_changes_of_the_clock_are_read_as_python_reads_them(
    spark: SparkSession, tmp_path: Path, zone: str
) -> None:
    """Local time that is skipped counts later, and time that comes twice as the first of both."""
    days = [date(2018, 11, 4), date(2019, 3, 10), date(2019, 3, 31), date(2019, 10, 27)]
    moments = [
        datetime(day.year, day.month, day.day, hour, 30)  # noqa: DTZ001  # local, zone added below
        for day in (*days, date(2019, 11, 3))
        for hour in range(4)
    ]
    texts = [f"{moment:%Y-%m-%d %H:%M}" for moment in moments]
    settings = settings_of(
        tmp_path,
        timezone=zone,
        key=[],
        occurred={"start": "began", "formats": ["yyyy-MM-dd HH:mm"], "earliest": "2018-01-01"},
    )
    path = write(tmp_path / "extract.csv", [row(began=text) for text in texts])
    delivery = delivered(spark, settings, path)
    found = delivery.accepted.orderBy("row_number").select(F.unix_seconds("occurred_from_at"))
    expected = [round(moment.replace(tzinfo=ZoneInfo(zone)).timestamp()) for moment in moments]
    assert [r[0] for r in found.collect()] == expected


def test_a_pattern_with_an_offset_reads_an_instant(spark: SparkSession, tmp_path: Path) -> None:
    known = {"column": "known", "formats": ["yyyy-MM-dd'T'HH:mmXXX"]}
    path = write(tmp_path / "extract.csv", [row(known="2020-01-06T00:00-05:00")])
    delivery = delivered(spark, settings_of(tmp_path, known=known), path)
    [incident] = delivery.accepted.collect()
    assert incident["known_at"] == utc(6, 5)


@pytest.mark.parametrize(
    ("formats", "found"), [([], "string and no formats"), (["yyyy-QQQQQQQ"], "'yyyy-QQQQQQQ'")]
)
def test_moments_that_no_format_reads_are_a_settings_error(
    spark: SparkSession, tmp_path: Path, formats: list[str], found: str
) -> None:
    settings = settings_of(tmp_path, known={"column": "known", "formats": formats})
    with pytest.raises(CasError, match=f"column known: found {found}"):
        delivered(spark, settings, write(tmp_path / "extract.csv", [row()]))


def test_typed_columns_need_no_formats(spark: SparkSession, tmp_path: Path) -> None:
    """Dates and times without zone are local, timestamps are instants, whole numbers are codes."""
    columns = "number long, case string, code double, began timestamp_ntz, ended date, "
    columns += "known timestamp, x double, y float, by string, kind int, note string"
    local = datetime(2020, 1, 5, 0)  # noqa: DTZ001  # a time without zone
    known = datetime(2020, 1, 6, 9)  # noqa: DTZ001  # Spark takes it as UTC
    one = (7, "c", 15.0, local, date(2020, 1, 6), known, 100_010.0, 400_010.0, "c", 1, None)
    rows = spark.createDataFrame([one, (8, *one[1:9], -1, None)], columns).coalesce(1)
    rows.write.parquet(str(tmp_path / "parts"))
    settings = settings_of(
        tmp_path,
        format="parquet",
        occurred={"start": "began", "end": "ended", "earliest": "2019-01-01"},
        known={"column": "known"},
        priority={"column": "code", "codes": {"burglary": ["15"], "robbery": ["16"]}},
        correction={"column": "kind", "equals": ["-1"]},
    )
    [part] = (tmp_path / "parts").glob("*.parquet")
    delivery = delivered(spark, settings, part)
    [incident], [revision] = delivery.accepted.collect(), delivery.revisions.collect()
    assert (incident["occurred_from_at"], incident["occurred_until_at"]) == (
        utc(4, 23),
        utc(5, 23),
    )
    assert (incident["known_at"], incident["code"]) == (known, "15")
    assert (revision["row_number"], revision["code"]) == (2, "15")
