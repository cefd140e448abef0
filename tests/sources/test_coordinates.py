"""Places of any CRS fall in their cells, and an extract in the wrong one is refused."""

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError
from pyproj import CRS, Transformer
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.cells import CELL_SIZE_M
from cas_spark.grid.operations import Operations
from cas_spark.settings import settings as module
from cas_spark.settings.location import Location
from cas_spark.sources.coordinates import Land, check_crs_agrees, point_of_text
from tests.sources.deliveries import (
    LEFT,
    delivered,
    land_of,
    reasons_of,
    row,
    settings_of,
    write,
)

STATE_PLANE = "ESRI:102696"
UTM = "EPSG:26915"
ST_LOUIS = (740_000.0, 4_273_000.0)


def feet_of(*places: tuple[float, float]) -> list[tuple[float, float]]:
    """Places of UTM zone 15 in the feet of Missouri's State Plane."""
    back = Transformer.from_crs(UTM, STATE_PLANE, always_xy=True)
    return [back.transform(x, y) for x, y in places]


@pytest.mark.spark
@pytest.mark.parametrize(
    "crs", [STATE_PLANE, CRS.from_user_input(STATE_PLANE).to_wkt(), "EPSG:4326"]
)
def test_places_of_any_crs_fall_in_their_cells(
    spark: SparkSession, tmp_path: Path, crs: str
) -> None:
    x, y = ST_LOUIS
    land = land_of(spark, x, y)
    left, bottom = x // 125 * 125, y // 125 * 125
    inside = [(left + 60 + 125 * i, bottom + 60 + 125 * j) for i in range(4) for j in range(4)]
    back = Transformer.from_crs(UTM, crs, always_xy=True)
    strays = [("nan", "1"), ("1e12", "1e12"), ("-1e308", "1e308"), ("1", "1"), ("abc", "2")]
    good = [tuple(f"{v:.9f}" for v in back.transform(*place)) for place in inside]
    swapped = [(y, x) for x, y in good[:1]]
    rows = [row(x=px, y=py) for px, py in [*good, *strays, *swapped]]
    settings = settings_of(tmp_path, crs=UTM, key=[], location={"x": "x", "y": "y", "crs": crs})
    delivery = delivered(spark, settings, write(tmp_path / "extract.csv", rows), land=land)
    assert [r["cell_id"] for r in delivery.accepted.orderBy("row_number").collect()] == [
        (int((py) // 125) + 500_000) * 1_000_000 + int(px // 125) + 500_000 for px, py in inside
    ]
    assert Counter(r["reason"] for r in delivery.rejected.collect()) == {
        "coordinates_missing": 2,
        "outside_teams": 4,
    }


@pytest.mark.spark
def test_an_extract_in_another_crs_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    x, y = ST_LOUIS
    places = feet_of(*[(x + i, y + 125 * i) for i in range(6)])
    rows = [row(x=f"{px:.2f}", y=f"{py:.2f}") for px, py in places]
    rows.append(row(x="0"))
    path = write(tmp_path / "extract.csv", rows)
    metres = "EPSG:6512"  # the same State Plane, in metres
    settings = settings_of(tmp_path, crs=UTM, key=[], location={"x": "x", "y": "y", "crs": metres})
    with pytest.raises(CasError) as refused:
        delivered(spark, settings, path, land=land_of(spark, x, y))
    message = str(refused.value)
    assert "places of the extract extract.csv: found 6 of 6 outside the teams; row 1" in message
    assert f"x {places[0][0]:,.1f}, y {places[0][1]:,.1f} in EPSG:6512 lies at x " in message
    assert "Mend incidents.register.location: the CRS is wrong" in message


@pytest.mark.spark
@pytest.mark.parametrize(("outside", "is_refused"), [(3, False), (4, True)])
def test_an_extract_is_refused_when_more_than_half_lies_outside(
    spark: SparkSession,
    tmp_path: Path,
    outside: int,
    is_refused: bool,  # noqa: FBT001  # a case
) -> None:
    rows = [row(number=f"in {i}") for i in range(3)]
    rows += [row(number=f"out {i}", x="90000") for i in range(outside)]
    rows += [row(number=f"undo {i}", x="90000", kind="undo") for i in range(9)]
    rows += [row(number=f"zero {i}", x="0") for i in range(9)]
    path = write(tmp_path / "extract.csv", rows)
    if is_refused:
        with pytest.raises(CasError, match="4 of 7 outside"):
            delivered(spark, settings_of(tmp_path), path)
    else:
        assert delivered(spark, settings_of(tmp_path), path).counts["accepted"] == 3


@pytest.mark.spark
def test_places_on_both_sides_of_the_antimeridian_fall_in_their_cells(
    spark: SparkSession, tmp_path: Path
) -> None:
    grid = "EPSG:2193"
    move = Transformer.from_crs("EPSG:4326", grid, always_xy=True)
    auckland, chatham = (174.7633, -36.8485), (-176.56, -43.95)
    lands = [land_of(spark, *move.transform(*place)).ids for place in (auckland, chatham)]
    land = Land.of(lands[0].union(lands[1]).withColumnRenamed("land_cell_id", "cell_id"))
    rows = [row(number=f"{x}", x=f"{x}", y=f"{y}") for x, y in (auckland, chatham)]
    rows.append(row(number="beyond 180", x=f"{chatham[0] + 360}", y=f"{chatham[1]}"))
    rows.append(row(number="other side", x=f"{-chatham[0]}", y=f"{chatham[1]}"))
    location = {"x": "x", "y": "y", "crs": "EPSG:4326"}
    settings = settings_of(tmp_path, crs=grid, location=location)
    found = delivered(spark, settings, write(tmp_path / "extract.csv", rows), land=land)
    assert list(reasons_of(found).values()) == ["accepted"] * 3 + ["outside_teams"]
    cells = [r["cell_id"] for r in found.accepted.orderBy("row_number").collect()]
    there = [move.transform(*place) for place in (auckland, chatham, chatham)]
    assert cells == [
        (int(y // 125) + 500_000) * 1_000_000 + int(x // 125) + 500_000 for x, y in there
    ]


@pytest.mark.spark
def test_the_recorded_operation_places_a_source_again(spark: SparkSession, tmp_path: Path) -> None:
    x, y = ST_LOUIS
    [place] = feet_of((x + 60, y + 60))
    settings = settings_of(tmp_path, crs=UTM, location={"x": "x", "y": "y", "crs": STATE_PLANE})
    path = write(tmp_path / "extract.csv", [row(x=str(place[0]), y=str(place[1]))])
    pinned: dict[str, dict[str, object]] = {}
    ids = land_of(spark, x, y).ids.withColumnRenamed("land_cell_id", "cell_id")
    land = Land.of(ids, Operations(pinned, UTM, "v1"))
    [first] = delivered(spark, settings, path, land=land).accepted.collect()
    # As if an earlier PROJ had moved every place one cell further east.
    pinned["incidents.register"]["pipeline"] = str(
        pinned["incidents.register"]["pipeline"]
    ).replace("step proj=utm", "step proj=tmerc lat_0=0 lon_0=-93 k=0.9996 x_0=500125 y_0=0")
    [again] = delivered(spark, settings, path, land=land).accepted.collect()
    assert again["cell_id"] == first["cell_id"] + 1


@pytest.mark.spark
def test_a_place_that_the_settings_exclude_is_rejected_by_name(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        row(number="at the station", x=f"{LEFT + 10.50}"),
        row(number="beside it", x=f"{LEFT + 10.51}"),
        row(number="far", x="1"),
    ]
    settings = settings_of(tmp_path, exclude_points=[[LEFT + 10.5, 400_010], [1, 2]])
    found = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(found).values()) == ["excluded_point", "accepted", "outside_teams"]
    [excluded] = found.rejected.where("reason = 'excluded_point'").collect()
    assert excluded["found"] == "100010.5, 400010"


TEXTS = {
    # text: (x, y) without an order, and as latitude before longitude
    "POINT (-87.63 41.88)": (("-87.63", "41.88"), ("41.88", "-87.63")),
    "point(-87.63  41.88)": (("-87.63", "41.88"), ("41.88", "-87.63")),
    "SRID=4326;POINT(-87.63 41.88)": (("-87.63", "41.88"), ("41.88", "-87.63")),
    "POINT Z (-87.63 41.88 7)": (("-87.63", "41.88"), ("41.88", "-87.63")),
    "POINT (-8.763e1 .5)": (("-8.763e1", ".5"), (".5", "-8.763e1")),
    "(41.88, -87.63)": (None, ("-87.63", "41.88")),
    "41.88,-87.63": (None, ("-87.63", "41.88")),
    "233 S Wacker Dr\nChicago, IL 60606\n(41.88, -87.63)": (None, ("-87.63", "41.88")),
    "SRID=28992;POINT(-87.63 41.88)": (None, None),
    "POINT EMPTY": (None, None),
    "POINT (41.88)": (None, None),
    "LINESTRING (1 2, 3 4)": (None, None),
    "Chicago": (None, None),
}


@pytest.mark.spark
def test_a_point_as_text_is_read_in_the_order_that_the_settings_say(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(text,) for text in TEXTS], "text string")
    location = {"text": "place", "crs": "EPSG:4326"}
    plain, swapped, comma = (
        point_of_text(F.col("text"), Location.model_validate({**location, **more}), decimal)
        for more, decimal in (({}, "."), ({"order": "lat_lon"}, "."), ({"order": "lat_lon"}, ","))
    )
    rows = frame.select("text", F.array(*plain).alias("plain"), F.array(*swapped).alias("swapped"))
    for found in rows.collect():
        for part, expected in zip(("plain", "swapped"), TEXTS[found["text"]], strict=True):
            # What cannot be read is shown as it is, and has no y.
            assert tuple(found[part]) == (expected or (found["text"], None)), found
    commas = spark.createDataFrame(
        [("(41,88; -87,63)",), ("41,88 -87,63",), ("POINT (41,88 -87,63)",)], "text string"
    )
    assert commas.select(*comma).distinct().collect() == [("-87,63", "41,88")]


@pytest.mark.spark
def test_points_as_text_fall_in_their_cells(spark: SparkSession, tmp_path: Path) -> None:
    rows = [row(number=str(i), note=f"POINT ({LEFT + 10 + 125 * i} 400010)") for i in range(2)]
    rows.append(row(number="none", note="POINT EMPTY"))
    settings = settings_of(tmp_path, location={"text": "note", "crs": "EPSG:28992"}, exclude=[])
    found = delivered(spark, settings, write(tmp_path / "extract.csv", rows))
    assert list(reasons_of(found).values()) == ["accepted", "accepted", "coordinates_missing"]
    assert [r["found"] for r in found.rejected.collect()] == ["POINT EMPTY"]


@pytest.mark.parametrize(
    "location",
    [
        {},
        {"x": "x"},
        {"x": "x", "y": "y", "text": "place"},
        {"text": "place", "geometry": "geom"},
        {"x": "x", "y": "y", "order": "lat_lon"},
        {"x": "x", "y": "y", "operation": "EPSG:4326"},
    ],
)
def test_a_location_is_written_in_one_way(location: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Location.model_validate({"crs": "EPSG:4326", **location})


@pytest.mark.parametrize(
    ("of_file", "of_settings", "agrees"),
    [
        ("EPSG:26716", "EPSG:26916", False),
        ("EPSG:28992", "EPSG:4326", False),
        ("EPSG:4326", "OGC:CRS84", True),
        (CRS("EPSG:26916").to_wkt(), "EPSG:26916", True),
        (None, "EPSG:26916", True),
    ],
)
def test_the_crs_of_a_file_must_be_that_of_the_settings(
    of_file: str | None,
    of_settings: str,
    agrees: bool,  # noqa: FBT001  # a case
) -> None:
    if agrees:
        check_crs_agrees(of_file, of_settings, "layer crimes of crimes.gpkg")
        return
    with pytest.raises(CasError, match=f"layer crimes .* geometry in {of_file} .* {of_settings} "):
        check_crs_agrees(of_file, of_settings, "layer crimes of crimes.gpkg")


@pytest.mark.parametrize(("precision_m", "is_said"), [(0, False), (125, False), (126, True)])
def test_places_coarser_than_a_cell_are_said_and_too_coarse_ones_refused(
    tmp_path: Path,
    precision_m: float,
    is_said: bool,  # noqa: FBT001  # a case
) -> None:
    labels = settings_of(tmp_path, location_precision_m=precision_m).labels
    assert any(label.startswith("Coarse places: those of register") for label in labels) is is_said
    with pytest.raises(CasError, match="location_precision_m"):
        settings_of(tmp_path, location_precision_m=501)
    assert module.CELL_SIZE_M == CELL_SIZE_M
