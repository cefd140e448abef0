"""The area statistics of the settings: what the files say, and what each land cell has of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.area_statistics import (
    KNOWN,
    AreaValues,
    Filled,
    area_values,
    columns_of,
    figures_of,
    together,
    values_of_cells,
)
from cas_spark.grid.layers import read_areas
from cas_spark.knowledge.editions import editions_by_turn
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.settings.geography import AreaEdition, AreaStatistics


@dataclass(frozen=True)
class Edition:
    """An edition that some poll sees, with its areas.

    Attributes:
        source: which figures it has.
        edition: of the settings.
        areas: of `layers.read_areas`.
    """

    source: AreaStatistics
    edition: AreaEdition
    areas: DataFrame

    @property
    def columns(self) -> dict[str, str]:
        """Figure -> the column that holds its values beside those of other editions."""
        day = f"{self.edition.published_on:%Y%m%d}"
        return {f.name: f"{self.source.indicator_of(f)}_{day}" for f in self.source.figures}


def read_editions(job: Job) -> list[Edition]:
    """Read the areas of every edition that polls of the grid version may see.

    Raises:
        CasError: as `read_areas`.
    """
    grid = job.settings.grid
    turns = editions_by_turn(grid, job.settings.polls.weekday_number)
    return [
        Edition(source, edition, _areas_of(job, source, edition))
        for source in grid.area_statistics
        for edition in source.editions
        if any(seen[source.name] == edition for seen in turns.values())
    ]


def _areas_of(job: Job, source: AreaStatistics, edition: AreaEdition) -> DataFrame:
    """The areas of an edition, read once by a command."""
    key = (source.name, edition.published_on)
    if key not in job.areas:
        job.areas[key] = read_areas(
            job.run.lake.spark,
            edition,
            *columns_of(source, edition),
            job.settings.grid.crs,
            job.operations,
            f"grid.area_statistics.{source.name}.{edition.published_on}",
            source.overlaps,
        )
    return job.areas[key]


def write_figures(job: Job, editions: Sequence[Edition]) -> None:
    """Write what the editions say of each area, and what is of no use with its reason."""
    version = job.settings.grid.version
    rows = reduce(
        DataFrame.unionByName, [figures_of(e.areas, e.source, e.edition) for e in editions]
    ).select(
        F.lit(version).alias("grid_version"),
        "*",
        F.lit(job.run.number).cast("long").alias("run_number"),
    )
    with job.run.stage("area statistics") as noted:
        job.run.replace(tables.AREA_STATISTICS, rows, where=f"grid_version = '{version}'")
        counts = _figures(job).groupBy("status").count().orderBy("status").collect()
        noted.update({row["status"]: row["count"] for row in counts})


def figures_of_cells(job: Job, land: DataFrame, editions: Sequence[Edition]) -> DataFrame:
    """The figures of every land cell, of all editions; null where no area has the figure.

    Args:
        job: whose run has written `area_statistics`.
        land: land cells: cell_id, team_id, land_share.
        editions: of `read_editions`.

    Returns:
        cell_id, team_id, land_share, and the columns (double) of each edition.
    """
    cells = land.select("cell_id", "team_id", "land_share")
    # Cutting polygons is what costs, so those that several editions share are cut once.
    by_layer: dict[tuple[str | None, ...], list[Edition]] = {}
    for edition in editions:
        area, _ = columns_of(edition.source, edition.edition)
        layer = edition.edition
        key = (layer.path, layer.layer, area, layer.operation, edition.source.overlaps)
        by_layer.setdefault(key, []).append(edition)
    for of_layer in by_layer.values():
        values = together([_values_of(job, edition) for edition in of_layer])
        cells = cells.join(values_of_cells(of_layer[0].areas, values), "cell_id", "left")
    return cells


def _values_of(job: Job, edition: Edition) -> AreaValues:
    of_edition = (F.col("source") == edition.source.name) & (
        F.col("published_on") == F.lit(edition.edition.published_on)
    )
    figures = _figures(job).where(of_edition)
    return area_values(edition.areas, figures, edition.source, edition.columns)


def note_gaps(job: Job, editions: Sequence[Edition], filled: Mapping[str, Filled]) -> None:
    """Keep in the run's facts, per edition and figure, the areas by status and the cells filled."""
    if not editions:
        return
    found = _figures(job).groupBy("source", "published_on", "figure", "status").count().collect()
    areas: dict[tuple[object, ...], dict[str, int]] = {}
    for row in sorted(found):
        key = (row["source"], row["published_on"], row["figure"])
        areas.setdefault(key, {KNOWN: 0})[row["status"]] = row["count"]
    job.run.facts["area_statistics"] = [
        {
            "source": edition.source.name,
            "published_on": str(edition.edition.published_on),
            "figure": figure,
            "areas": areas[edition.source.name, edition.edition.published_on, figure],
            "cells_filled_from_team": filled[column].from_team,
            "cells_filled_from_all": filled[column].from_all,
        }
        for edition in editions
        for figure, column in edition.columns.items()
    ]


def _figures(job: Job) -> DataFrame:
    version = F.col("grid_version") == job.settings.grid.version
    return job.run.read(tables.AREA_STATISTICS).where(version)
