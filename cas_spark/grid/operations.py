"""Which of PROJ's operations places a source, how accurate it is, and that it stays the same.

PROJ knows many ways from one datum to another, and a newer PROJ may prefer another one. So the
driver chooses one operation for each source and for the area of the grid, and the run records its
pipeline: later runs use the recorded text. An operation whose grid is not installed is no choice,
since nothing is fetched from the network.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import product
from typing import Any

import numpy as np
import pyproj
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup

from cas_spark.errors import CasError
from cas_spark.grid.cells import CELL_SIZE_M, Doubles
from cas_spark.grid.projection import (
    WGS84,
    Bounds,
    Operation,
    agree,
    area_of,
    flat,
    keep_offline,
    name_of,
    short_name_of,
)

log = logging.getLogger(__name__)

REFUSED_ABOVE_M = 50.0
"""Stated accuracy beyond which places are too often in another cell than their own."""
FARTHEST_NAMED_M = 1_000.0
"""No two datums lie further apart: an operation that goes further mistakes axes or units."""


def choose(
    what: str, source: CRS, target: CRS, land: Bounds, named: str | None = None
) -> Operation:
    """The operation that brings places of a source to the grid's CRS.

    It is the one that PROJ ranks first for the area of the land among those that are installed.
    Where PROJ has none between the two datums, both are tied to WGS 84.

    Args:
        what: is placed, for messages.
        source: CRS of the places.
        target: the grid's CRS.
        land: the rectangle around the land, in the grid's CRS.
        named: the operation that the settings name: a pipeline, or the code of a transformation.

    Raises:
        CasError: no operation is installed whose accuracy is known and at most 50 m, and the
            settings name none; or the one that they name does not lead to the grid's CRS.
    """
    source, target = flat(source), flat(target)
    area = area_of(land, target)
    if named is not None:
        operation = _named(what, source, target, area, named)
        _check_leads_there(what, source, target, land, operation)
        return operation
    worst: Operation | None = None
    for operation, is_refusable in _candidates(source, target, area):
        if not _is_at_work(operation, land):
            continue
        if not is_refusable or (operation.accuracy_m or 0) <= REFUSED_ABOVE_M:
            return operation
        worst = worst or operation
    raise _none_fits(what, source, target, area, worst)


def _candidates(
    source: CRS, target: CRS, area: AreaOfInterest | None
) -> Iterator[tuple[Operation, bool]]:
    """The operations that are installed, best first, and whether their accuracy may be too low.

    A CRS that brings parameters of its own to WGS 84 names its operation itself.
    """
    is_bound = source.is_bound or target.is_bound
    for operation in _installed(source, target, area):
        if operation.accuracy_m is not None or is_bound:
            yield operation, not is_bound
    ways = product(_installed(source, WGS84, area), _installed(WGS84, target, area))
    for first, second in ways:
        if first.accuracy_m is not None and second.accuracy_m is not None:
            yield _joined(first, second), True


def _installed(source: CRS, target: CRS, area: AreaOfInterest | None) -> list[Operation]:
    group = _group(source, target, area)
    return [_operation_of(transformer) for transformer in (group.transformers if group else [])]


def _operation_of(transformer: Transformer) -> Operation:
    accuracy = transformer.accuracy
    return Operation(
        pipeline=str(transformer.definition),
        accuracy_m=None if accuracy < 0 else float(accuracy),
        name=" + ".join(
            part for part in str(transformer.description).split(" + ") if "axis order" not in part
        ),
        proj=pyproj.proj_version_str,
    )


def _group(source: CRS, target: CRS, area: AreaOfInterest | None) -> TransformerGroup | None:
    """What PROJ knows between two CRSs, but for a change of datum without parameters."""
    keep_offline()
    with warnings.catch_warnings():
        # It warns that a better operation is known and not installed: the refusal names it.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return TransformerGroup(
                source, target, always_xy=True, area_of_interest=area, allow_ballpark=False
            )
        except ProjError:
            return None


def _joined(first: Operation, second: Operation) -> Operation:
    steps = [
        step if step.startswith("step ") else f"step {step}"
        for step in (way.pipeline.removeprefix("proj=pipeline ") for way in (first, second))
    ]
    accuracies = [way.accuracy_m for way in (first, second) if way.accuracy_m is not None]
    return Operation(
        pipeline=" ".join(["proj=pipeline", *steps]),
        accuracy_m=sum(accuracies),
        name=f"{first.name} + {second.name}",
        proj=first.proj,
    )


def _is_at_work(operation: Operation, land: Bounds) -> bool:
    """Whether the operation reaches the middle of the land, there and back within a cell."""
    x, y = _middle(land)
    there_x, there_y = operation.moved(*operation.moved_back(x, y))
    return bool(np.hypot(there_x - x, there_y - y)[0] < CELL_SIZE_M)


def _middle(land: Bounds) -> tuple[Doubles, Doubles]:
    return np.array([(land.left + land.right) / 2]), np.array([(land.bottom + land.top) / 2])


def _named(
    what: str, source: CRS, target: CRS, area: AreaOfInterest | None, named: str
) -> Operation:
    """The operation that the settings name: PROJ's text, or the one with that code."""
    if "=" in named:
        text = Transformer.from_pipeline(named)
        return Operation(str(text.definition), None, named, pyproj.proj_version_str)
    known: dict[str, Operation] = {}
    for code, operation in _coded(source, target, area):
        known.setdefault(code, operation)
    for code, first in _coded(source, WGS84, area):
        for second in _installed(WGS84, target, area)[:1]:
            known.setdefault(code, _joined(first, second))
    for code, second in _coded(WGS84, target, area):
        for first in _installed(source, WGS84, area)[:1]:
            known.setdefault(code, _joined(first, second))
    if named.upper() not in known:
        raise CasError(
            what=f"operation {named} of {what}",
            found="an operation that does not lead from "
            f"{short_name_of(source)} to {short_name_of(target)}, or whose grid is not installed",
            expected=f"one of {', '.join(sorted(known)) or 'none that is installed'}",
            do="Name one of these, or give PROJ's text of the operation: +proj=pipeline ...",
        )
    return known[named.upper()]


def _coded(
    source: CRS, target: CRS, area: AreaOfInterest | None
) -> Iterator[tuple[str, Operation]]:
    """The installed operations, each with the code of every datum transformation in it."""
    group = _group(source, target, area)
    for transformer in group.transformers if group else []:
        for code in sorted(_codes_of(transformer)):
            yield code, _operation_of(transformer)


def _codes_of(transformer: Transformer) -> set[str]:
    """The codes of the datum transformations among the steps of an operation."""
    parts = [operation.to_json_dict() for operation in transformer.operations or ()]
    codes = set()
    for part in parts or [transformer.to_json_dict()]:
        code = part.get("id")
        if part.get("type") != "Conversion" and code:
            authority = str(code["authority"])
            for wrapping in ("INVERSE(", "DERIVED_FROM("):
                authority = authority.replace(wrapping, "")
            codes.add(f"{authority.replace(')', '')}:{code['code']}".upper())
    return codes


def _check_leads_there(
    what: str, source: CRS, target: CRS, land: Bounds, operation: Operation
) -> None:
    """Refuse an operation that mistakes axes or units: it must end near where the CRSs do."""
    x, y = _middle(land)
    roughly = Transformer.from_crs(target, source, always_xy=True).transform(x, y)
    there_x, there_y = operation.moved(*(np.asarray(part) for part in roughly))
    away = float(np.hypot(there_x - x, there_y - y)[0])
    if np.isfinite(roughly).all() and not away <= FARTHEST_NAMED_M:
        raise CasError(
            what=f"operation of {what}",
            found=f"x {roughly[0][0]:,.6f}, y {roughly[1][0]:,.6f} in {short_name_of(source)} "
            f"ends at x {there_x[0]:,.1f}, y {there_y[0]:,.1f}",
            expected=f"the middle of the land at x {x[0]:,.1f}, y {y[0]:,.1f} in "
            f"{short_name_of(target)}, within {FARTHEST_NAMED_M:,.0f} m",
            do="Mend the operation: it takes x before y (longitude before latitude, in the CRS's "
            "own units) and gives metres",
        )


def _none_fits(
    what: str, source: CRS, target: CRS, area: AreaOfInterest | None, worst: Operation | None
) -> CasError:
    group = _group(source, target, area)
    missing = [
        f"{operation.name} ({', '.join(grid.short_name for grid in operation.grids)})"
        for operation in (group.unavailable_operations if group else [])[:3]
    ]
    found = (
        f"{worst.name}, {worst.accuracy}"
        if worst is not None
        else "no operation of known accuracy between the two datums"
    )
    found += f"; known but not installed: {'; '.join(missing)}" if missing else ""
    return CasError(
        what=f"places of {what}, from {short_name_of(source)} to {short_name_of(target)}",
        found=found,
        expected=f"an installed operation with an accuracy of at most {REFUSED_ABOVE_M:g} m",
        do="Install the grid that PROJ needs (projsync, PROJ_DATA), name the operation in the "
        "settings as `operation`, beside `crs` or the layer's path, or choose a grid.crs of "
        "the same datum; nothing was written",
    )


class Operations:
    """The operations of a lake's sources and layers, each as it was first chosen.

    A run keeps them among its facts and hands them on, so that a newer PROJ changes nothing unseen.
    """

    def __init__(self, pinned: MutableMapping[str, Any], grid_crs: str, grid_version: str) -> None:
        self.pinned = pinned
        self.grid_crs = grid_crs
        self.grid_version = grid_version

    def of(self, what: str, crs: CRS, land: Bounds, named: str | None = None) -> Operation | None:
        """The operation of a source or layer; None where its CRS is the grid's.

        Args:
            what: is placed, such as incidents.register or grid.teams.
            crs: of its places.
            land: the rectangle around the land, in the grid's CRS.
            named: the operation that the settings name, if any.

        Raises:
            CasError: as `choose`.
        """
        target = CRS.from_user_input(self.grid_crs)
        if agree(crs, target):
            return None
        key = {
            "from": name_of(crs),
            "to": name_of(target),
            "grid_version": self.grid_version,
            "named": named,
        }
        held = self.pinned.get(what)
        if held is not None and {part: held[part] for part in key} == key:
            return _held(held)
        chosen = choose(what, crs, target, land, named)
        self.pinned[what] = {**key, **vars(chosen)}
        if chosen.is_reported:
            log.warning("%s", label_of(what, self.pinned[what]))
        return chosen


def _held(fact: Mapping[str, Any]) -> Operation:
    return Operation(**{part: fact[part] for part in ("pipeline", "accuracy_m", "name", "proj")})


def labels_of(pinned: Mapping[str, Any]) -> list[str]:
    """What must be said beside figures: the sources and layers whose places are not exact."""
    return [
        label_of(what, fact) for what, fact in sorted(pinned.items()) if _held(fact).is_reported
    ]


def label_of(what: str, fact: Mapping[str, Any]) -> str:
    """How exact the places of a source or layer are, as people read it."""
    operation = _held(fact)
    source, target = (short_name_of(CRS.from_user_input(fact[end])) for end in ("from", "to"))
    accuracy = operation.accuracy_m
    distance = "an unknown distance" if accuracy is None else f"{accuracy:g} m"
    return (
        f"Places of {what} may lie {distance} from the true ones: moved from {source} to {target} "
        f"by {operation.name}."
    )
