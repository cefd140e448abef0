"""Grid: the land cells of the settings' grid version, which are kept and why not, and what is slow.

What is slow of a cell: its land, its surroundings and the figures of its areas, by edition.
"""

from collections.abc import Sequence
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.area_statistics import fill_gaps
from cas_spark.grid.definition import file_digests, grid_definition, layer_paths
from cas_spark.grid.removal import apply_removal
from cas_spark.grid.surroundings import distance_and_number, surroundings_of
from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.editions import editions_by_turn
from cas_spark.knowledge.visibility import known_at
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.area_statistics import (
    Edition,
    figures_of_cells,
    note_gaps,
    read_editions,
    write_figures,
)
from cas_spark.pipelines.steps.ingest import land_cells


def grid(job: Job) -> None:
    """Make the grid version of the settings unless the lake holds it.

    Raises:
        CasError: the lake holds this version with another definition, or no cell would be kept.
    """
    run, settings = job.run, job.settings.grid
    digests = file_digests(run.lake.spark, layer_paths(settings))
    definition = grid_definition(settings, digests)
    version = F.col("grid_version") == settings.version
    held = run.read(tables.CELLS).where(version).select("definition").first()
    if held is not None and held["definition"] != definition:
        raise CasError(
            what=f"grid version {settings.version}",
            found="settings or files other than those the lake's cells were made from",
            expected="the same polygons, removal rules, surroundings and area statistics under the "
            "same version",
            do="Give the changed grid a new grid.version",
        )
    # The lake keeps the slow indicators of one version: the one that was made last.
    if held is not None and not run.read(job.cell_context).where(version).isEmpty():
        review_kept_cells(job)
        return
    editions = read_editions(job)  # names of columns are checked before any polygon is cut
    land = land_cells(job)
    slow = _slow_of(job, land, editions)
    if held is None:
        _make_cells(job, land, _at_turn(job, slow, editions, settings.valid_from), definition)
    _write_context(job, slow, editions)
    if held is not None:
        review_kept_cells(job)


def _slow_of(job: Job, land: DataFrame, editions: Sequence[Edition]) -> DataFrame:
    """What is slow of every land cell: its surroundings, and its figures of every edition.

    Returns:
        cell_id, land_share, the columns of `surroundings_of`, and those of each edition (float).
    """
    settings = job.settings.grid
    if editions:
        write_figures(job, editions)
    with job.run.stage("surroundings and areas") as noted:
        found = figures_of_cells(job, land, editions).persist()
        columns = [column for edition in editions for column in edition.columns.values()]
        figures, filled = fill_gaps(found, columns)
        note_gaps(job, editions, filled)
        noted.update({f"{name} filled": gaps.cells for name, gaps in filled.items() if gaps.cells})
        surroundings = surroundings_of(
            land.select("cell_id"), settings.surroundings, settings.crs, job.operations
        )
        slow = surroundings.join(figures.drop("team_id"), "cell_id", "inner").localCheckpoint()
        found.unpersist()
    return slow


def _at_turn(job: Job, slow: DataFrame, editions: Sequence[Edition], turn: date) -> DataFrame:
    """What is slow as the polls from a turn on see it, with the indicators' names."""
    settings = job.settings.grid
    seen = editions_by_turn(settings, job.settings.polls.weekday_number)[turn]
    figures = {
        edition.source.indicator_of(figure): edition.columns[figure.name]
        for edition in editions
        for figure in edition.source.figures
        if seen[edition.source.name] == edition.edition
    }
    surroundings = [
        name for layer in settings.surroundings for name in distance_and_number(layer.name)
    ]
    return slow.select(
        "cell_id",
        F.col("land_share").cast("float").alias("land_share"),
        *surroundings,
        *(F.col(column).alias(name) for name, column in figures.items()),
    )


def _make_cells(job: Job, land: DataFrame, context: DataFrame, definition: str) -> None:
    run, settings = job.run, job.settings.grid
    version = F.col("grid_version") == settings.version
    with run.stage("grid") as noted:
        cells = land.select(
            F.lit(settings.version).alias("grid_version"),
            *land.columns,
            F.lit(definition).alias("definition"),
        )
        run.append(tables.CELLS, _judged(job, cells, context, _basis(job)))
        kept = run.read(tables.CELLS).where(version).where("is_kept").count()
        noted["cells"] = run.read(tables.CELLS).where(version).count()
        noted["kept"] = kept
    if kept == 0:
        raise CasError(
            what=f"grid version {settings.version}",
            found="every cell removed",
            expected="cells that are kept",
            do="Loosen grid.removal in the settings",
        )


def review_kept_cells(job: Job) -> None:
    """Judge the cells of the settings' grid version again where rules would look at other facts.

    A purge takes away what a rule may have looked at, and a late extract brings what was known
    before; the lake itself holds all else that rules look at.
    """
    run, version = job.run, job.settings.grid.version
    of_version = F.col("grid_version") == version
    held = run.read(tables.CELLS).where(of_version)
    first, basis = held.select("basis").first(), _basis(job)
    if first is None or first["basis"] == basis:
        return
    with run.stage("grid") as noted:
        # Rules look at what was published before the first poll that the version serves.
        first_turn = F.col("valid_from_on") == F.lit(job.settings.grid.valid_from)
        context = run.read(job.cell_context).where(of_version & first_turn)
        land = held.drop("is_kept", "removal_reason", "basis", "run_number")
        judged = _judged(job, land, context, basis).localCheckpoint()
        run.replace(tables.CELLS, judged, where=f"grid_version = '{version}'")
        noted["kept"] = judged.where("is_kept").count()


def _judged(job: Job, land: DataFrame, context: DataFrame, basis: str) -> DataFrame:
    """The rows of `cells`: which are kept, and why not."""
    return apply_removal(
        land, job.settings.grid.removal, _known_before(job).select("cell_id"), context
    ).select(
        "*", F.lit(basis).alias("basis"), F.lit(job.run.number).cast("long").alias("run_number")
    )


def _known_before(job: Job) -> DataFrame:
    """What rules may look at: what was known before the first poll that the version serves."""
    return known_at(job.incidents, instant_of(job.settings.grid.valid_from, job.settings.zone))


def _basis(job: Job) -> str:
    """Return a digest of the incidents that rules look at: of their numbers per cell."""
    hashed = F.xxhash64("cell_id").cast("decimal(38,0)")
    row = _known_before(job).agg(F.count("*").alias("number"), F.sum(hashed).alias("sum")).first()
    return "0 incidents" if row is None else f"{row['number']} incidents, {row['sum'] or 0}"


def _write_context(job: Job, slow: DataFrame, editions: Sequence[Edition]) -> None:
    """Write the slow indicators, a set of rows for each turn of the area statistics."""
    settings = job.settings.grid
    with job.run.stage("cell context") as noted:
        turns = editions_by_turn(settings, job.settings.polls.weekday_number)
        context = [
            _at_turn(job, slow, editions, turn).select(
                F.lit(settings.version).alias("grid_version"),
                F.lit(turn).alias("valid_from_on"),
                "*",
            )
            for turn in turns
        ]
        job.run.replace(job.cell_context, reduce(DataFrame.unionByName, context))
        noted["sets of rows"] = len(turns)
