"""Files with geometries, as GDAL reads them on the driver."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataSourceError
from pyproj import CRS

from cas_spark.errors import CasError
from cas_spark.settings.texts import as_seen, text_as_seen

FORMATS = "a GeoPackage, GeoJSON, Shapefile or FlatGeobuf"
ReadBytes = Callable[[str], bytes | None]
"""Gives the bytes of a file that only Hadoop can reach; None where there is none."""


@dataclass(frozen=True)
class VectorLayer:
    """One layer of a file.

    Attributes:
        what: names the layer and its file, for messages.
        source: the file, or its bytes.
        name: of the layer.
        columns: its attributes; first the number of the row where the format has a column for it.
        row_number: name of that column, or nothing.
        crs: of its coordinates; None where the file does not name one.
        features: how many rows there are.
        geometry: name of the column with the geometry, or nothing.
        encoding: of its text; None for what the file says itself.
    """

    what: str
    source: Path | bytes
    name: str
    columns: tuple[str, ...]
    row_number: str
    crs: CRS | None
    features: int
    geometry: str
    encoding: str | None


def open_layer(
    path: str,
    name: str | None,
    read_bytes: ReadBytes | None = None,
    encoding: str | None = None,
) -> VectorLayer:
    """Look up a layer of a file; nothing of its rows is read.

    Args:
        path: of the file.
        name: of the layer; None where the file has one only.
        read_bytes: reads a file that is not on this machine.
        encoding: of its text, where the file itself does not say it or says it wrongly.

    Raises:
        CasError: no such file or layer, several layers and no name, or a layer without geometries.
    """
    source = _file_or_bytes(path, read_bytes)
    layers = _layers_of(source, path)
    what = f"layer {name} of {path}" if name is not None else f"file {path}"
    if name is None and len(layers) != 1:
        raise CasError(
            what=what,
            found=f"{len(layers)} layers: {', '.join(layers)}",
            expected="one layer, or the name of one of them",
            do="Give the name of one of these as `layer`",
        )
    alike = [layer for layer in layers if name is None or as_seen(layer) == as_seen(name)]
    if name is not None and name not in layers and len(alike) != 1:
        raise CasError(
            what=what,
            found="no such layer",
            expected=f"one of its layers: {', '.join(layers)}",
            do="Give the name of one of these as `layer`",
        )
    chosen = name if name in layers else alike[0]
    info = pyogrio.read_info(source, layer=chosen, encoding=encoding, force_feature_count=True)
    if info["geometry_type"] is None:
        raise CasError(
            what=what,
            found="a table without geometry",
            expected="a layer of polygons, lines or points",
            do="Name another layer in the settings",
        )
    row_number = str(info["fid_column"] or "")
    fields = (str(column) for column in info["fields"])
    return VectorLayer(
        what=what,
        source=source,
        name=chosen,
        columns=(*([row_number] if row_number else []), *fields),
        row_number=row_number,
        crs=_crs_of(info),
        features=int(info["features"]),
        geometry=str(info["geometry_name"] or ""),
        encoding=encoding,
    )


def read_table(layer: VectorLayer, columns: list[str]) -> tuple[pa.Table, npt.NDArray[np.object_]]:
    """Read some attributes of all rows, and their geometries without heights.

    Returns:
        The asked columns in their order, text as a person sees it, and as many geometries; None
        for a row without one.
    """
    wants_number = layer.row_number in columns
    meta, table = pyogrio.read_arrow(
        layer.source,
        layer=layer.name,
        columns=[column for column in columns if column != layer.row_number],
        return_fids=wants_number,
        encoding=layer.encoding,
    )
    geometry = table.column(meta["geometry_name"] or "wkb_geometry")
    try:
        shapes = shapely.from_wkb(geometry.to_numpy(zero_copy_only=False))
    except (shapely.errors.GEOSException, NotImplementedError):  # curves, which GDAL makes lines
        _, _, lines, _ = pyogrio.raw.read(layer.source, layer=layer.name, columns=[])
        shapes = shapely.from_wkb(lines)
    seen = [text_as_seen(table.column(name).combine_chunks()) for name in columns]
    return pa.table(seen, names=columns), shapely.force_2d(shapes)


def _layers_of(source: Path | bytes, path: str) -> list[str]:
    try:
        return [str(name) for name, _ in pyogrio.list_layers(source)]
    except DataSourceError as error:
        raise CasError(
            what=f"file {path}",
            found="something that cannot be opened",
            expected=FORMATS,
            do="Name such a file in the settings; `cas-spark layers IN OUT` makes a GeoPackage of "
            "most other formats",
        ) from error


def _crs_of(info: dict[str, Any]) -> CRS | None:
    # GeoPackage's codes -1 and 0, "undefined", come back as CRSs with such a name.
    crs = CRS.from_user_input(info["crs"]) if info["crs"] else None
    return None if crs is None or crs.name.startswith("Undefined") else crs


def local_file(path: str) -> Path | None:
    """The file on this machine that a path names; None for one that only Hadoop can reach."""
    url = urlparse(path)
    if path.startswith("/") or ("://" not in path and url.scheme != "file"):
        return Path(path)
    return Path(unquote(url.path)) if url.scheme == "file" else None


def _file_or_bytes(path: str, read_bytes: ReadBytes | None) -> Path | bytes:
    file = local_file(path)
    if file is not None and file.is_file():
        # GDAL's reader takes what stands behind an exclamation mark for a file in an archive.
        return file.read_bytes() if "!" in str(file) else file
    content = read_bytes(path) if file is None and read_bytes is not None else None
    if content is None:
        raise missing_file(path)
    return content


def missing_file(path: str) -> CasError:
    """The error that a file of the settings does not exist."""
    return CasError(
        what=f"file {path}",
        found="nothing there",
        expected="a file",
        do="Give its place in the settings; relative places are meant from the settings file",
    )
