"""Maps: the chosen cells of each team, for people to look at and to judge.

A map is a draft, and says so, until a person has published it. The same forecast gives the same
bytes.
"""

import hashlib
import json
import logging
import tempfile
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from matplotlib import colormaps, rc_context
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cas_spark.forecasting.reasons import REASONS, Language, sentences_of
from cas_spark.grid.cells import CELL_SIZE_M, cell_polygons, columns_and_rows
from cas_spark.indicators.catalogue import catalogue_of_lake
from cas_spark.lake.lake import Lake
from cas_spark.lake.outputs import Outputs
from cas_spark.platform import storage
from cas_spark.platform.spread import largest_first, task_per_group
from cas_spark.settings import Settings
from cas_spark.settings.texts import file_stems, one_line

FOLDER = "maps"
ENDINGS = (".gpkg", ".geojson")
"""Of a team's files."""

DRAFT = "DRAFT"
NOTICE = "Draft, not published. It forecasts places, never persons; people decide."
GEOMETRY = "geometry"


def write_maps(
    chosen: DataFrame, cells: DataFrame, settings: Settings, poll: date, lake: Lake
) -> list[str]:
    """Write a GeoPackage and a GeoJSON per team into `<lake>/maps/<poll>`, in place of those there.

    A file there that a person made or changed stays, if need be under another name. The GeoPackage
    is in the grid's CRS, with a layer `<priority>_<horizon>` for each; the GeoJSON (RFC 7946) in
    longitude and latitude, one feature per cell, priority and horizon.

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
    # A task per team, so that no machine ever holds the whole country.
    teams = largest_first(chosen, "team_id")
    stems = file_stems(teams)

    def work(team: str, rows: pa.Table) -> pa.Table:
        with tempfile.TemporaryDirectory() as scratch:
            write_team(team, rows, settings, poll, Path(scratch, stems[team]))
            files = sorted(Path(scratch).iterdir())
            content = [file.read_bytes() for file in files]
            if tasks_reach_lake:
                storage.copy_whole(Path(scratch), target)
            return pa.table(
                {
                    "name": [file.name for file in files],
                    "sha256": [hashlib.sha256(data).hexdigest() for data in content],
                    "content": pa.nulls(len(files), pa.binary()) if tasks_reach_lake else content,
                }
            )

    outputs = maps_of(lake, poll)
    outputs.begin(names_of_maps(poll, teams))
    schema = "name string, sha256 string, content binary"
    written = task_per_group(work, schema, "team_id", teams, rows)
    sums = {}
    for row in written.toLocalIterator() if not tasks_reach_lake else written.collect():
        if row["content"] is not None:
            storage.write_bytes(lake.spark, f"{target}/{row['name']}", row["content"])
        sums[f"{poll}/{row['name']}"] = row["sha256"]
    storage.remove_unfinished(lake.spark, f"{lake.root}/{FOLDER}")
    outputs.end(sums)
    return sorted(f"{lake.root}/{FOLDER}/{name}" for name in sums)


def maps_of(lake: Lake, poll: date) -> Outputs:
    """The maps of a poll in a lake, or in another folder that has them."""
    return Outputs(lake.spark, f"{lake.root}/{FOLDER}", (str(poll),))


def names_of_maps(poll: date, teams: Iterable[str]) -> list[str]:
    """The files of teams' maps, as paths below the folder of all maps."""
    return [f"{poll}/{stem}{ending}" for stem in file_stems(teams).values() for ending in ENDINGS]


def write_team(team: str, rows: pa.Table, settings: Settings, poll: date, stem: Path) -> None:
    """Write a team's two files, `stem` with an ending each, into a local folder; in a task."""
    in_order = rows.sort_by([(name, "ascending") for name in ("priority", "horizon", "rank")])
    features = _features_of(in_order, settings, poll)
    geopackage, geojson = (stem.with_name(f"{stem.name}.{end}") for end in ("gpkg", "geojson"))
    with _gdal_of(poll):
        _write_geopackage(geopackage, features, settings, poll)
        _write_geojson(geojson, team, features, settings, poll)


def _features_of(chosen: pa.Table, settings: Settings, poll: date) -> pa.Table:
    """The chosen cells as both files hold them, with their squares as WKB in the grid's CRS."""
    reasons = chosen["reasons"].combine_chunks()
    flat, numbers = reasons.flatten(), pc.list_value_length(reasons).to_numpy()
    indicators = {i.name: i for i in catalogue_of_lake(settings).indicators}

    def same(text: str | None) -> pa.Array:
        return pa.repeat(pa.scalar(text, pa.string()), len(chosen))

    def sentences(language: Language) -> pa.Array:
        return sentences_of(reasons, indicators, settings.priorities, language)

    def of_reason(number: int, name: str) -> pa.Array:
        places = np.cumsum(numbers) - numbers + number
        return flat.field(name).take(pa.array(places, mask=numbers <= number))

    properties = {
        "cell_id": chosen["cell_id"],
        "team": chosen["team_id"],
        "team_name": chosen["team_name"],
        "priority": chosen["priority"],
        "priority_title": pa.array(
            settings.priorities[name].title for name in chosen["priority"].to_pylist()
        ),
        "horizon": chosen["horizon"],
        "poll": same(poll.isoformat()),
        "target_week": chosen["target_week_on"].cast(pa.string()),
        "rank": chosen["rank"],
        "band": chosen["band"],
        "probability": pc.round(chosen["probability"], 6),
        "stability": chosen["stability"],
        "reasons": sentences("en"),
        "reasons_nl": sentences("nl"),
    }
    for number in range(REASONS):
        raises_by = of_reason(number, "above_mean")
        properties[f"reason_{number + 1}"] = of_reason(number, "indicator")
        properties[f"raises_by_{number + 1}"] = pc.round(raises_by, 4)
    of_groups = pc.list_flatten(chosen["raised_by"])  # of every cell the same groups, in order
    above_mean = pc.struct_field(of_groups, "above_mean").to_numpy().reshape(len(chosen), -1)
    groups = pc.struct_field(of_groups, "group")[: above_mean.shape[1]].to_pylist()
    for group, of_cells in zip(groups, above_mean.T, strict=True):
        properties[f"raised_by_{group}"] = pc.round(pa.array(of_cells), 4)
    properties["status"] = same(DRAFT)
    properties["labels"] = same(" ".join(settings.labels) or None)
    squares = cell_polygons(chosen["cell_id"].to_numpy())
    return pa.table({**properties, GEOMETRY: pa.array(shapely.to_wkb(squares), pa.binary())})


@contextmanager
def _gdal_of(poll: date) -> Iterator[None]:
    """Let GDAL write the poll where it would write the time of writing, and say nothing of it.

    Files are made in a scratch folder and copied when they are whole, so SQLite need not wait for
    the disk after each layer.
    """
    logging.getLogger("pyogrio").setLevel(logging.WARNING)
    options = {"OGR_CURRENT_DATE": f"{poll}T00:00:00.000Z", "OGR_SQLITE_SYNCHRONOUS": "OFF"}
    pyogrio.set_gdal_config_options(options)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(dict.fromkeys(options))


def _write_geopackage(path: Path, features: pa.Table, settings: Settings, poll: date) -> None:
    """A layer per priority and horizon, in the grid's CRS."""
    labels = one_line(" ".join(settings.labels))  # XML has no control characters
    about = {
        "STATUS": DRAFT,
        "NOTICE": NOTICE,
        "LABELS": labels,
        "LAKE": settings.name,
        "POLL": poll.isoformat(),
    }
    layers = pc.binary_join_element_wise(features["priority"], features["horizon"], "_")
    for layer in layers.unique().to_pylist():
        pyogrio.write_arrow(
            features.filter(pc.equal(layers, layer)),
            path,
            layer=layer,
            driver="GPKG",
            geometry_name=GEOMETRY,
            geometry_type="Polygon",
            crs=settings.grid.crs,
            append=path.exists(),
            layer_metadata=about,
            layer_options={
                "IDENTIFIER": f"{layer} ({DRAFT})",
                "DESCRIPTION": f"{NOTICE} {labels}".strip(),
            },
        )


def _write_geojson(
    path: Path, team: str, features: pa.Table, settings: Settings, poll: date
) -> None:
    """A feature per line; what all of them share stands before the features."""
    about = {
        "status": DRAFT,
        "notice": NOTICE,
        "labels": settings.labels,
        "poll": poll.isoformat(),
        "team": team,
    }
    pyogrio.write_arrow(
        features,
        path,
        layer=f"{settings.name} {poll} {team}",
        driver="GeoJSON",
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=settings.grid.crs,
        layer_options={
            "RFC7946": "YES",  # longitude and latitude to a centimetre, counterclockwise
            "AUTODETECT_JSON_STRINGS": "NO",  # a text stays a text, whatever it looks like
            "FOREIGN_MEMBERS_COLLECTION": json.dumps(about, ensure_ascii=False),
        },
    )


LAND, REMOVED = "#ececec", "#b5b5b5"
LONGEST_TITLE = 80
"""Characters that fit the width of a picture."""


@rc_context({"text.parse_math": False})  # a $ in a name is a $
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
            Patch(color=colour, label=f"{one_line(band, 30)} ({number[band]})")
            for band, colour in zip(bands, colours, strict=True)
        ),
        Patch(color=LAND, label=f"not chosen ({int((kinds == 1).sum())})"),
        Patch(color=REMOVED, label=f"removed, no forecast ({int((kinds == 2).sum())})"),  # noqa: PLR2004
    ]
    figure.legend(handles=legend, loc=(0.1, 0.09), ncols=3, fontsize=8.5, frameon=False)
    first = places[0]
    team = land[0]["team_name"] or teams[0]
    title = one_line(f"{settings.priorities[priority].title}, {team}", LONGEST_TITLE)
    figure.text(0.11, 0.962, title, fontsize=14, weight="bold")
    figure.text(
        0.11,
        0.935,
        f"week from {first['target_week_on']}, forecast of {first['poll_on']} ({horizon}); "
        f"cells of {CELL_SIZE_M} by {CELL_SIZE_M} m",
        fontsize=10,
    )
    notice = textwrap.fill(one_line(" ".join([NOTICE, *settings.labels])), 115)
    figure.text(0.11, 0.08, notice, fontsize=8, va="top", color="#333333")
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
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as an empty box; the map is as good without it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
