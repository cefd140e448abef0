"""Places of any CRS fall in their cells, and an extract in the wrong one is refused."""

from collections import Counter
from pathlib import Path

import pytest
from pyproj import CRS, Transformer
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from tests.sources.deliveries import (
    delivered,
    land_of,
    row,
    settings_of,
    write,
)

pytestmark = pytest.mark.spark
STATE_PLANE = "ESRI:102696"
UTM = "EPSG:26915"
ST_LOUIS = (740_000.0, 4_273_000.0)


def feet_of(*places: tuple[float, float]) -> list[tuple[float, float]]:
    """Places of UTM zone 15 in the feet of Missouri's State Plane."""
    back = Transformer.from_crs(UTM, STATE_PLANE, always_xy=True)
    return [back.transform(x, y) for x, y in places]


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
