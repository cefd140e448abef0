"""A lake of an older schema version, and a table whose columns change, keep what they hold."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DoubleType,
    StringType,
    StructField,
    StructType,
)

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_table
from cas_spark.lake.lake import Lake
from cas_spark.lake.migrations import migrated, models_before_codes
from cas_spark.lake.opening import open_run, read_published
from cas_spark.lake.table import Column, Table

pytestmark = pytest.mark.spark
POLL = date(2024, 1, 8)


def partitions_of(spark: SparkSession, lake: Lake, table: Table) -> list[str]:
    [detail] = DeltaTable.forPath(spark, lake.path(table.name)).detail().collect()
    return list(detail["partitionColumns"])


def lake_of_version(
    version: int,
    table: Table,
    row: tuple[Any, ...],
    spark: SparkSession,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Lake:
    """A lake of an older schema version with a table of one row."""
    lake = Lake(spark, str(folder))
    with monkeypatch.context() as earlier:
        earlier.setattr(tables, "SCHEMA_VERSION", version)
        run = open_run(lake, "test", POLL, "{}", "0")
        run.replace(table, spark.createDataFrame([row], table.schema))
        run.publish()
    return lake


def older_forecasts(pair: Mapping[str, DataType], *left_out: str) -> Table:
    """Forecasts whose contributions were pairs, without these columns."""
    kind = ArrayType(StructType([StructField(name, of) for name, of in pair.items()]))
    return replace(
        tables.FORECASTS,
        columns=tuple(
            replace(c, type=kind) if c.name == "contributions" else c
            for c in tables.FORECASTS.columns
            if c.name not in ("reasons", "raised_by", *left_out)
        ),
    )


def test_forecasts_of_version_1_are_kept_without_what_they_did_not_tell(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = older_forecasts({"indicator": StringType(), "contribution": DoubleType()}, "stability")
    said = [("intercept", -1.5), ("burglary_count_4w", 0.5)]
    row = (POLL, "A", "burglary", "current", 1, POLL, -1.0, 0.25, 1, True, "high", said, 1)
    lake = lake_of_version(1, older, row, spark, tmp_path, monkeypatch)
    second = open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0")
    another: tuple[Any, ...] = (
        POLL,
        "B",
        *row[2:11],
        0.5,
        [-1.0],
        [("any_ever", 1.0, 0.5, 0.5)],
        [],
        2,
    )
    frame = spark.createDataFrame([another], tables.FORECASTS.schema)
    second.replace(tables.FORECASTS, frame, where="team_id = 'B'")
    second.publish()
    found = {r["team_id"]: r for r in Lake(spark, str(tmp_path)).read(tables.FORECASTS).collect()}
    assert found["A"]["contributions"] == [-1.5, 0.5]
    assert found["A"]["reasons"] == []
    assert found["A"]["logit"] == -1.0
    assert [found["A"]["stability"], found["B"]["stability"]] == [None, 0.5]
    assert found["B"]["reasons"][0]["value"] == 1.0
    assert partitions_of(spark, lake, tables.FORECASTS) == ["poll_on"]


def test_forecasts_of_version_5_keep_their_contributions_and_the_three_largest_reasons(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = dict.fromkeys(("value", "contribution", "above_mean"), DoubleType())
    older = older_forecasts({"indicator": StringType(), **numbers})
    said = [
        ("intercept", 1.0, -4.0, 0.0),
        ("a", 2.0, 0.25, 0.125),
        ("b", 3.0, 0.5, -0.5),
        ("d", 4.0, 0.5, 0.5),
        ("c", 5.0, 0.75, 0.5),
        ("e", 6.0, 1.0, 0.75),
    ]
    row = (POLL, "A", "burglary", "current", 1, POLL, -1.0, 0.25, 1, True, "high", 0.5, said, 1)
    lake_of_version(5, older, row, spark, tmp_path, monkeypatch)
    open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0").publish()
    [found] = Lake(spark, str(tmp_path)).read(tables.FORECASTS).collect()
    assert found["contributions"] == [-4.0, 0.25, 0.5, 0.5, 0.75, 1.0]
    assert [tuple(pair) for pair in found["reasons"]] == [said[5], said[4], said[3]]
    assert found["raised_by"] is None


def test_a_table_of_files_starts_empty_with_other_columns_and_keeps_its_partitions(
    spark: SparkSession, tmp_path: Path
) -> None:
    before = tables.snapshots([("burglary_count_4w", "a number")])
    after = tables.snapshots([("burglary_count_4w", "a number"), ("any_ever", "a flag")])
    lake = Lake(spark, str(tmp_path))
    run = open_run(lake, "test", POLL, "{}", "0")
    assert not run.prepare_files(before)
    assert run.prepare_files(before)
    assert not run.prepare_files(after)
    assert run.read(after).columns == [column.name for column in after.columns]
    assert partitions_of(spark, lake, after) == ["team_id"]


def test_a_table_that_is_replaced_whole_may_have_other_columns_than_before(
    spark: SparkSession, tmp_path: Path
) -> None:
    before, after = tables.cell_context(["stations"]), tables.cell_context([], [("people", "n")])
    run = open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0")
    first = ("v1", 1, POLL, 1.0, 2.0, 3.0)
    run.replace(before, spark.createDataFrame([first], before.schema))
    second = ("v2", 1, POLL, 1.0, 4.0)
    run.replace(after, spark.createDataFrame([second], after.schema))
    assert [tuple(row) for row in run.read(after).collect()] == [second]
    run.publish()
    assert [tuple(row) for row in Lake(spark, str(tmp_path)).read(after).collect()] == [second]


def test_a_reader_sees_the_published_version_while_a_run_goes_on(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(spark, str(tmp_path))
    run = open_run(lake, "test", POLL, "{}", "0")
    schema = tables.SNAPSHOT_SLICES.schema
    one = ("A", POLL, "b", 1, "s", "f", "0")
    run.replace(tables.SNAPSHOT_SLICES, spark.createDataFrame([one], schema))
    run.publish()
    going_on = open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0")
    other = ("B", POLL, "b", 1, "s", "f", "0")
    going_on.replace(tables.SNAPSHOT_SLICES, spark.createDataFrame([other], schema))
    reader = read_published(Lake(spark, str(tmp_path)), POLL)
    assert [r["team_id"] for r in reader.read(tables.SNAPSHOT_SLICES).collect()] == ["A"]


def test_slices_of_version_6_are_kept_with_their_digest_and_files_that_nobody_checked(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = without(tables.SNAPSHOT_SLICES, "file_sha256")
    row = ("A", POLL, "b", 1, "s", "f")
    lake_of_version(6, older, row, spark, tmp_path, monkeypatch)
    before = Lake(spark, str(tmp_path)).last_manifest
    open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0").publish()
    lake = Lake(spark, str(tmp_path))
    [found] = lake.read(tables.SNAPSHOT_SLICES).collect()
    assert tuple(found) == (*row, None)
    assert before is not None
    assert lake.last_manifest is not None
    assert lake.last_manifest.digests == before.digests


MOMENT = datetime(2024, 1, 1, tzinfo=UTC)


def without(table: Table, *names: str, **changes: Any) -> Table:
    """A table as it was before it had these columns."""
    kept = tuple(column for column in table.columns if column.name not in names)
    return replace(table, columns=kept, **changes)


def test_incidents_of_version_3_get_one_version_and_the_checks_of_now(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = {"superseded_after_known": "superseded_at IS NULL OR superseded_at > known_at"}
    keys = ("incident_id", "known_at")
    older = without(tables.INCIDENTS, "version", "purged_at", keys=keys, checks=strict)
    said = ("burglary", "51", 7, None, None, "a", "d", 1, 1)
    later = MOMENT + timedelta(days=1)
    row = ("a:1", MOMENT, later, MOMENT, MOMENT, *said)
    lake_of_version(3, older, row, spark, tmp_path, monkeypatch)
    second = open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0")
    [found] = second.read(tables.INCIDENTS).collect()
    assert (found["version"], found["superseded_at"], found["purged_at"]) == (1, None, None)
    ended, early = MOMENT, MOMENT - timedelta(days=1)
    fine, wrong = (
        spark.createDataFrame(
            [("a:1", 1, MOMENT, at, None, MOMENT, MOMENT, *said)], tables.INCIDENTS.schema
        )
        for at in (ended, early)
    )
    second.replace(tables.INCIDENTS, fine)
    with pytest.raises(CasError, match="superseded_once_known"):
        second.replace(tables.INCIDENTS, wrong)


OLDER_REVISION = (
    Column("revision_id", tables.REVISIONS.columns[0].type, ""),
    *(
        column
        for column in tables.REVISIONS.columns
        if column.name in ("source", "dataset_sha256", "row_number", "known_at", "case_key", "code")
        or column.name in ("priority", "occurred_from_at", "cell_id", "status", "kind", "reason")
        or column.name in ("effective_at", "run_number")
    ),
    Column("incident_id", tables.REVISIONS.columns[0].type, "", is_nullable=True),
    Column("linked_incident_id", tables.REVISIONS.columns[0].type, "", is_nullable=True),
)


def test_revisions_of_version_4_are_decided_anew(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = replace(tables.REVISIONS, columns=OLDER_REVISION, checks={})
    told = {
        "revision_id": "a:r",
        "source": "a",
        "dataset_sha256": "d",
        "row_number": 1,
        "known_at": MOMENT,
        "code": "51",
        "priority": "burglary",
        "status": "linked",
        "kind": "withdrawn",
        "effective_at": MOMENT,
        "run_number": 1,
        "incident_id": "a:1",
        "linked_incident_id": "a:1",
    }
    row = tuple(told.get(column.name) for column in older.columns)
    lake_of_version(4, older, row, spark, tmp_path, monkeypatch)
    second = open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0")
    [found] = second.read(tables.REVISIONS).collect()
    assert (found["about"], found["about_source"], found["named_id"]) == ("incident", "a", "a:1")
    assert (found["status"], found["kind"], found["linked_id"]) == ("pending", None, None)
    second.publish()


def test_extracts_of_version_6_do_not_tell_by_which_settings_they_were_read(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = ("source_sha256", "delivered_on")
    columns = tuple(c for c in tables.DATASETS.columns if c.name not in new)
    older = replace(tables.DATASETS, columns=columns)
    told = ("register", "f00d", "x.csv", 3, 1, 1, 1, POLL, MOMENT, MOMENT, False)
    row = (*told, "who", "what for", "why", 1)
    lake_of_version(6, older, row, spark, tmp_path, monkeypatch)
    before = Lake(spark, str(tmp_path)).last_manifest
    run = open_run(Lake(spark, str(tmp_path)), "test", POLL, "{}", "0")
    [found] = run.read(tables.DATASETS).collect()
    assert [found[name] for name in new] == [None, None]
    assert before is not None
    # Else no run of before could be rebuilt.
    assert run.publish().digests == before.digests


TOO_FEW = "3 cell-weeks with an incident, 10 needed"
DIVERGED = "did not converge: after 9 passes over all rows its gradient's norm is 1e-1, above 1e-7"


@pytest.mark.parametrize(
    ("status", "words", "codes"),
    [
        ("fitted", None, (None, None, None)),
        (
            "pooled",
            f"{TOO_FEW}; the model of region Noord; Oost stands in",
            ("too_few_positives", "Noord; Oost", None),
        ),
        (
            "pooled",
            f"{TOO_FEW}; the model of the whole country stands in",
            ("too_few_positives", "", None),
        ),
        (
            "failed",
            f"{TOO_FEW}; nor does region Noord have a model: every cell-week has an incident",
            ("too_few_positives", "Noord", "all_positive"),
        ),
        (
            "failed",
            f"{TOO_FEW}; nor does the whole country have a model: {TOO_FEW}",
            ("too_few_positives", "", "too_few_positives"),
        ),
        ("failed", "every cell-week has an incident", ("all_positive", None, None)),
        ("failed", DIVERGED, ("not_converged", None, None)),
        ("failed", "the coefficients are not finite", ("not_converged", None, None)),
        ("failed", "snapshots of team B: found 2 files", ("error", None, None)),
    ],
)
def test_models_of_version_7_give_their_reason_by_a_code_and_keep_the_words_and_the_digest(
    spark: SparkSession,
    status: str,
    words: str | None,
    codes: tuple[str | None, ...],
) -> None:
    older = without(tables.MODELS, "pool", "pool_reason", "detail", checks={})
    is_failed = status == "failed"
    row = {
        "poll_on": POLL,
        "team_id": "A",
        "priority": "burglary",
        "horizon": "current",
        "status": status,
        "reason": words,
        "intercept": None if is_failed else -2.5,
        "coefficients": [] if is_failed else [("burglary_count_4w", 0.5)],
        "dropped": [],
        "first_poll_on": POLL,
        "last_poll_on": POLL,
        "rows": 100,
        "positives": 3,
        "engine": "grouped",
        "run_number": 1,
    }
    before = spark.createDataFrame([tuple(row.get(c.name) for c in older.columns)], older.schema)
    now = migrated("models", before, 7)
    assert now is not None
    [found] = now.collect()
    assert now.columns == [column.name for column in tables.MODELS.columns]
    assert (found["reason"], found["pool"], found["pool_reason"]) == codes
    assert found["detail"] == words
    assert (
        now.where(
            " AND ".join(f"coalesce({c}, true)" for c in tables.MODELS.checks.values())
        ).count()
        == 1
    )
    assert digest_of_table(*models_before_codes(now)) == digest_of_table(before, older)
