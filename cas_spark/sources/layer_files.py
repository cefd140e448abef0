"""Extracts whose rows have a geometry: GeoPackage, GeoJSON, Shapefile and FlatGeobuf, by GDAL."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyogrio
import shapely
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.errors import CasError
from cas_spark.settings.extracts import Extracts
from cas_spark.sources.columns import plain_column, plain_type
from cas_spark.sources.files import local_file_or_bytes

GEOMETRY = "geometry"
"""What a geometry is called where its format gives it no name."""


@dataclass(frozen=True)
class LayerFile:
    """A layer of a file of places.

    Attributes:
        file: its path, or its bytes where only Hadoop can reach it.
        layer: its name.
        fields: names of its columns as the file has them.
        geometry: name of the column with the geometry.
        crs: of the geometries, as the file says; None where it says nothing.
    """

    file: Path | bytes
    layer: str
    fields: tuple[str, ...]
    geometry: str
    crs: str | None


def open_layer(spark: SparkSession, source: Extracts, path: str) -> LayerFile:
    """Return what the layer of an extract holds; the only layer where the settings name none.

    Raises:
        CasError: there is no such layer, or several and the settings name none.
    """
    file = local_file_or_bytes(spark, path)
    layers = [str(name) for name, _ in pyogrio.list_layers(file)]
    layer = source.layer or (layers[0] if len(layers) == 1 else None)
    if layer not in layers:
        raise CasError(
            what=f"layer {source.layer} of {path}" if source.layer else f"extract {path}",
            found="no such layer" if source.layer else f"{len(layers)} layers",
            expected=f"one of its layers: {', '.join(layers)}",
            do=f"Give the name of one of these layers as {source.kind}.{source.name}.layer",
        )
    info = pyogrio.read_info(file, layer=layer, encoding=source.encoding)
    return LayerFile(
        file=file,
        layer=str(layer),
        fields=tuple(str(name) for name in info["fields"]),
        geometry=str(info["geometry_name"] or GEOMETRY),
        crs=info["crs"],
    )


def layer_rows(
    spark: SparkSession, source: Extracts, layer: LayerFile, columns: Sequence[str]
) -> DataFrame | None:
    """Return the rows of a layer, read on the driver; None where it has none.

    Args:
        spark: the session.
        source: says how the file is written.
        layer: what `open_layer` returned.
        columns: the wanted columns, by their names in the file.

    Returns:
        `row_number` (long, from 1), `field_0`, `field_1` … in the order of `columns`, and `point_x`
        and `point_y` (double, in the layer's CRS): null for a geometry that is no point.
    """
    meta, table = pyogrio.read_arrow(
        layer.file, layer=layer.layer, columns=list(columns), encoding=source.encoding
    )
    if not table.num_rows:
        return None
    name = meta["geometry_name"] or "wkb_geometry"
    points = shapely.from_wkb(table.column(name).to_numpy(zero_copy_only=False))
    values = {
        f"field_{place}": _plain(table.column(column).combine_chunks())
        for place, column in enumerate(columns)
    }
    rows = pa.table(
        {
            "row_number": pa.array(np.arange(1, table.num_rows + 1)),
            "point_x": pa.array(_coordinate(shapely.get_x(points))),
            "point_y": pa.array(_coordinate(shapely.get_y(points))),
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
