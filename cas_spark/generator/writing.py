"""Files whose bytes follow from their content alone: no clock, no machine's name."""

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import geopandas as gpd
import pyogrio

DESCRIPTION: Final = "Generated data: no figure says anything about a real place."

_GEOPACKAGE_CLOCK: Final = "2000-01-01T00:00:00.000Z"


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines as gzipped UTF-8 with the same bytes every time; returns the lines written."""
    lines = list(lines)
    content = ("\n".join(lines) + "\n").encode()
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write(content)
    return len(lines)


def write_layers(path: Path, layers: Iterable[tuple[str, gpd.GeoDataFrame]]) -> int:
    """Write layers to a GeoPackage with the same bytes every time; returns the rows written."""
    rows = 0
    with _stopped_clock():
        for number, (name, frame) in enumerate(layers):
            pyogrio.write_dataframe(
                frame,
                path,
                layer=name,
                driver="GPKG",
                append=number > 0,
                layer_options={"DESCRIPTION": DESCRIPTION},
            )
            rows += len(frame)
    return rows


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _stopped_clock() -> Iterator[None]:
    """Have GeoPackages say that they were written on a fixed date."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _GEOPACKAGE_CLOCK})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
