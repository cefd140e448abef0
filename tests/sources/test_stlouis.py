"""All ten extracts of St. Louis, beside a program that knows neither Spark nor the settings."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import Transformer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.knowledge.revisions import decided
from cas_spark.lake.tables import SUSPECTS
from cas_spark.settings import load_settings
from cas_spark.settings.effects import Effects
from cas_spark.sources.coordinates import Land
from cas_spark.sources.files import list_files, sha256_of
from cas_spark.sources.incidents import Delivery, deliver
from cas_spark.sources.reading import read_rows
from tests.sources.deliveries import KEY, no_ids

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "stlouis"
YEARS = range(2008, 2018)
CHICAGO = ZoneInfo("America/Chicago")
PRIORITIES = {"3": "robbery", "4": "aggravated_assault", "5": "burglary", "7": "vehicle_theft"}

CONTENT = (
    *("case_id", "coded_month", "date_occurred", "crime_code", "count"),
    *("x_coord", "y_coord", "flag_unfounded"),
)

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"no {DATA}: the open data are not in the project"
    ),
    pytest.mark.slow,
]


@dataclass(frozen=True)
class Judged:
    """What a row becomes: `accepted`, `revision` or a reason, and what it says."""

    outcome: str
    content: tuple[str, ...]
    priority: str | None
    cell_id: int | None
    occurred: datetime
    coded_from: datetime
    coded_until: datetime


@pytest.fixture(scope="module")
def land() -> set[int]:
    """Cells that share more than a border with a district."""
    city = gpd.read_file(DATA / "teams.gpkg").geometry.union_all()
    shapely.prepare(city)
    left, bottom, right, top = (int(bound // 125) for bound in city.bounds)
    columns, rows = np.meshgrid(np.arange(left, right + 1), np.arange(bottom, top + 1))
    squares = shapely.box(columns * 125, rows * 125, columns * 125 + 125, rows * 125 + 125)
    is_land = shapely.area(shapely.intersection(squares, city)) > 0
    ids = (rows[is_land] + 500_000) * 1_000_000 + columns[is_land] + 500_000
    return set(ids.tolist())


def judge(path: Path, land: set[int]) -> Iterator[Judged]:
    """The rows of an extract, in their order."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    feet = np.array([(float(row["x_coord"]), float(row["y_coord"])) for row in rows])
    x, y = Transformer.from_crs("ESRI:102696", "EPSG:26915", always_xy=True).transform(*feet.T)
    cells = (np.floor(y / 125) + 500_000) * 1_000_000 + np.floor(x / 125) + 500_000
    for row, (feet_x, feet_y), cell in zip(rows, feet, cells, strict=True):
        occurred = datetime.strptime(row["date_occurred"], "%m/%d/%Y %H:%M").replace(tzinfo=CHICAGO)
        coded = datetime.strptime(row["coded_month"], "%Y-%m").replace(tzinfo=CHICAGO)
        until = (coded + timedelta(days=32)).replace(day=1)
        code = row["crime_code"]
        priority = PRIORITIES.get(code[0])
        if code[0] == "6":
            priority = "vehicle_larceny" if code[1] in "45" else "other_larceny"
        faults = {
            "revision": row["count"] == "-1",
            "other_code": priority is None,
            "occurred_too_early": occurred.year < 2007,
            "occurred_after_known": occurred > until,
            "coordinates_missing": feet_x == 0 or feet_y == 0,
            "outside_teams": cell not in land,
        }
        yield Judged(
            outcome=next((reason for reason, fails in faults.items() if fails), "accepted"),
            content=tuple(row[name] for name in CONTENT),
            priority=priority,
            cell_id=int(cell) if cell in land else None,
            occurred=occurred.astimezone(UTC),
            coded_from=coded.astimezone(UTC),
            coded_until=until.astimezone(UTC),
        )


def without_repeats(rows: list[Judged], earlier: Counter[tuple[str, ...]]) -> Counter[str]:
    """How many rows become what, where rows of earlier extracts are duplicates."""
    now: Counter[tuple[str, ...]] = Counter()
    outcomes: Counter[str] = Counter()
    for row in rows:
        if row.outcome not in {"accepted", "revision"}:
            outcomes[row.outcome] += 1
            continue
        now[row.content] += 1
        is_repeated = now[row.content] <= earlier[row.content]
        outcomes["duplicate" if is_repeated else row.outcome] += 1
    earlier.update(now)
    return outcomes


def without_repeated_rows(rows: list[Judged], earlier: Counter[tuple[str, ...]]) -> list[Judged]:
    """The accepted rows and the corrections that no earlier extract held."""
    now: Counter[tuple[str, ...]] = Counter()
    kept = []
    for row in rows:
        if row.outcome in {"accepted", "revision"}:
            now[row.content] += 1
            if now[row.content] > earlier[row.content]:
                kept.append(row)
    return kept


def what_becomes_of_corrections(rows: list[Judged]) -> Counter[tuple[int, str, str]]:
    """(year, status, reason) -> corrections, worked through month after month.

    Corrections of one month that fit the same records are alike, so their order changes no count.
    """
    by_code: dict[str, list[Judged]] = {}
    waiting: list[Judged] = []
    found: Counter[tuple[int, str, str]] = Counter()
    for month in sorted({row.coded_until for row in rows}):
        new = [row for row in rows if row.coded_until == month]
        for row in new:
            if row.outcome == "accepted":
                by_code.setdefault(row.content[3], []).append(row)
        asked = waiting + [row for row in new if row.outcome == "revision"]
        waiting = []
        for row in asked:
            year = row.coded_until.astimezone(CHICAGO).year
            if row.priority is None:
                found[year, "rejected", "other_code"] += 1
                continue
            case, place = row.content[0], (row.occurred, row.cell_id)
            same = by_code.get(row.content[3], [])
            fits = [other for other in same if case and other.content[0] == case]
            if len(fits) != 1 and row.cell_id is not None:
                there = [
                    other
                    for other in same
                    if (other.occurred, other.cell_id) == place
                    and (not case or other.content[0] in {"", case})
                ]
                fits = there or fits
            if not fits:
                waiting.append(row)
            elif len(fits) > 1:
                found[year, "rejected", "ambiguous"] += 1
            else:
                found[year, "linked", ""] += 1
                same.remove(fits[0])
    for row in waiting:
        found[row.coded_until.astimezone(CHICAGO).year, "pending", ""] += 1
    return found


def delivered(
    spark: SparkSession,
    conf: str,
    year: int,
    land: set[int],
    earlier: tuple[DataFrame, DataFrame] | None = None,
) -> Delivery:
    settings = load_settings(ROOT / "conf" / conf)
    [source] = settings.incidents
    [path] = [path for path in list_files(spark, source) if f"_{year}." in path]
    cells = spark.createDataFrame([(cell_id,) for cell_id in land], "cell_id long")
    return deliver(
        read_rows(spark, source, path),
        source,
        settings,
        KEY,
        sha256_of(spark, path),
        path.rsplit("/", 1)[-1],
        Land.of(cells),
        *(earlier or no_ids(spark)),
    )


def test_all_ten_extracts_add_up_as_an_independent_count_has_it(
    spark: SparkSession, tmp_path: Path, land: set[int]
) -> None:
    seen: Counter[tuple[str, ...]] = Counter()
    ids = {name: str(tmp_path / name) for name in ("incident_id", "revision_id")}
    earlier = no_ids(spark)
    kept: list[Judged] = []
    for year in YEARS:
        before = Counter(seen)
        delivery = delivered(spark, "stlouis.yaml", year, land, earlier)
        rejected = delivery.rejected.groupBy("reason").count().collect()
        rows = list(judge(DATA / f"incidents_{year}.csv.gz", land))
        outcomes = without_repeats(rows, seen)
        assert dict(delivery.counts) == {
            "read": len(rows),
            "accepted": outcomes["accepted"],
            "revisions": outcomes["revision"],
            "rejected": len(rows) - outcomes["accepted"] - outcomes["revision"],
        }
        assert {row["reason"]: row["count"] for row in rejected} == {
            reason: n for reason, n in outcomes.items() if reason not in {"accepted", "revision"}
        }
        kept += without_repeated_rows(rows, before)
        delivery.accepted.write.mode("append").parquet(ids["incident_id"])
        delivery.revisions.write.mode("append").parquet(ids["revision_id"])
        incidents, revisions = (spark.read.parquet(path) for path in ids.values())
        earlier = (incidents.select("incident_id"), revisions.select("revision_id"))
    assert sum(seen.values()) == earlier[0].count() + earlier[1].count()

    nobody = spark.createDataFrame([], SUSPECTS.schema)
    incidents, revisions = (spark.read.parquet(path) for path in ids.values())
    decisions = decided(revisions, incidents, nobody, Effects().of_kinds(), 1)
    of_year = F.year(F.from_utc_timestamp("known_at", "America/Chicago"))
    counts = decisions.groupBy(of_year, "status", F.coalesce("reason", F.lit(""))).count().collect()
    assert {tuple(row[:3]): row[3] for row in counts} == what_becomes_of_corrections(kept)


@pytest.mark.parametrize("conf", ["stlouis.yaml", "stlouis-weekly.yaml"])
def test_every_incident_is_known_when_its_rule_says(
    spark: SparkSession, land: set[int], conf: str
) -> None:
    delivery = delivered(spark, conf, 2013, land)
    columns = ("row_number", "priority", "cell_id")
    instants = (F.unix_micros(name) for name in ("occurred_from_at", "known_at"))
    found = {tuple(row) for row in delivery.accepted.select(*columns, *instants).collect()}
    expected = set()
    for number, row in enumerate(judge(DATA / "incidents_2013.csv.gz", land), start=1):
        known = row.coded_until
        if conf == "stlouis-weekly.yaml":
            last = row.coded_until - timedelta(microseconds=1)
            known = max(row.coded_from, min(row.occurred + timedelta(days=7), last))
        if row.outcome == "accepted" and row.occurred <= known:
            micros = (micros_of(row.occurred), micros_of(known))
            expected.add((number, row.priority, row.cell_id, *micros))
    assert found == expected


def micros_of(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
