"""Check says of the first rows of an extract what ingest would make of them, and writes no lake."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import yaml
from pyspark.sql import SparkSession

from cas_spark.cli import run_cli
from cas_spark.errors import CasError
from cas_spark.pipelines.check.extracts import check_extracts
from cas_spark.pipelines.check.map import (
    check_is_no_lake,
    check_may_write,
    picture_name,
    picture_path,
    write_map,
)
from cas_spark.pipelines.check.places import coarse_share, commonest
from cas_spark.pipelines.check.sample import MEANINGS, OUTCOMES, FileCheck, Places, empty
from cas_spark.pipelines.check.suggestions import suggestions
from cas_spark.pipelines.reports.check import check_report, is_fine
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.location import Location
from tests.sources.deliveries import (
    BOTTOM,
    LEFT,
    delivered,
    reasons_of,
    row,
    settings_of,
    write,
)
from tests.sources.test_decisions import HEADER as DECISIONS_HEADER
from tests.sources.test_decisions import SOURCE as DECISIONS
from tests.sources.test_decisions import row as decision
from tests.sources.test_suspect_links import HEADER as SUSPECTS_HEADER
from tests.sources.test_suspect_links import row as suspect
from tests.sources.test_suspect_links import suspect_settings

HEAP = [row(number=str(n)) for n in range(100, 130)]
ROWS = [
    *HEAP,
    row(number="1", x="100200", y="400300"),
    row(number="2", code="Q9"),
    row(number="3", code="Q9"),
    row(number="4", code="Q1"),
    row(number="5", code="Z1"),
    row(number="6", x="99999"),
    row(number="7", x="100499", y="400499"),
    row(number="100"),
    row(number="9", known="2020-01-01 09:00"),
    row(number="10", kind="undo"),
    row(number="11", note="test"),
    ["too", "few"],
]


def write_town(folder: Path) -> None:
    """One team on the 4 x 4 cells of `land_of`."""
    square = shapely.box(LEFT, BOTTOM, LEFT + 500, BOTTOM + 500)
    frame = gpd.GeoDataFrame({"id": ["a"]}, geometry=[square], crs="EPSG:28992")
    frame.to_file(folder / "teams.gpkg", layer="teams")


@pytest.mark.spark
def test_check_says_what_ingest_does_and_touches_no_lake(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAS_TEST_KEY", "never used")
    write_town(tmp_path)
    first = write(tmp_path / "extract_1.csv", [*ROWS, row(number="never read")])
    second = write(tmp_path / "extract_2.csv", [row(number="1"), row(number="50", code="R12")])
    (tmp_path / "extract_3.csv").write_text(second.read_text().replace(",", ";"))
    write(
        tmp_path / "suspects.csv",
        [suspect(person="P-SECRET-1"), suspect(code="SECRET"), suspect(x="1", number="SECRET-2")],
        SUSPECTS_HEADER,
    )
    with (tmp_path / "decisions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, DECISIONS_HEADER)
        writer.writeheader()
        writer.writerows([decision(), decision(said="never heard of")])
    settings = settings_of_all(tmp_path)
    checks, teams = check_extracts(spark, settings, len(ROWS), silently)

    one, two, three, suspects, decisions = checks
    ingested = reasons_of(delivered(spark, settings, first))
    assert ingested.pop(len(ROWS) + 1) == "accepted"
    assert outcomes_of(one) == ingested
    assert (one.is_whole, two.is_whole) == (False, True)
    assert outcomes_of(two) == {1: "duplicate", 2: "accepted"}
    assert one.counts == {
        "accepted": 32,
        "revision": 1,
        "unknown_code": 3,
        "a_test": 1,
        "duplicate": 1,
        "malformed": 1,
        "occurred_after_known": 1,
        "other_code": 1,
        "outside_teams": 1,
    }
    assert one.examples_of("unknown_code") == ["Q9", "Q1"]
    assert three.refusal is not None
    assert three.read == 0
    assert suspects.counts == {"accepted": 1, "revision": 0, "outside_teams": 1, "unknown_code": 1}
    assert decisions.counts == {"accepted": 0, "revision": 1, "unknown_kind": 1}
    assert decisions.examples_of("unknown_kind") == ["never heard of"]

    report = check_report(checks, settings)
    told = "\n".join([*report.lines, *(c for t in report.tables for r in t.rows for c in r)])
    assert "'Q9' (2), 'Q1' (1)" in told
    assert "add [100010, 400010] to exclude_points" in told
    assert "extract_3.csv: the delimiter looks like ';', and the settings say ','" in told
    assert "SECRET" not in told
    assert "median 0.9" in told
    assert not is_fine(checks)
    assert is_fine([one, two])

    path = picture_path(tmp_path / "maps", one)
    write_map(path, one, teams, settings)
    write_map(path, one, teams, settings)  # replaces its own
    assert path.name == "register-extract_1.csv.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "lake").exists()


def settings_of_all(folder: Path) -> Settings:
    """A source of incidents, one of suspects and one of decisions."""
    suspect_settings(folder)
    path = folder / "settings.yaml"
    content = yaml.safe_load(path.read_text())
    content["incidents"]["register"]["files"] = "extract_*.csv"
    content["revisions"] = [DECISIONS]
    path.write_text(yaml.safe_dump(content))
    return load_settings(path)


def outcomes_of(check: FileCheck) -> dict[int, str]:
    pairs = zip(check.outcomes["row_number"], check.outcomes["outcome"], strict=True)
    return dict(sorted(pairs))


def checked(folder: Path, **changes: Any) -> FileCheck:
    """The check of an extract whose figures a test gives."""
    parts: dict[str, Any] = {
        "source": settings_of(folder).incidents[0],
        "name": "extract.csv",
        "read": 100,
        "is_whole": True,
        "outcomes": empty(OUTCOMES),
        "meanings": empty(MEANINGS),
    }
    return FileCheck(**(parts | changes))


def meanings(occurred: list[datetime], known: list[datetime]) -> pd.DataFrame:
    def micros(moments: list[datetime]) -> list[float]:
        return [moment.replace(tzinfo=UTC).timestamp() * 1e6 for moment in moments]

    return pd.DataFrame(
        {
            "row_number": range(1, len(occurred) + 1),
            "code": "B1",
            "occurred_from": micros(occurred),
            "occurred_until": micros(occurred),
            "known": micros(known),
        }
    )


START = datetime(2024, 1, 1)  # noqa: DTZ001  # local, in the zone of the test
TIMES = [START + timedelta(days=n, minutes=7 * n) for n in range(1, 101)]
DAYS = [START + timedelta(days=n) for n in range(1, 101)]
MONTHS = [datetime(2015 + n // 12, n % 12 + 1, 1) for n in range(100)]  # noqa: DTZ001
HOURS = [START + timedelta(days=n, hours=n % 23 + 1) for n in range(100)]
JANUARIES = [datetime(2020 + n % 4, 1, n % 28 + 1, 9, n % 60) for n in range(100)]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("occurred", "known", "said"),
    [
        (TIMES, TIMES, []),
        (TIMES, DAYS, ["100% of the times in `known` are 00:00:00; if these are dates, use rule"]),
        (DAYS, TIMES, ["100% of the times in `occurred` are 00:00:00"]),
        (MONTHS, TIMES, ["100% of the moments in `occurred` are the first of a month at 00:00"]),
        (HOURS, TIMES, ["100% of the times in `occurred` end in :00:00"]),
        (JANUARIES, TIMES, ["all rows are of month 01 of their years: is the pattern"]),
        (TIMES[:29] * 4, TIMES + TIMES[:16], ["all rows are of 2024-01: is the pattern"]),
        (DAYS[:10], DAYS[:10], []),
    ],
)
def test_moments_suggest_rules(
    tmp_path: Path, occurred: list[datetime], known: list[datetime], said: list[str]
) -> None:
    found = suggestions(checked(tmp_path, meanings=meanings(occurred, known)), "UTC")
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))


@pytest.mark.parametrize(("known", "said"), [(DAYS, "use rule next_day"), (TIMES, "swapped")])
def test_rows_known_before_they_happened_are_explained(
    tmp_path: Path, known: list[datetime], said: str
) -> None:
    outcomes = pd.DataFrame(
        {"row_number": range(100), "outcome": ["occurred_after_known"] * 50 + ["accepted"] * 50}
    ).assign(found=None)
    check = checked(tmp_path, outcomes=outcomes, meanings=meanings(TIMES, known))
    [line] = [line for line in suggestions(check, "UTC") if "before they happened" in line]
    assert line.startswith("50% of the rows")
    assert said in line


def test_a_decimal_comma_is_named(tmp_path: Path) -> None:
    outcomes = pd.DataFrame(
        {"row_number": [1], "outcome": ["coordinates_missing"], "found": ["100,5, 400,25"]}
    )
    [line] = suggestions(checked(tmp_path, outcomes=outcomes), "UTC")
    assert "set `decimal: ','`" in line


def places_at(points: list[tuple[float, float]]) -> Places:
    x, y = np.array(points).T
    return Places(np.arange(len(points)), x, y, x, y)


def test_a_heap_is_told_from_a_street(tmp_path: Path) -> None:
    scattered = [(100_000.5 + n, 400_000.5) for n in range(500)]
    heap = [(100_250.25, 400_250.0)] * 20
    found = commonest(places_at(scattered + heap))
    assert len(found) == 20
    assert (found[0].x, found[0].y, found[0].rows, found[0].is_heap) == (100_250.25, 400_250, 20, 1)
    assert not any(place.is_heap for place in found[1:])
    [line] = suggestions(checked(tmp_path, places=places_at(scattered + heap)), "UTC")
    assert line.startswith("3.8% of the rows (20) lie at x 100250.25, y 400250:")
    # Where every place has as many rows, such as the middles of blocks, none is a heap.
    assert not any(place.is_heap for place in commonest(places_at(heap + scattered[:1] * 20)))
    assert not any(place.is_heap for place in commonest(places_at(scattered[:30] + heap[:9])))


@pytest.mark.parametrize(
    ("crs", "fine", "coarse"),
    [("EPSG:4326", (4.12345, 52.1), (4.123, 52.1)), ("EPSG:28992", (100_010, 4e5), (100_200, 4e5))],
)
def test_coarse_coordinates_are_counted(
    crs: str, fine: tuple[float, float], coarse: tuple[float, float]
) -> None:
    location = Location(x="x", y="y", crs=crs)
    assert coarse_share(places_at([fine, coarse, coarse, fine]), location) == 0.5


def test_the_file_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    check_may_write(path)
    for content in (b"mine", b"\x89PNG\r\n\x1a\n a picture of somebody else"):
        path.write_bytes(content)
        with pytest.raises(CasError, match="did not make"):
            check_may_write(path)
    with pytest.raises(CasError, match="did not make"):
        check_may_write(path / "b.png")
    assert path.read_bytes() == content


def test_a_folder_that_no_file_can_have_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(CasError, match="File name too long.*--to"):
        check_may_write(tmp_path / ("x" * 300) / "a.png")


@pytest.mark.parametrize("folder", ["lake", "lake/maps", "lake/../lake"])
def test_maps_never_lie_in_the_lake(tmp_path: Path, folder: str) -> None:
    with pytest.raises(CasError, match="a place in the lake"):
        check_is_no_lake(tmp_path / folder, settings_of(tmp_path))
    check_is_no_lake(tmp_path / "lake-maps", settings_of(tmp_path))
    by_address = settings_of(tmp_path).model_copy(update={"lake": (tmp_path / "lake").as_uri()})
    with pytest.raises(CasError, match="a place in the lake"):
        check_is_no_lake(tmp_path / folder, by_address)


def test_no_two_files_share_a_map() -> None:
    names = [
        picture_name("s", file) for file in ("a b.csv", "a_b.csv", "a/b.csv", "ä.csv", "ö.csv")
    ]
    assert len(set(names)) == 5
    assert all(name.isascii() and "/" not in name for name in names)


@pytest.mark.parametrize(
    ("text", "said"), [("[" * 20_000, "nested more than"), ("a: 2024-13-45", "line 1, column 4")]
)
def test_settings_that_cannot_be_read_are_an_error_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assert run_cli(["check", "--settings", str(path)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_what_is_still_to_fill_in_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text('name: x\ntitle: "FILL IN: a title"\ncodes: ["FILL IN: codes"]\n')
    assert run_cli(["check", "--settings", str(path)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "2 problems" in told
    assert "title: still to fill in: a title" in told
    assert "codes[1]: still to fill in: codes" in told
