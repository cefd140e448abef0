"""Overlapping polygons are found, however they lie, and the smallest gets the ground."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from cas_spark.errors import CasError
from cas_spark.grid.overlaps import check_no_overlaps, find_overlaps, without_overlaps


def polygons(*shapes: BaseGeometry) -> np.ndarray:
    return np.array(shapes, dtype=object)


CITY = shapely.box(0, 0, 10_000, 10_000)


@pytest.mark.parametrize(
    ("other", "area_m2", "place"),
    [
        (shapely.box(9_900, 0, 12_000, 10_000), 1_000_000, (9_950, 5_000)),  # a strip
        (shapely.box(4_000, 4_000, 5_000, 5_000), 1_000_000, (4_500, 4_500)),  # an enclave
        (CITY, 100_000_000, (5_000, 5_000)),  # the same polygon twice
        (shapely.box(9_500, 9_500, 12_000, 12_000), 250_000, (9_750, 9_750)),  # a corner
    ],
)
def test_an_overlap_is_told_with_place_and_size(
    other: BaseGeometry, area_m2: float, place: tuple[float, float]
) -> None:
    shapes = polygons(CITY, other, shapely.box(20_000, 0, 21_000, 1_000))
    [found] = find_overlaps(shapes)
    assert (found.one, found.other, found.area_m2) == (0, 1, area_m2)
    assert (found.x, found.y) == pytest.approx(place, abs=1)
    with pytest.raises(CasError, match="a and b share .* km2 around x = .*set teams.overlaps"):
        check_no_overlaps([found], ["a", "b", "c"], "teams", "teams.overlaps: smallest")


@pytest.mark.parametrize(
    "other",
    [
        shapely.box(9_999.5, 0, 12_000, 10_000),  # half a metre wide, 10 km long
        shapely.box(9_997, 9_997, 12_000, 12_000),  # 9 m2
        shapely.box(10_000, 0, 12_000, 10_000),  # touches
        shapely.box(10_000, 3_000, 12_000, 4_000),  # touches, with corners of its own
        shapely.Polygon(),
    ],
)
def test_slivers_and_touching_borders_are_no_overlap(other: BaseGeometry) -> None:
    found = find_overlaps(polygons(CITY, other))
    assert sum(overlap.area_m2 for overlap in found) == 0
    check_no_overlaps(found, ["a", "b"], "teams", "teams.overlaps")
    kept = without_overlaps(polygons(CITY, other), found)
    assert [shape.equals_exact(given) for shape, given in zip(kept, (CITY, other), strict=True)]


def test_the_smallest_polygon_gets_the_ground() -> None:
    campus = shapely.box(4_000, 4_000, 6_000, 6_000)
    library = shapely.box(5_500, 5_000, 6_500, 6_000)
    shapes = polygons(CITY, campus, library)
    apart = without_overlaps(shapes, find_overlaps(shapes))
    assert apart[2].equals(library)
    assert apart[1].equals(campus - library)
    assert apart[0].equals(CITY - campus - library)


def test_no_polygons_have_no_overlaps() -> None:
    assert find_overlaps(polygons()) == []


CORNER = st.tuples(*[st.integers(0, 12)] * 4)


@given(st.lists(CORNER, min_size=1, max_size=6))
def test_every_overlap_is_found_and_resolved_as_cell_by_cell(
    corners: list[tuple[int, int, int, int]],
) -> None:
    """Rectangles on a lattice of 100 m; the oracle counts who covers each square."""
    boxes = [(x, y, x + w + 1, y + h + 1) for x, y, w, h in corners]
    shapes = polygons(*(shapely.box(100 * a, 100 * b, 100 * c, 100 * d) for a, b, c, d in boxes))
    found = find_overlaps(shapes)
    covers = np.zeros((len(boxes), 26, 26), dtype=bool)
    for place, (left, bottom, right, top) in enumerate(boxes):
        covers[place, left:right, bottom:top] = True
    expected = {
        (i, j): 10_000 * int((covers[i] & covers[j]).sum())
        for i in range(len(boxes))
        for j in range(i + 1, len(boxes))
        if (covers[i] & covers[j]).any()
    }
    assert {(o.one, o.other): round(o.area_m2) for o in found} == expected
    sizes = [(int(covers[i].sum()), i) for i in range(len(boxes))]
    owner = np.full((26, 26), -1)
    for _, place in sorted(sizes, reverse=True):
        owner[covers[place]] = place
    apart = without_overlaps(shapes, found)
    assert [round(shape.area) for shape in apart] == [
        10_000 * int((owner == place).sum()) for place in range(len(boxes))
    ]
