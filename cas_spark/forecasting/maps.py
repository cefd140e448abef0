"""Maps: the chosen cells of each team, for people to look at and to judge.

A map is a draft, and says so, until a person has published it. The same forecast gives the same
bytes.
"""

import json
import logging
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyogrio
import shapely
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cas_spark.forecasting.reasons import REASONS, sentence_of
from cas_spark.grid.cells import CELL_SIZE_M, cell_polygons, columns_and_rows
from cas_spark.indicators.catalogue import catalogue_of_lake
from cas_spark.indicators.indicator import Indicator
from cas_spark.lake import storage
from cas_spark.lake.lake import Lake
from cas_spark.lake.spread import task_per_group
from cas_spark.settings import Settings

FOLDER = "maps"
DRAFT = "DRAFT"
NOTICE = "Draft, not published. It forecasts places, never persons; people decide."
DECIMALS = 7  # of a degree: a centimetre
CORNERS_OF_A_CELL = 4


@dataclass(frozen=True)
class _Place:
    """A chosen cell with its properties, as both files hold it."""

    layer: str
    cell_id: int
    properties: Mapping[str, Any]


def write_maps(
    chosen: DataFrame, cells: DataFrame, settings: Settings, poll: date, lake: Lake
) -> list[str]:
    """Write a GeoPackage and a GeoJSON per team into `<lake>/maps/<poll>`, replacing that folder.

    The GeoPackage is in the grid's CRS, with a layer `<priority>_<horizon>` for each; the GeoJSON
    (RFC 7946) in longitude and latitude, one feature per cell, priority and horizon.

    Args:
        chosen: rows of `forecasts` of the poll that are chosen.
        cells: rows of `cells` of the grid's version.
        settings: of the lake.
        poll: of the forecast.
        lake: that gets the maps.

    Returns:
        The paths of the files, sorted.
    """
    target = f"{lake.root}/{FOLDER}/{poll}"
    names = cells.groupBy("team_id").agg(F.min("team_name").alias("team_name"))
    rows = chosen.join(F.broadcast(names), "team_id", "left").select(
        "team_id",
        "team_name",
        "priority",
        "horizon",
        "rank",
        "cell_id",
        "band",
        "probability",
        "stability",
        "target_week_on",
        "reasons",
        "raised_by",
    )

    tasks_reach_lake = settings.resources.storage_access == "arrow"

    def work(team: str, rows: pa.Table) -> pa.Table:
        with tempfile.TemporaryDirectory() as scratch:
            _write_team(team, rows, settings, poll, Path(scratch))
            if tasks_reach_lake:
                paths = storage.copy_whole(Path(scratch), target)
                return pa.table({"path": paths, "content": pa.nulls(len(paths), pa.binary())})
            files = sorted(Path(scratch).iterdir())
            paths = [f"{target}/{file.name}" for file in files]
            return pa.table({"path": paths, "content": [file.read_bytes() for file in files]})

    storage.delete(lake.spark, target)
    # A task per team, so that no machine ever holds the whole country.
    written = task_per_group(work, "path string, content binary", "team_id", rows)
    paths = []
    for row in written.toLocalIterator() if not tasks_reach_lake else written.collect():
        if row["content"] is not None:
            storage.write_bytes(lake.spark, row["path"], row["content"])
        paths.append(row["path"])
    return sorted(paths)


def _write_team(team: str, rows: pa.Table, settings: Settings, poll: date, folder: Path) -> None:
    """Write a team's two files into a local folder; in a task."""
    indicators = {i.name: i for i in catalogue_of_lake(settings).indicators}
    order = ["priority", "horizon", "rank"]
    in_order = rows.sort_by([(name, "ascending") for name in order])
    places = [_place_of(row, settings, poll, indicators) for row in in_order.to_pylist()]
    stem = quote(team, safe="")  # an id may hold a slash
    _write_geopackage(folder / f"{stem}.gpkg", places, settings, poll)
    _write_geojson(folder / f"{stem}.geojson", team, places, settings, poll)


def _place_of(
    row: Mapping[str, Any],
    settings: Settings,
    poll: date,
    indicators: Mapping[str, Indicator],
) -> _Place:
    reasons = row["reasons"]
    properties = {
        "cell_id": row["cell_id"],
        "team": row["team_id"],
        "team_name": row["team_name"],
        "priority": row["priority"],
        "priority_title": settings.priorities[row["priority"]].title,
        "horizon": row["horizon"],
        "poll": poll.isoformat(),
        "target_week": row["target_week_on"].isoformat(),
        "rank": row["rank"],
        "band": row["band"],
        "probability": round(row["probability"], 6),
        "stability": row["stability"],
        "reasons": sentence_of(reasons, indicators, settings.priorities),
        "reasons_nl": sentence_of(reasons, indicators, settings.priorities, "nl"),
    }
    for number in range(REASONS):
        reason = reasons[number] if number < len(reasons) else None
        properties[f"reason_{number + 1}"] = reason and reason["indicator"]
        properties[f"raises_by_{number + 1}"] = reason and round(reason["above_mean"], 4)
    for pair in row["raised_by"]:
        properties[f"raised_by_{pair['group']}"] = round(pair["above_mean"], 4)
    properties["status"] = DRAFT
    properties["labels"] = " ".join(settings.labels) or None
    return _Place(f"{row['priority']}_{row['horizon']}", row["cell_id"], properties)


def _write_geopackage(path: Path, places: Sequence[_Place], settings: Settings, poll: date) -> None:
    """A layer per priority and horizon, in the grid's CRS."""
    about = {
        "STATUS": DRAFT,
        "NOTICE": NOTICE,
        "LABELS": " ".join(settings.labels),
        "LAKE": settings.name,
        "POLL": poll.isoformat(),
    }
    with _clock_standing_at(poll):
        for layer, of_layer in groupby(places, lambda place: place.layer):
            pyogrio.write_dataframe(
                _frame_of(list(of_layer), settings),
                path,
                layer=layer,
                driver="GPKG",
                append=path.exists(),
                layer_metadata=about,
                layer_options={
                    "IDENTIFIER": f"{layer} ({DRAFT})",
                    "DESCRIPTION": " ".join([NOTICE, *settings.labels]),
                },
            )


def _frame_of(places: Sequence[_Place], settings: Settings) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame(
        [place.properties for place in places],
        geometry=cell_polygons([place.cell_id for place in places]),
        crs=settings.grid.crs,
    )
    # Columns that hold nothing in this layer keep their type, so that all layers are alike.
    texts = [f"reason_{number + 1}" for number in range(REASONS)]
    numbers = ["stability", *(f"raises_by_{number + 1}" for number in range(REASONS))]
    kinds = {
        **dict.fromkeys(["team_name", "labels", *texts], "str"),
        **dict.fromkeys(numbers, float),
    }
    return frame.astype(kinds)


@contextmanager
def _clock_standing_at(poll: date) -> Iterator[None]:
    """Let GDAL write the poll where it would write the time of writing, and say nothing of it."""
    logging.getLogger("pyogrio").setLevel(logging.WARNING)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{poll}T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _write_geojson(
    path: Path, team: str, places: Sequence[_Place], settings: Settings, poll: date
) -> None:
    """A feature per line; what holds for all of them stands before the features."""
    projected = gpd.GeoSeries(
        cell_polygons([place.cell_id for place in places]), crs=settings.grid.crs
    )
    degrees = shapely.transform(
        projected.to_crs("EPSG:4326").to_numpy(), lambda points: np.round(points, DECIMALS)
    )
    # RFC 7946: outer rings run counterclockwise, whichever way the grid's axes point.
    polygons = shapely.orient_polygons(degrees, exterior_cw=False)
    corners = CORNERS_OF_A_CELL + 1  # the first stands at the end again
    rings = shapely.get_coordinates(polygons).reshape(len(places), corners, 2).tolist()
    header = {
        "type": "FeatureCollection",
        "name": f"{settings.name} {poll} {team}",
        "status": DRAFT,
        "notice": NOTICE,
        "labels": settings.labels,
        "poll": poll.isoformat(),
        "team": team,
    }
    features = [
        json.dumps(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": place.properties,
            },
            ensure_ascii=False,
        )
        for ring, place in zip(rings, places, strict=True)
    ]
    opening = json.dumps(header, ensure_ascii=False).removesuffix("}")
    text = f'{opening}, "features": [\n' + ",\n".join(features) + "\n]}\n"
    path.write_text(text, encoding="utf-8")


LAND, REMOVED = "#ececec", "#b5b5b5"


def draw_map(
    cells: Iterable[Row], chosen: Iterable[Row], settings: Settings, priority: str, horizon: str
) -> Figure:
    """A picture of one team, priority and horizon.

    Colours run from dark to light with the band, so they also differ in grey and to people who see
    few colours.

    Args:
        cells: rows of `cells` of the team, kept and removed.
        chosen: rows of `forecasts` that are chosen; others than of the priority and horizon are
            left out.
        settings: of the lake.
        priority: to draw.
        horizon: to draw.

    Raises:
        ValueError: there are no cells, cells of several teams, or no chosen cell to draw.
    """
    land = list(cells)
    teams = sorted({row["team_id"] for row in land})
    places = [
        row
        for row in chosen
        if (row["priority"], row["horizon"]) == (priority, horizon) and row["team_id"] in teams
    ]
    if len(teams) != 1 or not places:
        raise ValueError(
            f"a map is of one team and its chosen cells: found teams {teams} and {len(places)} "
            f"chosen cells of {priority}, {horizon}"
        )
    bands = [band.name for band in settings.forecast.bands]
    colours = [colormaps["inferno"](shade) for shade in np.linspace(0.2, 0.8, len(bands))]
    of_band = {row["cell_id"]: bands.index(row["band"]) + 3 for row in places}
    ids = np.array([row["cell_id"] for row in land])
    kinds = np.array([of_band.get(row["cell_id"], 1 if row["is_kept"] else 2) for row in land])
    picture, extent = _raster(ids, kinds)

    figure = Figure(figsize=(8, 9), dpi=120)
    axes = figure.add_axes((0.11, 0.19, 0.84, 0.73))
    palette = ListedColormap(["#ffffff", LAND, REMOVED, *colours])
    axes.imshow(
        picture,
        origin="lower",
        extent=extent,
        cmap=palette,
        vmin=0,
        vmax=len(bands) + 2,
        interpolation="nearest",
    )
    axes.add_collection(LineCollection(_outline(ids), colors="#333333", linewidths=0.9))
    axes.text(
        0.5, 0.5, DRAFT, transform=axes.transAxes, fontsize=90, rotation=30, color="#000000",
        alpha=0.1, ha="center", va="center", weight="bold",
    )  # fmt: skip
    axes.set_xlabel("km east")
    axes.set_ylabel("km north")
    axes.ticklabel_format(useOffset=False, style="plain")
    number = {band: sum(row["band"] == band for row in places) for band in bands}
    legend = [
        *(
            Patch(color=colour, label=f"{band} ({number[band]})")
            for band, colour in zip(bands, colours, strict=True)
        ),
        Patch(color=LAND, label=f"not chosen ({int((kinds == 1).sum())})"),
        Patch(color=REMOVED, label=f"removed, no forecast ({int((kinds == 2).sum())})"),  # noqa: PLR2004
    ]
    figure.legend(handles=legend, loc=(0.1, 0.09), ncols=3, fontsize=8.5, frameon=False)
    first = places[0]
    team = land[0]["team_name"] or teams[0]
    figure.text(
        0.11, 0.962, f"{settings.priorities[priority].title}, {team}", fontsize=14, weight="bold"
    )
    figure.text(
        0.11,
        0.935,
        f"week from {first['target_week_on']}, forecast of {first['poll_on']} ({horizon}); "
        f"cells of {CELL_SIZE_M} by {CELL_SIZE_M} m",
        fontsize=10,
    )
    said = textwrap.fill(" ".join([NOTICE, *settings.labels]), 115)
    figure.text(0.11, 0.08, said, fontsize=8, va="top", color="#333333")
    return figure


def _raster(
    ids: npt.NDArray[np.int64], kinds: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], tuple[float, float, float, float]]:
    """The kind of every cell in the rectangle around them, 0 outside, and its extent in km."""
    columns, rows = columns_and_rows(ids)
    left, bottom = columns.min() - 1, rows.min() - 1
    picture = np.zeros((rows.max() - bottom + 2, columns.max() - left + 2), dtype=np.int64)
    picture[rows - bottom, columns - left] = kinds
    size = CELL_SIZE_M / 1000
    height, width = picture.shape
    extent = (left * size, (left + width) * size, bottom * size, (bottom + height) * size)
    return picture, extent


def _outline(ids: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float64]]:
    """The border of all these cells together, as lines in km."""
    border = shapely.boundary(shapely.coverage_union_all(cell_polygons(ids)))
    lines = [part for part in shapely.get_parts(border) if not part.is_empty]
    return [shapely.get_coordinates(line) / 1000 for line in lines]


def as_png(figure: Figure) -> bytes:
    """The picture as PNG, without the version of what drew it."""
    data = BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
