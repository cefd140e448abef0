"""A file with polygons, lines or points becomes a GeoPackage that settings can name as a layer."""

import logging
import os
import tempfile
from pathlib import Path

import pyogrio
from pyproj import CRS
from pyproj.exceptions import CRSError

from cas_spark.errors import CasError
from cas_spark.grid.projection import agree, short_name_of
from cas_spark.grid.vector_files import VectorLayer, open_layer

log = logging.getLogger(__name__)


def copy_layer(
    source: Path, target: Path, crs: str | None = None, layer: str | None = None
) -> None:
    """Copy a layer of any file that GDAL reads into a new GeoPackage.

    Coordinates stay as they are.

    Args:
        source: the file, such as a Shapefile or GeoJSON.
        target: the GeoPackage to write; it must not exist.
        crs: of the coordinates, where the file does not name it: an authority code or WKT.
        layer: name of the layer, where the file has several.

    Raises:
        CasError: the target exists, the source has no such layer, or its CRS is not known or is
            another than the one given.
    """
    if target.suffix.lower() != ".gpkg":
        raise CasError(
            what=f"file {target}",
            found=f"a name that ends in {target.suffix or 'nothing'}",
            expected="the name of a GeoPackage, which ends in .gpkg",
            do="Give such a name",
        )
    if target.exists():
        raise _is_there(target)
    opened = open_layer(str(source), layer)
    known = _crs_of(opened, crs)
    rows = pyogrio.read_dataframe(opened.source, layer=opened.name, fid_as_index=False)
    rows = rows.set_crs(known, allow_override=True)
    # The key of GeoPackage's rows may not have the name of a column.
    taken = {column.lower() for column in rows.columns}
    key = next(name for name in ("fid", "row_number", "cas_row_number") if name not in taken)
    with tempfile.TemporaryDirectory(dir=target.resolve().parent) as scratch:
        made = Path(scratch, target.name)
        pyogrio.write_dataframe(
            rows, made, layer=opened.name, driver="GPKG", layer_options={"FID": key}
        )
        try:
            os.link(made, target)  # which fails where another process made the file meanwhile
        except FileExistsError:
            raise _is_there(target) from None
    log.info(
        "%s: layer %s with %d rows in %s", target, opened.name, len(rows), short_name_of(known)
    )


def _crs_of(opened: VectorLayer, given: str | None) -> CRS:
    try:
        asked = CRS.from_user_input(given) if given is not None else None
    except CRSError as error:
        raise CasError(
            what=f"CRS {given}",
            found="nothing that PROJ knows",
            expected="an authority code such as EPSG:4326, or WKT",
            do="Give the code of the CRS that the coordinates have",
        ) from error
    if opened.crs is None and asked is None:
        raise CasError(
            what=opened.what,
            found="no CRS",
            expected="the CRS of its coordinates",
            do="Find out which it is, where the file came from, and give it as --crs CODE",
        )
    if opened.crs is not None and asked is not None and not agree(opened.crs, asked):
        raise CasError(
            what=opened.what,
            found=f"coordinates in {short_name_of(opened.crs)}, as the file says",
            expected=f"{short_name_of(asked)}, as --crs says",
            do="Leave --crs out: coordinates are copied as they are, and the grid moves them",
        )
    known = opened.crs or asked
    assert known is not None  # noqa: S101  # one of the two is there
    return known


def _is_there(target: Path) -> CasError:
    return CasError(
        what=f"file {target}",
        found="a file with that name",
        expected="none: no file is written over",
        do="Give another name, or move that file away",
    )
