"""With suspects switched on nothing else changes, and no person is found in what a run leaves."""

import hashlib
import hmac
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.settings import load_settings
from tests.toy import (
    BOTTOM,
    CELL,
    COLUMNS,
    FORMAT,
    KEY,
    LEFT,
    POLL,
    ROWS,
    run_quietly,
    write_settings,
    write_toy,
)

pytestmark = [pytest.mark.spark, pytest.mark.slow]

VARIABLE = "CAS_TOY_KEY"
PERSONS = [f"person-{number:04d}" for number in range(70)]
AT_POLL = datetime.combine(POLL, datetime.min.time())
UNTOUCHED = ("incidents", "outcomes", "revisions", "cells", "cell_context")


def with_suspects(folder: Path) -> dict[str, Any]:
    return {
        "suspects": {
            "known": {
                "files": str(folder / "suspects_*.csv"),
                "format": "csv",
                "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
                "complete_from": "2020-01-01",
                "person": "person",
                "incident": {"source": "register", "key": ["number"]},
                "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm:ss"]},
                "location": {"x": "x", "y": "y", "crs": "EPSG:28992"},
                "priority": {
                    "column": "kind",
                    "codes": {"burglary": ["B*"], "robbery": ["R*"]},
                },
            }
        },
    }


def write_links(path: Path, number: int, first: datetime, last: datetime, seed: int) -> None:
    """Links of the toy's persons, most of whom have one home; some rows are not to be used."""
    random = np.random.default_rng(seed)
    homes = random.integers(0, (2 * COLUMNS - 1, ROWS), (len(PERSONS), 2))
    lines = ["person,number,kind,known,x,y"]
    for i in range(number):
        person = int(random.integers(len(PERSONS)))
        column, row = homes[person] if random.random() < 0.8 else homes[-1 - person]
        known = first + timedelta(hours=int(random.integers((last - first) // timedelta(hours=1))))
        x, y = LEFT + column * CELL + 31, BOTTOM + row * CELL + 17
        kind = "B1" if random.random() < 0.7 else "R1"
        place = "," if i % 40 == 0 else f"{x},{y}"
        fields = (PERSONS[person], f"{kind}-{i}", kind, known.strftime(FORMAT), place)
        lines.append(",".join(fields))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week of the toy country with suspects; the tests below go on with it in their order."""
    folder = tmp_path_factory.mktemp("suspects")
    path = write_toy(folder, **with_suspects(folder))
    write_links(folder / "suspects_1.csv", 240, AT_POLL - timedelta(weeks=150), AT_POLL, seed=3)
    run_quietly(spark, "weekly", load_settings(path), POLL)
    return folder


def lake_of(spark: SparkSession, path: Path) -> Lake:
    return Lake(spark, load_settings(path).lake)


def digests(lake: Lake) -> dict[str, str]:
    assert lake.last_manifest is not None
    return dict(lake.last_manifest.digests)


def snapshots_in(lake: Lake) -> DataFrame:
    assert lake.last_manifest is not None
    return lake.read_version("snapshots", lake.last_manifest.versions_out["snapshots"])


def pseudonym(person: str) -> str:
    return hmac.new(KEY.encode(), f"known:{person}".encode(), hashlib.sha256).hexdigest()[:32]


def test_switching_suspects_on_adds_columns_and_changes_nothing_else(
    spark: SparkSession, folder: Path, demo_lake: Path
) -> None:
    on, off = lake_of(spark, folder / "toy.yaml"), lake_of(spark, demo_lake)
    assert "suspects" not in digests(off)
    assert [digests(on)[name] for name in UNTOUCHED] == [digests(off)[name] for name in UNTOUCHED]
    with_them, without = snapshots_in(on), snapshots_in(off)
    added = [name for name in with_them.columns if name not in without.columns]
    kinds = ("suspect_nearest_m", "suspects_within_500m", "suspects_within_1000m")
    assert added == [f"{of}_{kind}" for of in ("burglary", "robbery") for kind in kinds]
    same = with_them.select(without.columns)
    assert same.exceptAll(without).isEmpty()
    assert without.exceptAll(same).isEmpty()
    assert with_them.where("burglary_suspects_within_500m > 1").count() > 100
    models = on.read(tables.MODELS).where("status = 'fitted'").collect()
    for model in models:
        seen = {pair["indicator"] for pair in model["coefficients"]}
        of_suspects = {name for name in seen if "_suspect" in name}
        assert of_suspects
        assert all(name.startswith(model["priority"]) for name in of_suspects)


def test_every_row_is_a_version_of_a_link_or_rejected(spark: SparkSession, folder: Path) -> None:
    lake = lake_of(spark, folder / "toy.yaml")
    [dataset] = lake.read(tables.DATASETS).where("source = 'known'").collect()
    rejected = lake.read(tables.REJECTED_ROWS).where("source = 'known'").collect()
    links = lake.read(tables.SUSPECTS)
    assert dataset["rows_read"] == 240 == links.count() + len(rejected)
    assert {row["reason"] for row in rejected} >= {"coordinates_missing"}
    assert {row["found"] for row in rejected} == {None}
    incidents = lake.read(tables.INCIDENTS)
    assert links.join(incidents, "incident_id", "left_semi").count() > 150
    persons = {row["suspect_key"] for row in links.select("suspect_key").distinct().collect()}
    assert persons <= {pseudonym(person) for person in PERSONS}


def texts_in(file: Path) -> bytes:
    """The bytes of a file; of Parquet, which compresses them, the values."""
    if file.suffix == ".parquet":
        return str(pq.ParquetFile(file).read().to_pydict()).encode()
    return file.read_bytes()


def test_no_person_and_no_key_is_found_in_any_file_of_the_lake(folder: Path) -> None:
    raw = [person.encode() for person in PERSONS]
    pseudonyms = [pseudonym(person).encode() for person in PERSONS]
    files = [file for file in (folder / "lake").rglob("*") if file.is_file()]
    rooms = {file.relative_to(folder / "lake").parts[0] for file in files}
    assert {"snapshots", "forecasts", "maps", "mlflow", "suspects", "runs"} <= rooms
    found_pseudonyms = set()
    for file in files:
        content, room = texts_in(file), file.relative_to(folder / "lake").parts[0]
        assert not [text for text in [*raw, KEY.encode()] if text in content], file
        if any(text in content for text in pseudonyms):
            found_pseudonyms.add(room)
    assert found_pseudonyms == {"suspects"}  # so the search finds what is there


def test_links_known_after_the_poll_change_no_byte_of_its_forecast(
    spark: SparkSession, folder: Path
) -> None:
    before = digests(lake_of(spark, folder / "toy.yaml"))
    # The instant of the poll itself is not before it.
    write_links(folder / "suspects_2.csv", 120, AT_POLL, AT_POLL + timedelta(weeks=2), seed=4)
    settings = load_settings(folder / "toy.yaml")
    for step in ("ingest", "snapshots", "train", "forecast"):
        run_quietly(spark, step, settings, POLL)
    after = digests(lake_of(spark, folder / "toy.yaml"))
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"suspects", "datasets", "rejected_rows"}
    assert "suspects" in changed
    run_quietly(spark, "snapshots", settings, POLL + timedelta(weeks=1))
    assert digests(lake_of(spark, folder / "toy.yaml"))["snapshots"] != before["snapshots"]


def with_decisions(folder: Path) -> dict[str, Any]:
    decisions = {
        "files": str(folder / "decisions_*.csv"),
        "format": "csv",
        "provenance": {"source": "toy", "purpose": "tests", "legal_basis": "none needed"},
        "complete_from": "2020-01-01",
        "incident": {"source": "register", "key": ["number"]},
        "suspect": {"source": "known", "person": "person"},
        "kinds": {"column": "said", "values": {k: [k] for k in ("dismissed", "acquitted")}},
        "known": {"column": "known", "formats": ["yyyy-MM-dd HH:mm:ss"]},
    }
    return with_suspects(folder) | {"revisions": {"decisions": decisions}}


def test_the_end_of_a_link_never_changes_the_incident(spark: SparkSession, folder: Path) -> None:
    before, slices = digests(lake_of(spark, folder / "toy.yaml")), tables.SNAPSHOT_SLICES
    lines = (folder / "suspects_1.csv").read_text(encoding="utf-8").splitlines()[1:]
    known = (AT_POLL - timedelta(weeks=1)).strftime(FORMAT)
    said = [
        (line.split(","), "dismissed" if i % 2 else "acquitted") for i, line in enumerate(lines)
    ]
    rows = [f"{fields[0]},{fields[1]},{kind},{known}" for fields, kind in said[::5]]
    rows.append(f"nobody-1,{said[0][0][1]},dismissed,{known}")
    text = "\n".join(["person,number,said,known", *rows]) + "\n"
    (folder / "decisions_1.csv").write_text(text, encoding="utf-8")
    settings = load_settings(write_settings(folder, **with_decisions(folder)))
    for step in ("ingest", "grid", "snapshots"):
        run_quietly(spark, step, settings, POLL)
    lake = lake_of(spark, folder / "toy.yaml")
    after = digests(lake)
    untouched = ("incidents", "outcomes", "cells")
    assert [after[name] for name in untouched] == [before[name] for name in untouched]
    revisions = lake.read(tables.REVISIONS)
    statuses = {row["status"] for row in revisions.where("kind IS NOT NULL").collect()}
    assert statuses == {"linked", "pending"}
    assert {row["about"] for row in revisions.collect()} == {"suspect"}
    purged = lake.read(tables.SUSPECTS).where("purged_at IS NOT NULL")
    assert (
        purged.select("link_id").distinct().count() == revisions.where("status = 'linked'").count()
    )
    # What may be learned from is what it would be had the links never been delivered.
    kept = purged.select("link_id").distinct().count()
    assert 20 < kept < len(rows)
    assert after[slices.name] != before[slices.name]
    for person in PERSONS:
        assert person not in str(revisions.collect())


def test_another_key_is_refused_before_anything_is_read(
    spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY[::-1])
    another = {"pseudonym_key": {"environment": VARIABLE}}
    settings = load_settings(write_settings(folder, **with_suspects(folder), **another))
    with pytest.raises(CasError, match="another than that with which"):
        run_quietly(spark, "ingest", settings, None)


def test_switched_off_again_snapshots_are_what_they_always_were(
    spark: SparkSession, folder: Path, demo_lake: Path
) -> None:
    settings = load_settings(write_settings(folder))
    run_quietly(spark, "snapshots", settings, POLL)
    found = digests(lake_of(spark, folder / "toy.yaml"))
    assert found["snapshots"] == digests(lake_of(spark, demo_lake))["snapshots"]


def test_without_the_key_nothing_is_read(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        write_toy(tmp_path, **with_suspects(tmp_path), pseudonym_key={"environment": VARIABLE})
    )
    (tmp_path / "incidents_1.csv").write_text("no extract at all")
    monkeypatch.setenv(VARIABLE, "too short")
    with pytest.raises(CasError, match=f"{VARIABLE}: found 9 bytes"):
        run_quietly(spark, "ingest", settings, None)
    assert Lake(spark, settings.lake).last_manifest is None
