"""Figures of areas become figures of cells: compared with plain shapely, and rule by rule."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pytest
import shapely
from chispa import assert_df_equality
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from shapely.geometry.base import BaseGeometry

from cas_spark.errors import CasError
from cas_spark.grid.area_statistics import (
    STEPS,
    AreaValues,
    Filled,
    area_values,
    columns_of,
    figures_of,
    fill_gaps,
    interpolated,
    values_of_cells,
)
from cas_spark.grid.cells import cell_ids, cell_polygons
from cas_spark.grid.layers import read_areas
from cas_spark.settings.geography import AreaStatistics

RD = "EPSG:28992"
CELL_M2 = 15_625.0
FIGURES = (("people", "share_out"), ("income", "average"))
NAN = float("nan")
Figures = Mapping[str, Sequence[Any]]


def statistics(path: Path = Path("/nowhere"), **changes: Any) -> AreaStatistics:
    return AreaStatistics.model_validate(
        {
            "name": "area",
            "area": "code",
            "figures": [
                {"name": name, "column": name, "kind": kind, "unit": "-", "meaning": name}
                for name, kind in FIGURES
            ],
            "editions": [{"path": str(path), "layer": "areas", "published_on": "2020-01-01"}],
            "missing": [-99997],
            **changes,
        }
    )


def write(folder: Path, areas: Sequence[BaseGeometry], codes: list[Any], **columns: Any) -> Path:
    file = folder / "areas.gpkg"
    frame = geopandas.GeoDataFrame({"code": codes, **columns}, geometry=list(areas), crs=RD)
    frame.to_file(file, layer="areas")
    return file


def read(spark: SparkSession, source: AreaStatistics) -> DataFrame:
    [edition] = source.editions
    return read_areas(spark, edition, *columns_of(source, edition), RD)


def found_in_cells(spark: SparkSession, source: AreaStatistics) -> DataFrame:
    areas = read(spark, source)
    figures = figures_of(areas, source, source.editions[0])
    columns = {name: name for name, _ in FIGURES}
    return values_of_cells(areas, area_values(areas, figures, source, columns))


def test_numbers_are_shared_out_and_means_weighed_over_the_areas_that_have_a_figure() -> None:
    of_areas = AreaValues(
        area_ids=pa.array(["a", "b", "c"]),
        surface=np.array([2.0, 0.5, 4.0]),
        figures={
            "people": (True, np.array([100.0, 40.0, NAN])),
            "income": (False, np.array([30.0, NAN, 10.0])),
        },
    )
    cells = pa.array([["a"], ["a", "c"], ["a", "b", "c"], ["b"], ["c"]])
    shares = pa.array([[1.0], [0.5, 0.5], [0.25, 0.5, 0.25], [0.5], [1.0]])
    found = interpolated(cells, shares, of_areas)
    np.testing.assert_array_equal(found["people"], [50, 25, 12.5 + 40, 40, NAN])
    np.testing.assert_array_equal(found["income"], [30, 20, 20, NAN, 10])


@given(st.integers(0, 10_000))
def test_a_cells_values_are_the_same_whatever_cells_are_beside_it(seed: int) -> None:
    draw = np.random.default_rng(seed)
    of_areas = AreaValues(
        area_ids=pa.array([f"{i}" for i in range(9)]),
        surface=draw.uniform(0.1, 50, 9),
        figures={
            name: (kind == "share_out", np.where(draw.random(9) < 0.3, NAN, draw.normal(50, 9, 9)))
            for name, kind in FIGURES
        },
    )
    areas = [sorted(draw.choice(9, draw.integers(1, 5), replace=False)) for _ in range(20)]
    ids = pa.array([[str(i) for i in of_cell] for of_cell in areas])
    shares = pa.array([draw.uniform(0, 0.25, len(of_cell)).tolist() for of_cell in areas])
    together = interpolated(ids, shares, of_areas)
    for cell in range(20):
        alone = interpolated(ids.slice(cell, 1), shares.slice(cell, 1), of_areas)
        for name in together:
            np.testing.assert_array_equal(alone[name][0], together[name][cell])


def random_areas(seed: int) -> tuple[dict[str, BaseGeometry], Figures]:
    """A ragged island divided among areas, small and large, some without a figure."""
    draw = np.random.default_rng(seed)
    size = draw.uniform(300, 1_500)
    centre = np.array([4_000.0 * seed, -300.0])
    angles = np.sort(draw.uniform(0, 2 * np.pi, 30))
    radii = draw.uniform(0.5, 1.0, 30) * size
    coast = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    land = shapely.make_valid(shapely.Polygon(coast))
    sites = shapely.MultiPoint(centre + draw.uniform(-0.7, 0.7, (8, 2)) * size)
    parts = [part.intersection(land) for part in shapely.voronoi_polygons(sites).geoms]
    areas = {f"{seed}-{i}": part for i, part in enumerate(parts) if part.area > 1}
    people = [int(n) if draw.random() < 0.8 else None for n in draw.integers(0, 9_000, len(areas))]
    income = [float(x) if draw.random() < 0.8 else None for x in draw.uniform(-9, 90, len(areas))]
    return areas, {"people": people, "income": income}


def oracle(areas: Mapping[str, BaseGeometry], figures: Figures) -> dict[int, dict[str, float]]:
    """Each cell's figures, one area after the other against one cell after the other."""
    parts: dict[int, list[tuple[float, float, int]]] = {}
    for number, polygon in enumerate(areas.values()):
        left, bottom, right, top = (int(edge // 125) for edge in polygon.bounds)
        for column in range(left, right + 1):
            for row in range(bottom, top + 1):
                [cell_id] = cell_ids([column], [row]).tolist()
                area = cell_polygons([cell_id])[0].intersection(polygon).area
                if area / CELL_M2 >= 2**-25:
                    parts.setdefault(cell_id, []).append((area, polygon.area, number))
    found = {}
    for cell_id, of_cell in parts.items():
        people = [
            figures["people"][i] * area / whole
            for area, whole, i in of_cell
            if figures["people"][i] is not None
        ]
        income = [(figures["income"][i], area) for area, _, i in of_cell]
        known = [(value, area) for value, area in income if value is not None]
        found[cell_id] = {
            "people": sum(people) if people else NAN,
            "income": sum(v * a for v, a in known) / sum(a for _, a in known) if known else NAN,
        }
    return found


@pytest.mark.spark
def test_values_of_cells_equal_those_of_shapely(spark: SparkSession, tmp_path: Path) -> None:
    countries = [random_areas(seed) for seed in range(5)]
    areas = {code: polygon for of_one, _ in countries for code, polygon in of_one.items()}
    figures = {name: [v for _, of in countries for v in of[name]] for name, _ in FIGURES}
    path = write(tmp_path, list(areas.values()), list(areas), **figures)
    rows = {r.cell_id: r for r in found_in_cells(spark, statistics(path)).collect()}
    expected = oracle(areas, figures)
    assert rows.keys() == expected.keys()
    for cell_id, values in expected.items():
        row = rows[cell_id]
        for name, value in values.items():
            found = NAN if row[name] is None else row[name]
            # A share is rounded to 2^-24 of a cell, of an area of at least 1 m².
            assert found == pytest.approx(value, rel=1e-3, abs=1 / STEPS, nan_ok=True)
            assert np.isnan(found) or found * STEPS % 1 == 0
    whole = sum(v for v in figures["people"] if v is not None)
    assert sum(r["people"] or 0 for r in rows.values()) == pytest.approx(whole, rel=1e-4)
    # The shape of the example: cells without a figure, and cells of several areas.
    assert sum(r["income"] is None for r in rows.values()) > 20
    assert len(rows) > 300


@pytest.mark.spark
def test_what_is_of_no_use_is_kept_with_its_reason(spark: SparkSession, tmp_path: Path) -> None:
    boxes = [shapely.box(x * 125, 0, (x + 1) * 125, 125) for x in range(6)]
    path = write(
        tmp_path,
        boxes,
        ["a", "b", "c", "d", "e", "f"],
        people=[12, -99997, None, -3, 0, 7],
        income=["12.5", " ", "-99997.0", "secret", "NaN", "-3"],
    )
    source = statistics(path)
    found = figures_of(read(spark, source), source, source.editions[0])
    day = date(2020, 1, 1)
    expected = [
        ("area", day, "a", "people", 12.0, "known", None),
        ("area", day, "b", "people", None, "marked_missing", "-99997.0"),
        ("area", day, "c", "people", None, "empty", None),
        ("area", day, "d", "people", None, "negative", "-3.0"),
        ("area", day, "e", "people", 0.0, "known", None),
        ("area", day, "f", "people", 7.0, "known", None),
        ("area", day, "a", "income", 12.5, "known", None),
        ("area", day, "b", "income", None, "empty", None),
        ("area", day, "c", "income", None, "marked_missing", "-99997.0"),
        ("area", day, "d", "income", None, "not_a_number", "secret"),
        ("area", day, "e", "income", None, "not_a_number", "NaN"),
        ("area", day, "f", "income", -3.0, "known", None),
    ]
    schema = (
        "source string, published_on date, area_id string, figure string, value double, "
        "status string, found string"
    )
    assert_df_equality(
        found, spark.createDataFrame(expected, schema), ignore_row_order=True, ignore_nullable=True
    )


@pytest.mark.spark
def test_an_edition_may_name_its_columns_otherwise(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path, [shapely.box(0, 0, 125, 125)], ["x"], population=[8], income=[1.0])
    edition = {
        "path": str(path),
        "layer": "areas",
        "published_on": "2020-01-01",
        "renamed": {"people": "population"},
    }
    [row] = found_in_cells(spark, statistics(editions=[edition])).collect()
    assert row == (cell_ids([0], [0])[0], 8.0, 1.0)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("codes", "columns", "texts"),
    [
        (["a", "b"], {"people": [1, 2]}, ["no column income", "people"]),
        (["a", "a"], {"people": [1, 2], "income": [1, 2]}, ["area a in 2 rows"]),
        (["a", None], {"people": [1, 2], "income": [1, 2]}, ["1 rows without an id in code"]),
    ],
)
def test_what_is_wrong_with_a_file_of_areas_is_said(
    spark: SparkSession, tmp_path: Path, codes: list[Any], columns: Figures, texts: list[str]
) -> None:
    boxes = [shapely.box(x * 125, 0, (x + 1) * 125, 125) for x in range(2)]
    with pytest.raises(CasError) as error:
        read(spark, statistics(write(tmp_path, boxes, codes, **columns)))
    assert all(text in str(error.value) for text in texts)


CELLS = "cell_id long, team_id string, land_share double, people double, income double"


@pytest.mark.spark
def test_a_cell_without_a_figure_gets_the_mean_of_its_team_or_else_of_all(
    spark: SparkSession,
) -> None:
    rows = [
        (1, "a", 1.0, 10.0, 3.0),
        (2, "a", 0.5, 4.0, None),
        (3, "a", 0.25, None, None),
        (4, "b", 1.0, None, 5.0),
        (5, "b", 0.5, None, 8.0),
    ]
    filled, gaps = fill_gaps(spark.createDataFrame(rows, CELLS), ["people", "income"])
    expected = [
        (1, "a", 1.0, 10.0, 3.0),
        (2, "a", 0.5, 4.0, 3.0),
        (3, "a", 0.25, 8.0, 3.0),
        (4, "b", 1.0, 8.0, 5.0),  # team b has no people at all: (10 + 4 / 2) / 1.5
        (5, "b", 0.5, 8.0, 8.0),
    ]
    schema = CELLS.replace("people double, income double", "people float, income float")
    assert_df_equality(
        filled, spark.createDataFrame(expected, schema), ignore_row_order=True, ignore_nullable=True
    )
    assert gaps == {"people": Filled(1, 2), "income": Filled(2, 0)}
    assert gaps["people"].cells == 3


@pytest.mark.spark
def test_means_do_not_depend_on_the_order_of_the_cells(spark: SparkSession) -> None:
    draw = np.random.default_rng(4)
    rows = [
        (i, "a", int(n) / 2**24, None if i % 3 == 0 else float(round(v * STEPS) / STEPS), 1.0)
        for i, (n, v) in enumerate(
            zip(draw.integers(1, 2**24, 300), draw.normal(0, 1e6, 300), strict=True)
        )
    ]
    known = [(n, v) for _, _, n, v, _ in rows if v is not None]
    mean = sum(n * v for n, v in known) / sum(n for n, _ in known)
    found = set()
    for frame in (rows, rows[::-1]):
        cells = spark.createDataFrame(frame, CELLS).repartition(3)
        filled, _ = fill_gaps(cells, ["people"])
        found |= {row["people"] for row in filled.where(F.col("cell_id") % 3 == 0).collect()}
    assert len(found) == 1
    assert found.pop() == pytest.approx(mean, rel=1e-6)


@pytest.mark.spark
def test_a_figure_that_no_cell_has_is_an_error(spark: SparkSession) -> None:
    cells = spark.createDataFrame([(1, "a", 1.0, None, 2.0)], CELLS)
    with pytest.raises(CasError, match="area statistics, people: found no cell"):
        fill_gaps(cells, ["people", "income"])
