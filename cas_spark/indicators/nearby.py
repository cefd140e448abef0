"""Which facts may matter to a team: those in and around it, so that no border cuts a window."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.cells import column_of, row_of
from cas_spark.indicators.suspect_kernels import SUSPECT_COLUMNS
from cas_spark.indicators.team import FACT_COLUMNS
from cas_spark.indicators.weights import HALO_CELLS
from cas_spark.knowledge.visibility import NEVER, counts_at

TILE_CELLS = 16
"""Facts find the teams near them by tiles of this many cells; at least as wide as the halo."""

if TILE_CELLS < HALO_CELLS:
    message = f"tiles of {TILE_CELLS} cells are narrower than the halo of {HALO_CELLS}"
    raise ValueError(message)


def facts_near_teams(cells: DataFrame, incidents: DataFrame) -> DataFrame:
    """Each version of an incident once per team that it may matter to, as numbers."""
    facts = incidents.select(
        "priority",
        column_of(F.col("cell_id")).alias("column"),
        row_of(F.col("cell_id")).alias("row"),
        F.unix_micros(counts_at()).alias("counts_at"),
        *_instants(),
    )
    return near_teams(cells, facts).select("near_team_id", *FACT_COLUMNS)


def suspects_near_teams(cells: DataFrame, suspects: DataFrame) -> DataFrame:
    """Each version of a link once per team near the suspect's home, as numbers."""
    links = suspects.select(
        "priority",
        "suspect_key",
        column_of(F.col("home_cell_id")).alias("column"),
        row_of(F.col("home_cell_id")).alias("row"),
        *_instants(),
    )
    return near_teams(cells, links).select("near_team_id", *SUSPECT_COLUMNS)


def _instants() -> list[Column]:
    return [
        F.unix_micros("known_at").alias("known_at"),
        F.coalesce(F.unix_micros("superseded_at"), F.lit(NEVER)).alias("superseded_at"),
    ]


def near_teams(cells: DataFrame, facts: DataFrame) -> DataFrame:
    """Add `near_team_id`: each fact once per team whose tiles it lies in or next to.

    Args:
        cells: kept cells: team_id, column, row.
        facts: column, row of their cell, and whatever else.
    """
    tile = [F.floor(F.col(axis) / TILE_CELLS).cast("int") for axis in ("column", "row")]
    around = F.array(*[F.lit(step) for step in (-1, 0, 1)])
    tiles = (
        cells.select("team_id", tile[0].alias("tile_column"), tile[1].alias("tile_row"))
        .distinct()
        .select("team_id", F.explode(around).alias("right"), "tile_column", "tile_row")
        .select("team_id", "right", F.explode(around).alias("up"), "tile_column", "tile_row")
        .select(
            F.col("team_id").alias("near_team_id"),
            (F.col("tile_column") + F.col("right")).alias("tile_column"),
            (F.col("tile_row") + F.col("up")).alias("tile_row"),
        )
        .distinct()
    )
    tiled = facts.select("*", tile[0].alias("tile_column"), tile[1].alias("tile_row"))
    return tiled.join(F.broadcast(tiles), ["tile_column", "tile_row"], "inner")
