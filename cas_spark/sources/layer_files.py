"""Extracts whose rows have a geometry: GeoPackage, GeoJSON, Shapefile and FlatGeobuf, by GDAL."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.grid.vector_files import VectorLayer, open_layer, read_table
from cas_spark.settings.extracts import Extracts
from cas_spark.sources.columns import plain_column, plain_type
from cas_spark.sources.coordinates import check_crs_agrees
from cas_spark.sources.files import bytes_of

GEOMETRY = "geometry"
"""How settings may name the geometry whatever it is called in the file."""


def layer_of(spark: SparkSession, source: Extracts, path: str) -> VectorLayer:
    """Return the layer of an extract: the one that the settings name, or the only one.

    Raises:
        CasError: there is no such layer, several and no name, a layer without geometries, or the
            file names another CRS than the settings.
    """
    layer = open_layer(path, source.layer, lambda file: bytes_of(spark, file), source.encoding)
    if source.location is not None and source.location.geometry is not None:
        crs = layer.crs.to_wkt() if layer.crs is not None else None
        check_crs_agrees(crs, source.location.crs, layer.what)
    return layer


def layer_rows(spark: SparkSession, layer: VectorLayer, columns: Sequence[str]) -> DataFrame | None:
    """Return the rows of a layer, read on the driver; None where it has none.

    Args:
        spark: the session.
        layer: what `layer_of` returned.
        columns: the wanted columns, by their names in the file.

    Returns:
        `row_number` (long, from 1), `field_0`, `field_1` … in the order of `columns`, and `point_x`
        and `point_y` (double, in the layer's CRS): null for a geometry that is no point.
    """
    table, shapes = read_table(layer, list(columns))
    if not len(shapes):
        return None
    values = {
        f"field_{place}": _plain(table.column(column).combine_chunks())
        for place, column in enumerate(columns)
    }
    rows = pa.table(
        {
            "row_number": pa.array(np.arange(1, len(shapes) + 1)),
            "point_x": pa.array(_coordinate(shapely.get_x(shapes))),
            "point_y": pa.array(_coordinate(shapely.get_y(shapes))),
            **values,
        }
    )
    # A time without a zone is local; Spark would otherwise take it for an instant.
    return spark.createDataFrame(rows, from_arrow_schema(rows.schema, prefer_timestamp_ntz=True))


def _plain(values: pa.Array) -> pa.Array:
    return plain_column(values, plain_type(values.type) or pa.string())


def _coordinate(
    values: npt.NDArray[np.float64],
) -> np.ma.MaskedArray[tuple[int], np.dtype[np.float64]]:
    """Numbers, masked where there is none."""
    return np.ma.masked_invalid(np.asarray(values, np.float64))
