"""A correction takes an incident back from when it is known, and from no earlier poll."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.reports.revisions import (
    count_revisions,
    pending_report,
    pending_revisions,
    revisions_report,
)
from cas_spark.settings import load_settings
from tests.toy import POLL, incidents_of_toy, run_quietly, write_extract, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.slow]
AT_POLL = datetime.combine(POLL, datetime.min.time())
STEPS = ("ingest", "grid", "snapshots", "train", "forecast")
AFFECTED = ("cells", "snapshots", "models", "forecasts")


def write_toy_with_corrections(folder: Path, known: datetime, every: int = 5) -> Path:
    """The toy, and an extract that takes back every so many incidents of the weeks till the poll.

    A correction bears the number of its incident; one bears a number that nobody knows.
    """
    path = write_toy(folder)
    taken = [
        row | {"type": "undo", "known": known.strftime("%Y-%m-%d %H:%M:%S")}
        for row in list(incidents_of_toy(1))[::every]
        if row["kind"] != "Z9" and row["known"] < AT_POLL.strftime("%Y-%m-%d")
    ]
    write_extract(folder / "incidents_3.csv", [*taken, taken[0] | {"number": "nobody's"}])
    return path


def digests(lake: Lake) -> dict[str, str]:
    manifest = lake.last_manifest
    assert manifest is not None
    return {name: manifest.digests[name] for name in AFFECTED}


def test_a_correction_after_the_poll_changes_no_byte_of_its_forecast_and_one_before_does(
    spark: SparkSession, tmp_path: Path, demo_lake: Path
) -> None:
    untouched = digests(Lake(spark, load_settings(demo_lake).lake))
    found = {}
    moments = {"after": AT_POLL + timedelta(hours=1), "before": AT_POLL - timedelta(days=40)}
    for name, known in moments.items():
        settings = load_settings(write_toy_with_corrections(tmp_path / name, known))
        for step in STEPS:
            run_quietly(spark, step, settings, POLL)
        found[name] = Lake(spark, settings.lake)
    assert digests(found["after"]) == untouched
    assert digests(found["before"])["forecasts"] != untouched["forecasts"]

    lake, settings = found["after"], load_settings(tmp_path / "after" / "toy.yaml")
    [counts] = count_revisions(lake, settings, 2024).to_dict("records")
    ended = lake.read(tables.INCIDENTS).where("superseded_at IS NOT NULL").count()
    assert ended == counts["linked"] > 100
    assert (counts["pending"], counts["rejected"]) == (1, 0)
    assert counts["received"] == counts["linked"] + 1
    [table] = revisions_report(count_revisions(lake, settings), settings).tables
    assert table.rows[-1][4:8] == [f"{counts['received']:,}", f"{ended:,}", "1", "0"]
    assert count_revisions(lake, settings, 2023).empty

    [waiting] = pending_revisions(lake).to_dict("records")
    assert (waiting["source"], waiting["extract"]) == ("register", "incidents_3.csv")
    assert waiting["row_number"] == counts["received"]
    [table] = pending_report(pending_revisions(lake), settings).tables
    assert len(table.rows) == 1


def test_extracts_in_two_deliveries_say_the_same_as_in_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    known = AT_POLL - timedelta(days=40)
    whole = load_settings(write_toy_with_corrections(tmp_path / "whole", known, every=20))
    path = write_toy_with_corrections(tmp_path / "parts", known, every=20)
    settings, late = load_settings(path), path.parent / "incidents_1.csv"
    # What is taken back comes after what takes it back: the corrections wait.
    content = late.read_bytes()
    late.unlink()
    run_quietly(spark, "ingest", settings, None)
    waiting = Lake(spark, settings.lake).read(tables.REVISIONS).where("status = 'pending'").count()
    late.write_bytes(content)
    for each in (whole, settings):
        run_quietly(spark, "ingest", each, None)
    lakes = [Lake(spark, each.lake) for each in (whole, settings)]
    assert lakes[1].read(tables.REVISIONS).where("status = 'pending'").count() == 1 < waiting
    manifests = [lake.last_manifest for lake in lakes]
    assert manifests[0] is not None
    assert manifests[1] is not None
    for name in ("incidents", "revisions", "outcomes"):
        assert manifests[0].digests[name] == manifests[1].digests[name]
