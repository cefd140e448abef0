"""When a row happened and when it became known, as delivered and as instants."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError, SettingsError
from cas_spark.knowledge.visibility import counts_at, known_at
from cas_spark.sources.incidents import Delivery
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
ZONE = ZoneInfo("Europe/Amsterdam")


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


def test_text_without_formats_is_a_settings_error(spark: SparkSession, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, known={"column": "known"})
    with pytest.raises(CasError, match="column known: found string and no formats"):
        delivered(spark, settings, write(tmp_path / "extract.csv", [row()]))


def test_a_pattern_that_cannot_be_meant_is_refused_when_settings_load(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'yyyy-mm-dd' names no month; mm is minutes"):
        settings_of(tmp_path, known={"column": "known", "formats": ["yyyy-mm-dd"]})


def test_typed_columns_need_no_formats(spark: SparkSession, tmp_path: Path) -> None:
    """Dates and times without zone are local, timestamps are instants, whole numbers are codes.

    A date is the whole day.
    """
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
    # It ended on a day that was not over when it was known.
    assert (incident["occurred_from_at"], incident["occurred_until_at"]) == (utc(4, 23), known)
    assert (incident["known_at"], incident["code"]) == (known, "15")
    assert (revision["row_number"], revision["code"]) == (2, "15")


def test_dates_without_a_time_need_a_rule_and_a_precision_that_say_so(
    spark: SparkSession, tmp_path: Path
) -> None:
    columns = "number long, case string, code string, began date, ended timestamp, known date, "
    columns += "x double, y double, by string, kind string, note string"
    known = datetime(2020, 1, 6, 9)  # noqa: DTZ001  # Spark takes it as UTC
    one = (7, "c", "B1", date(2020, 1, 5), known, date(2020, 1, 6), 100_010.0, 400_010.0)
    rows = spark.createDataFrame([(*one, "c", "new", None)], columns).coalesce(1)
    rows.write.parquet(str(tmp_path / "parts"))
    [part] = (tmp_path / "parts").glob("*.parquet")
    occurred = {"start": "began", "earliest": "2019-01-01"}
    next_day = {"column": "known", "rule": "next_day"}
    for of_day, of_known, remedy in (
        (occurred, next_day, "register.occurred.precision: day"),
        (occurred | {"precision": "day"}, {"column": "known"}, "register.known.rule: next_day"),
    ):
        settings = settings_of(tmp_path, format="parquet", occurred=of_day, known=of_known)
        with pytest.raises(CasError, match=f"dates without a time of day.* Set incidents.{remedy}"):
            delivered(spark, settings, part)


def fine_rows(delivery: Delivery) -> list[tuple[datetime, datetime, datetime]]:
    columns = ("occurred_from_at", "occurred_until_at", "known_at")
    return [
        tuple(r[name].replace(tzinfo=UTC).astimezone(ZONE).replace(tzinfo=None) for name in columns)
        for r in delivery.accepted.orderBy("row_number").collect()
    ]


def local(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2020, month, day, hour, minute)  # noqa: DTZ001  # local time


def test_a_reported_day_beside_a_timed_occurrence_loses_no_row(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Reports of the same day are accepted, and known when the next day begins, clock or not."""
    settings = settings_of(
        tmp_path, known={"column": "known", "formats": ["yyyy-MM-dd"], "rule": "next_day"}
    )
    rows = [
        row(number="1", began="2020-01-05 10:48", ended="", known="2020-01-05"),
        row(number="2", began="2020-03-28 23:59", ended="2020-03-29 05:00", known="2020-03-29"),
        row(number="3", began="2020-01-31 00:00", ended="", known="2020-01-31"),
        row(number="4", began="2020-02-01 00:01", ended="", known="2020-01-31"),
    ]
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(delivery).values()) == [*["accepted"] * 3, "occurred_after_known"]
    assert fine_rows(delivery) == [
        (local(1, 5, 10, 48), local(1, 5, 10, 48), local(1, 6)),
        (local(3, 28, 23, 59), local(3, 29, 5), local(3, 30)),
        (local(1, 31), local(1, 31), local(2, 1)),
    ]


def test_a_day_is_over_where_its_incident_became_known(spark: SparkSession, tmp_path: Path) -> None:
    """An incident of a day, reported on it, lies between the day's start and the report."""
    formats = ["yyyy-MM-dd HH:mm", "yyyy-MM-dd"]
    settings = settings_of(
        tmp_path,
        occurred={"start": "began", "end": "ended", "formats": formats, "earliest": "2019-01-01"},
    )
    rows = [
        row(number="1", began="2020-01-05", ended="", known="2020-01-05 14:00"),
        row(number="2", began="2020-01-05", ended="", known="2020-01-09 14:00"),
        row(number="3", began="2020-01-05 09:00", ended="2020-01-06", known="2020-01-06 07:00"),
        row(number="4", began="2020-01-05 15:00", ended="2020-01-05", known="2020-01-05 14:00"),
        row(number="5", began="2020-01-05", ended="", known="2020-01-05 00:00"),
        row(number="6", began="2020-01-05", ended="2020-01-04", known="2020-01-09 14:00"),
    ]
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(delivery).values()) == [
        *["accepted"] * 3, *["occurred_after_known"] * 2, "interval_backwards"
    ]  # fmt: skip
    assert fine_rows(delivery) == [
        (local(1, 5), local(1, 5, 14), local(1, 5, 14)),
        (local(1, 5), local(1, 6), local(1, 9, 14)),
        (local(1, 5, 9), local(1, 6, 7), local(1, 6, 7)),
    ]


def test_an_assumed_delay_needs_no_column_and_is_not_bounded_by_a_month(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = settings_of(
        tmp_path, known={"rule": "assumed_delay", "delay_days": 7}, correction=None
    )
    rows = [
        row(number="1", began="2020-01-28 10:00", ended="2020-01-28 11:00", known="never"),
        row(number="2", began="soon", ended="", known="never"),
    ]
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(delivery).values()) == ["accepted", "occurred_unreadable"]
    assert fine_rows(delivery) == [(local(1, 28, 10), local(1, 28, 11), local(2, 4, 11))]


def test_only_a_month_is_an_interval_that_counts_in_its_middle(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = settings_of(
        tmp_path,
        occurred={"start": "began", "formats": ["yyyy-MM"], "earliest": "2019-01-01"}
        | {"precision": "month"},
        known=of_months("next_month"),
    )
    path = write(tmp_path / "extract.csv", [row(began="2020-02", known="2020-02")])
    delivery = delivered(spark, settings, path)
    assert fine_rows(delivery) == [(local(2, 1), local(3, 1), local(3, 1))]
    [counts] = delivery.accepted.select(F.unix_micros(counts_at()).alias("at")).collect()
    assert counts["at"] == _epoch_micros(local(2, 15, 12).replace(tzinfo=ZONE))


def test_times_of_their_own_column_are_read_for_both_ends_of_an_interval(
    spark: SparkSession, tmp_path: Path
) -> None:
    """As New York has them: a date and a time of the start, and of an end that may be missing."""
    formats = {"date_formats": ["MM/dd/yyyy"], "time_formats": ["HH:mm:ss"]}
    settings = settings_of(
        tmp_path,
        key=["number"],
        occurred={
            "start": {"date": "began", "time": "case", **formats},
            "end": {"date": "ended", "time": "note", **formats},
            "earliest": "2019-01-01",
        },
        case=None,
        exclude=[],
        known={"column": "known", "formats": ["MM/dd/yyyy"], "rule": "next_day"},
    )
    known = "01/06/2020"
    cases = [
        ("01/05/2020", "13:13:00", "", ""),
        ("01/05/2020", "13:13:00", "01/06/2020", "02:00:00"),
        ("01/05/2020", "13:13:00", "01/06/2020", ""),
        ("01/05/2020", "", "", ""),
        ("01/05/2020", "13:13:00", "", "02:00:00"),
    ]
    rows = [
        row(number=str(i), began=b, case=bt, ended=e, note=et, known=known)
        for i, (b, bt, e, et) in enumerate(cases)
    ]
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(delivery).values()) == [*["accepted"] * 4, "occurred_unreadable"]
    began, next_day = local(1, 5, 13, 13), local(1, 7)
    assert fine_rows(delivery) == [
        (began, began, next_day),
        (began, local(1, 6, 2), next_day),
        (began, next_day, next_day),
        (local(1, 5), local(1, 6), next_day),
    ]
    [rejected] = delivery.rejected.collect()
    assert rejected["found"] == "01/05/2020 13:13:00 to 02:00:00"
