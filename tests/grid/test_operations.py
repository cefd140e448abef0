"""One operation of PROJ places a source: which, how exact, where it reaches, and that it stays."""

import logging
import math
from functools import cache
from typing import Any

import numpy as np
import pyproj
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from pyproj.transformer import AreaOfInterest, TransformerGroup

from cas_spark.errors import CasError
from cas_spark.grid import operations as module
from cas_spark.grid.operations import Operations, choose, labels_of
from cas_spark.grid.projection import Bounds, Near, Operation, agree, area_of, near_land

SEOUL = Bounds(200_000, 550_000, 203_000, 553_000)
CHICAGO = Bounds(447_000, 4_635_000, 450_000, 4_638_000)
NEW_ZEALAND = Bounds(1_405_875, 4_917_250, 2_439_125, 5_920_750)  # with the Chatham Islands
PARIS = Bounds(640_000, 6_850_000, 660_000, 6_870_000)
KOREA_1985 = "+proj=tmerc +lat_0=38 +lon_0=127 +k=1 +x_0=200000 +y_0=500000 +ellps=bessel"
TO_WGS84 = " +towgs84=-115.80,474.99,674.11,1.16,-2.31,-1.63,6.43"


@cache
def chosen(source: str, target: str, land: Bounds, named: str | None = None) -> Operation:
    return choose("incidents.register", CRS(source), CRS(target), land, named)


def moved(operation: Operation, x: float, y: float) -> tuple[float, float]:
    there_x, there_y = operation.moved(np.array([x]), np.array([y]))
    return float(there_x[0]), float(there_y[0])


def test_a_change_of_datum_is_made() -> None:
    operation = chosen("EPSG:2097", "EPSG:5186", SEOUL)
    assert operation.accuracy_m == 1
    assert moved(operation, 200_747.74, 450_506.79) == pytest.approx((200_562, 550_812), abs=0.01)


def test_datums_that_lack_a_grid_between_them_are_tied_through_wgs84() -> None:
    operation = chosen("EPSG:26716", "EPSG:26916", CHICAGO)
    assert operation.accuracy_m == 14
    assert operation.is_reported
    assert moved(operation, 447_561.929114, 4_635_597.075943) == pytest.approx(
        (447_562, 4_635_812), abs=0.01
    )


@pytest.mark.parametrize(
    ("source", "target", "land", "accuracy_m"),
    [
        ("EPSG:27572", "EPSG:2154", PARIS, 3),  # metres from the meridian of Paris
        ("EPSG:4807", "EPSG:2154", PARIS, 3),  # in grads
        ("EPSG:4326", "EPSG:2193", NEW_ZEALAND, 1),
        ("ESRI:102696", "EPSG:26915", Bounds(733_250, 4_268_500, 745_500, 4_295_625), 0),
    ],
)
def test_an_operation_has_the_accuracy_that_its_authority_states(
    source: str, target: str, land: Bounds, accuracy_m: float
) -> None:
    operation = chosen(source, target, land)
    assert operation.accuracy_m == accuracy_m
    assert not operation.is_reported


@pytest.mark.parametrize("ellipsoid", [KOREA_1985, KOREA_1985.replace("bessel", "intl")])
def test_a_change_to_an_unknown_datum_is_refused(ellipsoid: str) -> None:
    with pytest.raises(CasError, match="no operation of known accuracy") as refused:
        chosen(ellipsoid, "EPSG:5186", SEOUL)
    assert "name the operation" in str(refused.value)


def test_what_is_known_and_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFUSED_ABOVE_M", 13.0)
    with pytest.raises(CasError, match=r"within 14 m; known but not installed: .*\.tif\)"):
        chosen.__wrapped__("EPSG:26716", "EPSG:26916", CHICAGO)


def test_a_crs_that_brings_its_own_parameters_names_its_operation() -> None:
    operation = chosen(KOREA_1985 + TO_WGS84, "EPSG:5186", SEOUL)
    assert operation.accuracy_m is None
    assert operation.is_reported
    stated = chosen("EPSG:2097", "EPSG:5186", SEOUL)
    assert moved(operation, 201_000, 451_000) == pytest.approx(moved(stated, 201_000, 451_000), 1)


def test_the_settings_may_name_the_operation() -> None:
    by_code = chosen("EPSG:26716", "EPSG:26916", CHICAGO, "EPSG:1174")
    assert by_code.accuracy_m == 15
    assert moved(by_code, 447_561.929, 4_635_597.076) == pytest.approx(
        (447_561.06, 4_635_814.93), abs=0.01
    )
    text = (
        "+proj=pipeline +step +inv +proj=utm +zone=16 +ellps=clrk66 "
        "+step +proj=utm +zone=16 +ellps=GRS80"
    )
    by_text = chosen("EPSG:26716", "EPSG:26916", CHICAGO, text)
    assert by_text.accuracy_m is None
    unknown = chosen(
        KOREA_1985,
        "EPSG:5186",
        SEOUL,
        "+proj=pipeline +step +inv " + KOREA_1985 + " +step +proj=tmerc +lat_0=38 +lon_0=127 "
        "+k=1 +x_0=200000 +y_0=600000 +ellps=GRS80",
    )
    assert math.isfinite(moved(unknown, 201_000, 451_000)[0])


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("EPSG:9999", "expected one of EPSG:1172, EPSG:1173, .*Name one of these"),
        ("+proj=utm +zone=16 +ellps=GRS80", "expected the middle of the land .* within 1,000 m"),
    ],
)
def test_a_named_operation_that_does_not_lead_to_the_grid_is_refused(
    named: str, message: str
) -> None:
    with pytest.raises(CasError, match=message):
        chosen("EPSG:26716", "EPSG:26916", CHICAGO, named)


def test_swapped_axes_in_a_named_operation_are_refused() -> None:
    text = (
        "+proj=pipeline +step +proj=axisswap +order=2,1 +step +proj=unitconvert +xy_in=deg "
        "+xy_out=rad +step +proj=utm +zone=16 +ellps=GRS80"
    )
    with pytest.raises(CasError, match="longitude before latitude"):
        chosen("EPSG:4326", "EPSG:26916", CHICAGO, text)
    chosen("EPSG:4326", "EPSG:26916", CHICAGO, text.replace("+step +proj=axisswap +order=2,1 ", ""))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("EPSG:4326", "OGC:CRS84", True),  # latitude first, longitude first
        ("EPSG:7415", "EPSG:28992", True),  # with heights, and without
        ("EPSG:26716", "EPSG:26916", False),
    ],
)
def test_a_crs_is_the_same_in_any_order_of_axes(one: str, other: str, is_same: bool) -> None:  # noqa: FBT001  # a case
    assert agree(CRS(one), CRS(other)) is is_same
    assert (Operations({}, other, "v1").of("grid.teams", CRS(one), CHICAGO) is None) is is_same


def test_an_operation_is_chosen_once_and_kept() -> None:
    pinned: dict[str, Any] = {}
    first = Operations(pinned, "EPSG:26916", "v1")
    assert first.of("incidents.a", CRS("EPSG:26716"), CHICAGO) is not None
    assert pinned["incidents.a"]["accuracy_m"] == 14
    assert pinned["incidents.a"]["proj"] == pyproj.proj_version_str
    # Another PROJ would choose another pipeline: the recorded one holds.
    pinned["incidents.a"]["pipeline"] = "proj=noop"
    again = Operations(pinned, "EPSG:26916", "v1").of("incidents.a", CRS("EPSG:26716"), CHICAGO)
    assert again is not None
    assert again.pipeline == "proj=noop"
    for version, crs, named in (
        ("v2", "EPSG:26716", None),
        ("v1", "EPSG:4326", None),
        ("v1", "EPSG:26716", "EPSG:1174"),
    ):
        copy = {"incidents.a": dict(pinned["incidents.a"])}
        other = Operations(copy, "EPSG:26916", version).of("incidents.a", CRS(crs), CHICAGO, named)
        assert other is not None
        assert other.pipeline != "proj=noop"
        assert copy["incidents.a"]["pipeline"] == other.pipeline


def test_what_is_not_exact_is_logged_once_and_labelled(caplog: pytest.LogCaptureFixture) -> None:
    pinned: dict[str, Any] = {}
    operations = Operations(pinned, "EPSG:26916", "v1")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            operations.of("incidents.old", CRS("EPSG:26716"), CHICAGO)
            operations.of("incidents.new", CRS("EPSG:4326"), CHICAGO)
    [label] = labels_of(pinned)
    assert label.startswith(
        "Places of incidents.old may lie 14 m from the true ones: moved from EPSG:26716 to "
    )
    assert caplog.messages == [label]


def test_the_area_of_a_land_reaches_across_the_antimeridian() -> None:
    area = area_of(NEW_ZEALAND, CRS("EPSG:2193"))
    assert area is not None
    assert area.west_lon_degree == pytest.approx(170.5, abs=0.1)
    assert area.east_lon_degree == pytest.approx(-176.3, abs=0.1)


NEW_ZEALAND_ALONE = Transformer.from_crs("EPSG:4326", "EPSG:2193", always_xy=True)
NEAR_CASES = {
    "EPSG:4326": (NEW_ZEALAND, "EPSG:2193"),
    "EPSG:3857": (Bounds(10_000, 300_000, 280_000, 620_000), "EPSG:28992"),
    "EPSG:4807": (PARIS, "EPSG:2154"),
    "EPSG:26716": (CHICAGO, "EPSG:26916"),
}


@cache
def near_of(source: str) -> Near:
    land, target = NEAR_CASES[source]
    return near_land(chosen(source, target, land), CRS(source), land)


@pytest.mark.parametrize("source", NEAR_CASES)
@given(across=st.floats(0, 1), up=st.floats(0, 1), turns=st.integers(-1, 1))
def test_every_place_of_the_land_is_near_it(
    source: str, across: float, up: float, turns: int
) -> None:
    land, target = NEAR_CASES[source]
    operation = chosen(source, target, land)
    near = near_of(source)
    x = land.left + across * (land.right - land.left)
    y = land.bottom + up * (land.top - land.bottom)
    back_x, back_y = operation.moved_back(np.array([x]), np.array([y]))
    if near.turn is not None and abs(back_x[0] + turns * near.turn) <= 2 * near.turn:
        back_x = back_x + turns * near.turn
    assert near.holds(back_x, back_y).all()
    assert moved(operation, back_x[0], back_y[0]) == pytest.approx((x, y), abs=0.01)


def test_what_is_far_from_the_land_or_no_number_is_not_near() -> None:
    operation = chosen("EPSG:4326", "EPSG:2193", NEW_ZEALAND)
    near = near_land(operation, CRS("EPSG:4326"), NEW_ZEALAND)
    x = np.array(
        [174.8, -176.5, 183.5, 0.0, 10.0, 174.8, np.nan, 174.8, np.inf, 1e300, 174.8 + 3600]
    )
    y = np.array([-36.8, -44.0, -44.0, 0.0, -40.0, 36.8, -36.8, np.nan, -36.8, -36.8, -36.8])
    assert near.holds(x, y).tolist() == [True] * 3 + [False] * 8


@given(x=st.floats(170.5, 183.5), y=st.floats(-46.0, -36.5))
def test_places_move_as_pyproj_moves_each_alone(x: float, y: float) -> None:
    operation = chosen("EPSG:4326", "EPSG:2193", NEW_ZEALAND)
    alone = NEW_ZEALAND_ALONE.transform(x, y)
    assert moved(operation, x, y) == pytest.approx(alone, abs=1e-6)


@cache
def best_of_proj(source: str) -> Transformer:
    area = AreaOfInterest(126.9, 37.4, 127.1, 37.6)
    return TransformerGroup(
        source, "EPSG:5186", always_xy=True, area_of_interest=area, allow_ballpark=False
    ).transformers[0]


@pytest.mark.parametrize("source", ["EPSG:2097", "EPSG:4162"])
@given(across=st.floats(0, 1), up=st.floats(0, 1))
def test_a_recorded_pipeline_is_the_operation_itself(source: str, across: float, up: float) -> None:
    operation = chosen(source, "EPSG:5186", SEOUL)
    x, y = operation.moved_back(
        np.array([SEOUL.left + across * 3_000]), np.array([SEOUL.bottom + up * 3_000])
    )
    assume(np.isfinite(x).all())
    expected = best_of_proj(source).transform(float(x[0]), float(y[0]))
    assert moved(operation, float(x[0]), float(y[0])) == pytest.approx(expected, abs=1e-6)
