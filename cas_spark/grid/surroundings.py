"""What lies around a cell: how far the nearest station, school or railway line is, and how many.

A layer holds thousands of geometries where a grid holds millions of cells, so every task gets the
whole layer in a search tree and no cell is shuffled.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import FloatType, LongType, StructField, StructType

from cas_spark.errors import CasError
from cas_spark.grid.cells import Doubles, centres
from cas_spark.grid.layers import read_layer
from cas_spark.grid.operations import Operations
from cas_spark.settings.geography import Surrounding

NEAR_M = 500
DISTANCE_STEPS_PER_M = 64
"""Distances are whole numbers of 1/64 m, so that a last bit more or less changes nothing."""


def distance_and_number(name: str) -> tuple[str, str]:
    """The names of the two columns of a surrounding."""
    return f"{name}_distance_m", f"{name}_within_{NEAR_M}m"


def surroundings_of(
    cells: DataFrame,
    surroundings: Sequence[Surrounding],
    crs: str,
    operations: Operations | None = None,
) -> DataFrame:
    """How far the nearest of each surrounding is from each cell, and how many are near.

    Args:
        cells: cell_id (long), and whatever else.
        surroundings: layers of points, lines or polygons, each with its name.
        crs: the grid's CRS, an authority code or WKT.
        operations: how layers come to the grid's CRS; None to choose for this once.

    Returns:
        One row per cell: cell_id (long) and for each surrounding, in order, `<name>_distance_m`
        (float, metres from the cell's centre to the nearest geometry, 0 inside a polygon) and
        `<name>_within_500m` (float, the number of geometries at most 500 m from that centre).

    Raises:
        CasError: as `read_layer`, or rows of a layer with an empty geometry.
    """
    spark = cells.sparkSession
    geometries = {}
    for place in surroundings:
        what = f"grid.surroundings.{place.name}"
        layer = read_layer(spark, place, crs, operations=operations, what=what)
        geometries[place.name] = _geometries(layer, place)
    return nearest_and_near(cells, geometries)


def nearest_and_near(cells: DataFrame, geometries: Mapping[str, Sequence[bytes]]) -> DataFrame:
    """As `surroundings_of`, from geometries as WKB (metres in the grid's CRS) by name."""
    schema = StructType(
        [
            StructField("cell_id", LongType(), nullable=False),
            *(
                StructField(column, FloatType(), nullable=False)
                for name in geometries
                for column in distance_and_number(name)
            ),
        ]
    )
    shared = cells.sparkSession.sparkContext.broadcast(list(geometries.values()))
    return cells.select("cell_id").mapInArrow(_measurer(lambda: shared.value, schema.names), schema)


def _geometries(layer: DataFrame, place: Surrounding) -> list[bytes]:
    rows = layer.select(
        F.call_function("ST_AsBinary", F.col("geometry")).alias("wkb"),
        F.call_function("ST_IsEmpty", F.col("geometry")).alias("is_empty"),
    ).collect()
    missing = sum(1 for row in rows if row.is_empty)
    if missing:
        raise CasError(
            what=f"layer {place.layer} of {place.path}",
            found=f"{missing} of {len(rows)} rows with an empty geometry",
            expected="a point, line or polygon in each row",
            do="Delete these rows from the file or give them a place",
        )
    return sorted(bytes(row.wkb) for row in rows)


def _measurer(
    geometries: Callable[[], Sequence[Sequence[bytes]]], columns: Sequence[str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def measure(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        trees = [shapely.STRtree(shapely.from_wkb(list(layer))) for layer in geometries()]
        for batch in batches:
            ids = batch.column(0).to_numpy(zero_copy_only=False)
            points = np.asarray(shapely.points(centres(ids)))
            numbers = [values for tree in trees for values in _distances_and_numbers(tree, points)]
            arrays = [pa.array(ids, pa.int64()), *(pa.array(v, pa.float32()) for v in numbers)]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    return measure


def _distances_and_numbers(
    tree: shapely.STRtree, points: npt.NDArray[Any]
) -> tuple[Doubles, Doubles]:
    if len(points) == 0:
        return np.empty(0), np.empty(0)
    _, distances = tree.query_nearest(points, return_distance=True, all_matches=False)
    near, _ = tree.query(points, predicate="dwithin", distance=NEAR_M)
    numbers = np.bincount(near, minlength=len(points))
    return np.rint(distances * DISTANCE_STEPS_PER_M) / DISTANCE_STEPS_PER_M, numbers.astype(float)
