"""What a version of the grid was made from, as one sha256.

A version stands for its cells, so under the same name another definition must be refused; this
shows whether it is another. Moving a file changes nothing, another byte in it does.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.cells import CELL_SIZE_M
from cas_spark.grid.vector_files import local_file, missing_file
from cas_spark.platform import storage
from cas_spark.settings.geography import Grid, Layer

_DEFAULTS = {"operation": None, "overlaps": "refuse"}
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def layer_paths(grid: Grid) -> list[str]:
    """The files that a version of the grid is made from, each once."""
    return sorted({layer.path for layer in grid.layers})


def file_digests(spark: SparkSession, paths: list[str]) -> dict[str, str]:
    """The sha256 (hex) of the bytes of each file, by its path as given.

    Args:
        spark: the session.
        paths: files on any path that Hadoop can reach, each at most 2 GB.

    Raises:
        CasError: no such file.
    """
    return {path: _file_digest(spark, path) for path in paths}


def grid_definition(grid: Grid, digests: Mapping[str, str]) -> str:
    """The sha256 (hex) of what decides the cells of a version of the grid.

    That is: the size of a cell, the CRS, the moment before which removal rules may look, the rules
    themselves, the figures of area statistics, and of each layer its name, its columns and its
    file's bytes. Not: the version's name and the places of the files.

    Args:
        grid: the settings of the version.
        digests: the sha256 of each file of `layer_paths`, as `file_digests` gives them.
    """
    definition: dict[str, Any] = {
        "cell_size_m": CELL_SIZE_M,
        **grid.model_dump(mode="json", include={"valid_from", "crs", "removal"}),
        "teams": _layer(grid.teams, digests),
        "surroundings": [_layer(layer, digests) for layer in grid.surroundings],
    }
    if grid.area_statistics:  # a grid without them keeps the digest it had before there were any
        definition["area_statistics"] = [
            {
                **_without_defaults(source.model_dump(mode="json", exclude={"editions"})),
                "editions": [_layer(edition, digests) for edition in source.editions],
            }
            for source in grid.area_statistics
        ]
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _layer(layer: Layer, digests: Mapping[str, str]) -> dict[str, Any]:
    values = _without_defaults(layer.model_dump(mode="json", exclude={"path"}))
    return {**values, "sha256": digests[layer.path]}


def _without_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """The settings without younger ones that are at their default: digests stay as they were."""
    return {name: value for name, value in values.items() if _DEFAULTS.get(name, ()) != value}


def _digest_of_parts(file: Path) -> str:
    """The sha256 of a file, or of all files that a Shapefile is made of."""
    if file.suffix.lower() != ".shp":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    parts = [
        part
        for part in sorted(file.parent.iterdir())
        if part.stem == file.stem and part.suffix.lower() in SHAPEFILE_PARTS
    ]
    digests = [f"{p.suffix.lower()} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in parts]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _file_digest(spark: SparkSession, path: str) -> str:
    file = local_file(path)
    if file is not None:
        if not file.is_file():
            raise missing_file(path)
        return _digest_of_parts(file)
    try:
        rows = (
            storage.contents(spark, path)
            .select(F.sha2("content", 256).alias("sha256"))
            .limit(2)
            .collect()
        )
    except AnalysisException as error:
        raise missing_file(path) from error
    if len(rows) != 1:
        raise CasError(
            what=f"file {path}",
            found="a folder" if rows else "nothing there",
            expected="a file",
            do="Give the place of a file in the settings",
        )
    return str(rows[0].sha256)
