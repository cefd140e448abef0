"""A small map of the rows of an extract over the outlines of the teams, as PNG."""

import hashlib
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from shapely.geometry.base import BaseGeometry

from cas_spark.errors import CasError
from cas_spark.pipelines.check.sample import ACCEPTED, FileCheck
from cas_spark.settings import Settings
from cas_spark.settings.paths import local_path

MADE_BY = "cas-spark check"
"""Stands in every picture, so that only our own are ever replaced."""
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 1_024
_MARGIN = 0.1
_INSIDE, _OTHER, _OUTLINE = "#1f4e79", "#b3541e", "#9a9a9a"


def picture_path(folder: Path, check: FileCheck) -> Path:
    """Return where the map of an extract goes."""
    return folder / picture_name(check.source.name, check.name)


def picture_name(source: str, file: str) -> str:
    """Return a plain name for the map of a file; two files never share one.

    Example:
        >>> picture_name("crimes", "crimes_2024.csv")
        'crimes-crimes_2024.csv.png'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", file)[:80]
    if plain != file:
        plain += "-" + hashlib.sha256(file.encode()).hexdigest()[:8]
    return f"{source}-{plain}.png"


def check_is_no_lake(folder: Path, settings: Settings) -> None:
    """Check that the folder of the maps does not lie in that of the lake.

    Raises:
        CasError: it does.
    """
    lake = local_path(settings.lake)
    if lake is not None and folder.resolve().is_relative_to(lake.resolve()):
        raise CasError(
            what=f"folder {folder} of the maps",
            found=f"a place in the lake {settings.lake}",
            expected="a folder outside the lake, which check never touches",
            do="Name another folder with --to",
        )


def check_may_write(path: Path) -> None:
    """Check that a map may be written at a place: nothing is there, or an earlier map.

    Raises:
        CasError: another file is there, something that is no file, or the place cannot be read.
    """
    try:
        _check_is_ours(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_is_ours(path: Path) -> None:
    for folder in path.parents:
        if folder.exists():
            if not folder.is_dir():
                raise _taken(folder)
            break
    if path.is_symlink() or path.exists():
        if path.is_symlink() or not path.is_file():
            raise _taken(path)
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not head.startswith(_PNG) or MADE_BY.encode() not in head:
            raise _taken(path)


def _taken(path: Path) -> CasError:
    return CasError(
        what=f"map {path}",
        found="something that cas-spark check did not make",
        expected="nothing there, or an earlier map",
        do="Nothing was changed. Name another folder with --to",
    )


def _unwritable(path: Path, error: OSError) -> CasError:
    return CasError(
        what=f"map {path}",
        found=error.strerror or str(error),
        expected="a folder that may be written",
        do="Name another folder with --to",
    )


def write_map(
    path: Path, check: FileCheck, teams: Sequence[BaseGeometry], settings: Settings
) -> None:
    """Write the map of an extract; one of an earlier check is replaced.

    Raises:
        CasError: another file is there, or the folder cannot be written.
    """
    check_may_write(path)
    data = BytesIO()
    figure = draw(check, teams, settings)
    figure.savefig(data, format="png", metadata={"Software": MADE_BY})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.getvalue())
    except OSError as error:
        raise _unwritable(path, error) from error


def draw(check: FileCheck, teams: Sequence[BaseGeometry], settings: Settings) -> Figure:
    """Draw the places of an extract over the teams."""
    left, bottom, right, top = shapely.total_bounds(teams)
    side = max(right - left, top - bottom)
    figure = Figure(figsize=(7, 7), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.add_collection(LineCollection(_outlines(teams, side / 1_000), colors=_OUTLINE, lw=0.7))
    accepted = check.outcomes.loc[check.outcomes["outcome"] == ACCEPTED, "row_number"]
    beyond = 0
    if check.places is not None:
        east, north = check.places.east, check.places.north
        margin = _MARGIN * side
        is_near = (east >= left - margin) & (east <= right + margin)
        is_near &= (north >= bottom - margin) & (north <= top + margin)
        beyond = int((~is_near).sum())
        is_accepted = np.isin(check.places.row_number, accepted.to_numpy(np.int64))
        for chosen, colour, label in (
            (is_near & ~is_accepted, _OTHER, "not used"),
            (is_near & is_accepted, _INSIDE, "accepted"),
        ):
            axes.scatter(east[chosen], north[chosen], s=5, c=colour, alpha=0.5, lw=0, label=label)
        axes.legend(loc="upper right", fontsize=8)
    axes.set_xlim(left - _MARGIN * side, right + _MARGIN * side)
    axes.set_ylim(bottom - _MARGIN * side, top + _MARGIN * side)
    axes.set_aspect("equal")
    axes.ticklabel_format(style="plain", useOffset=False)
    axes.tick_params(labelsize=7)
    # Names may hold the signs of formulas.
    axes.set_title(
        f"{settings.title}\n{check.name}, {check.read:,} rows", fontsize=9, parse_math=False
    )
    notes = [f"{beyond:,} points lie beyond this map"] if beyond else []
    axes.set_xlabel(
        "; ".join([f"metres in {settings.grid.crs}", *notes]), fontsize=8, parse_math=False
    )
    return figure


def _outlines(teams: Sequence[BaseGeometry], tolerance: float) -> list[Any]:
    parts = shapely.get_parts(shapely.simplify(np.asarray(teams, object), tolerance))
    parts = shapely.get_parts(parts)
    rings = shapely.get_rings(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])
    return [shapely.get_coordinates(ring) for ring in rings]
