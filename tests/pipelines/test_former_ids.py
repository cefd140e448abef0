"""A lake of unkeyed ids gets keyed ones, and no byte of the former ids or of a password is left."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.knowledge.as_taken_in import as_decided, as_delivered
from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_table
from cas_spark.lake.lake import Lake
from cas_spark.lake.needles import needles_of
from cas_spark.lake.opening import open_run
from cas_spark.lake.run import Run
from cas_spark.lake.scanning import files_below, scan_files
from cas_spark.lake.unpacking import contents
from cas_spark.pipelines import former_ids
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.poll_digests import POLL_DIGESTS
from cas_spark.pipelines.steps.ingest import ingest
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.settings import Tracking
from cas_spark.sources import decisions, incidents, suspect_links
from cas_spark.sources.keyed_ids import keyed_id
from tests.pipelines.test_retain import rows_of_toy, with_orders, write_orders
from tests.toy import KEY, run_quietly, write_extract, write_settings, write_teams

pytestmark = [pytest.mark.spark, pytest.mark.slow]

PASSWORD, ANOTHER = "Tr0ub4dor-and-more", "S0mething-more"
OF_IDS = {
    "incidents": ("incident_id", "case_key"),
    "suspects": ("link_id", "incident_id", "case_key"),
    "revisions": ("revision_id", "named_id", "linked_id", "case_key"),
    "rejected_rows": ("found",),
}
DECLARED = {table.name: table for table in tables.STATIC_TABLES}


def lake_of_before(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ingest as version 6 did: ids without a key, settings with their passwords."""
    with monkeypatch.context() as before:
        before.setattr(tables, "SCHEMA_VERSION", 6)
        for module in (incidents, suspect_links, decisions):
            before.setattr(module, "with_keyed_ids", lambda rows, _columns, _key: rows)
        lake = Lake(spark, settings.lake)
        recorded = json.dumps(settings.model_dump(mode="json"))
        run = open_run(lake, "weekly", None, recorded, settings.sha256())
        ingest(Job(run, settings, None, silently))
        erased = spark.createDataFrame([(sha256("register:gone"), 1, 1)], tables.ERASURES.schema)
        run.replace(tables.ERASURES, erased)
        run.facts[POLL_DIGESTS] = {}  # as of a whole week, so that it can be rebuilt
        if not settings.suspects:
            del run.facts["pseudonym_check"]
        run.publish()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ids_in(lake: Lake) -> dict[tuple[str, str], list[str | None]]:
    """Table and column -> its ids, by extract and row."""
    return {
        (name, column): [
            row[0]
            for row in lake.read(DECLARED[name])
            .orderBy("source", "dataset_sha256", "row_number", *DECLARED[name].keys)
            .select(column)
            .collect()
        ]
        for name, columns in OF_IDS.items()
        for column in columns
    }


def values_of(lake: Lake, name: str) -> list[str]:
    """The rows of a table but for ids, where they come from, and who wrote them."""
    rows = lake.read(DECLARED[name])
    told = [c for c in rows.columns if c not in (*OF_IDS[name], "run_number", "former_order")]
    return sorted(str(row) for row in rows.select(*told).collect())


def killed(step: Callable[..., Any], at_call: int) -> Callable[..., Any]:
    calls = []

    def until_killed(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at_call:
            raise KeyboardInterrupt
        return step(*arguments, **named)

    return until_killed


def files_with(lake: Lake, former: set[str]) -> tuple[tuple[str, int], ...]:
    scan = scan_files(files_below(lake.root), needles_of(former))
    assert scan.unreadable == ()
    return scan.found


def texts_of(lake: Lake, folder: str, text: str) -> list[str]:
    """Files of the lake, or of a folder of it, that hold a text, also where they are compressed."""
    found = []
    for file in files_below(f"{lake.root}/{folder}"):
        with Path(file).open("rb") as stream:
            if any(text.encode() in piece for piece in contents(stream, file)):
                found.append(file)
    return found


def test_former_ids_and_passwords_are_replaced_everywhere_wherever_it_breaks_off(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_teams(tmp_path / "teams.gpkg")
    write_extract(tmp_path / "incidents_1.csv", rows_of_toy())
    write_orders(tmp_path, 1)
    uri = f"postgresql://me:{PASSWORD}@host/db?sslpassword={ANOTHER}"
    settings = load_settings(write_settings(tmp_path, **with_orders(tmp_path)))
    # Loading would ask for the driver of the database, which nothing here opens.
    settings = settings.model_copy(update={"tracking": Tracking(uri=uri)})
    lake_of_before(spark, settings, monkeypatch)
    before = Lake(spark, settings.lake)
    former, values = ids_in(before), {name: values_of(before, name) for name in OF_IDS}
    [recorded] = before.manifests
    digits = {id_.rpartition(":")[2] for ids in former.values() for id_ in ids if id_}
    assert len(digits) > 10
    assert PASSWORD in recorded.settings
    assert files_with(before, digits)

    # Before it is published, amid deleting what was, and before `runs` loses its past.
    for owner, step, at_call in (
        (Run, "publish", 1),
        (former_ids, "forget_past", 2),
        (former_ids, "newest_version", 2),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, killed(getattr(owner, step), at_call))
            with pytest.raises(KeyboardInterrupt):
                run_quietly(spark, "ingest", settings, None)
        if step != "newest_version":  # before it, the files of the broken runs were removed
            assert texts_of(before, "runs", PASSWORD), step
    run_quietly(spark, "ingest", settings, None)

    lake = Lake(spark, settings.lake)
    assert ids_in(lake) == {
        place: [keyed_id(id_, KEY.encode()) if id_ else None for id_ in ids]
        for place, ids in former.items()
    }
    assert {name: values_of(lake, name) for name in OF_IDS} == values
    assert files_with(lake, digits) == ()
    [erased] = lake.read(tables.ERASURES).collect()
    gone = keyed_id("register:gone", KEY.encode()).rpartition(":")[2]
    assert erased["id_sha256"] == sha256(gone)
    assert [texts_of(lake, "", text) for text in (PASSWORD, ANOTHER)] == [[], []]
    assert PASSWORD not in str(lake.runs.collect())  # type: ignore[union-attr]

    first, migrating, last = lake.manifests
    assert [m.step for m in (first, migrating, last)] == ["weekly", "migrate", "ingest"]
    assert last.schema_version == 7
    assert first.settings_sha256 == recorded.settings_sha256
    unchanged = ("datasets", "outcomes")
    assert [last.digests[n] for n in unchanged] == [recorded.digests[n] for n in unchanged]
    # What the first run recorded is what a rebuild of it finds.
    facts = {name: lake.read(DECLARED[name]) for name in OF_IDS}
    rebuilt = as_decided(facts, first.number, settings.effects.of_kinds())
    rebuilt["rejected_rows"] = as_delivered(facts["rejected_rows"], "rejected_rows", first.number)
    assert former_ids.UNCOMPARABLE not in first.facts
    for name, rows in rebuilt.items():
        assert first.digests[name] == digest_of_table(rows, DECLARED[name]), name
        assert first.digests[name] != recorded.digests[name], name


def test_what_a_run_recorded_of_facts_that_are_gone_since_is_not_compared(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_teams(tmp_path / "teams.gpkg")
    write_extract(tmp_path / "incidents_1.csv", rows_of_toy())
    settings = load_settings(write_settings(tmp_path))
    lake_of_before(spark, settings, monkeypatch)
    with monkeypatch.context() as before:
        before.setattr(tables, "SCHEMA_VERSION", 6)
        lake = Lake(spark, settings.lake)
        run = open_run(lake, "retain", None, settings.as_json(), settings.sha256())
        run.replace(tables.REJECTED_ROWS, run.read(tables.REJECTED_ROWS).where(F.lit(False)))
        run.publish()
    (tmp_path / "lake.key").unlink()  # no id was made with it, so it may be made
    run_quietly(spark, "ingest", settings, None)
    first = Lake(spark, settings.lake).manifests[0]
    assert first.facts[former_ids.UNCOMPARABLE] == ["rejected_rows"]
    assert (tmp_path / "lake.key").stat().st_mode & 0o777 == 0o600
