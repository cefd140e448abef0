"""From polygons to cells: the exact area of each team, or other area, in each cell.

A polygon is cut along the grid's own lines into squares of 256 cells a side, those into squares of
64, and so on down to single cells. A square that lies wholly inside is done at once; only squares
that a border crosses are cut further. So a cell's area comes from one intersection and not from
pieces cut elsewhere, and a full cell is exactly full.

Areas are added as integers (2^-40 of a cell), since sums of doubles would depend on the order in
which a cluster adds them. A share is a whole number of 2^-24 of a cell (9 cm²), so that it keeps
its value as a 32-bit float; what is smaller than half of that is no land. A cell's land share is
rounded once, from all areas, so that a full cell is full however many teams divide it.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.grid.cells import CELL_SIZE_M, cell_id_of
from cas_spark.grid.overlaps import POLYGONS
from cas_spark.platform.spread import shuffle_partitions

SIDES = (256, 64, 16, 4, 1)
AREA_BITS = 40
SHARE_BITS = 24


def tessellate(teams: DataFrame) -> DataFrame:
    """The cells that the teams' polygons cover, each with every team's share of it.

    As `shares_in_cells`; polygons must not overlap but by slivers, which `read_teams` sees to.

    Args:
        teams: team_id, team_name, region (string) and geometry (valid polygons, metres in the
            grid's CRS).

    Returns:
        One row per cell with land: cell_id (long), column and row (int), team_id, team_name and
        region (string; of the team with the largest share, ties by the smallest id), land_share
        (double, 0-1, of all teams together, at most 1) and team_shares (array of team_id and share
        (double, 0-1), by id).
    """
    polygons = teams.select(F.col("team_id").alias("polygon_id"), "geometry")
    # Names join the finished cells: pieces are many more, and move between tasks.
    names = teams.groupBy(F.col("team_id").alias("polygon_id")).agg(
        F.min("team_name").alias("team_name"), F.min("region").alias("region")
    )
    return (
        shares_in_cells(polygons)
        .join(F.broadcast(names), "polygon_id", "inner")
        .select(
            "cell_id",
            "column",
            "row",
            F.col("polygon_id").alias("team_id"),
            "team_name",
            "region",
            "land_share",
            F.transform(
                "shares",
                lambda pair: F.struct(pair["polygon_id"].alias("team_id"), pair["share"]),
            ).alias("team_shares"),
        )
    )


def shares_in_cells(polygons: DataFrame) -> DataFrame:
    """The cells that polygons cover, each with the share of it that every one of them has.

    Share = area (cell ∩ the polygons of an id) / 125² m². The result is the same under any
    partitioning.

    Args:
        polygons: polygon_id (string) and geometry (valid polygons, metres in the grid's CRS).

    Returns:
        One row per cell with land: cell_id (long), column and row (int), polygon_id (the one with
        the largest share, ties by the smallest id), land_share (double, 0-1, of all together, at
        most 1) and shares (array of polygon_id and share (double, 0-1), by id).
    """
    partitions = shuffle_partitions(polygons.sparkSession)
    squares = polygons.select(
        "polygon_id",
        F.lit(None).cast("int").alias("column"),
        F.lit(None).cast("int").alias("row"),
        F.lit(None).cast("int").alias("side"),
        F.col("geometry").alias("piece"),
    ).repartition(partitions)
    for side in SIDES:
        squares = _cut(squares, side)
        if side == SIDES[1]:  # by now no piece is large, so the work spreads evenly
            squares = squares.repartition(partitions, "polygon_id", "column", "row")
    areas = _cells_of(squares).repartition(partitions, "column", "row")
    shares = (
        areas.groupBy("column", "row", "polygon_id")
        .agg(F.sum("area").alias("area"))
        .select("*", _rounded_share(F.col("area")).alias("share"))
        .where(F.col("share") > 0)
    )
    largest_first = F.struct((-F.col("share")).alias("minus_share"), "polygon_id")
    cells = shares.groupBy("column", "row").agg(
        F.min(largest_first).alias("largest"),
        _rounded_share(F.sum("area")).alias("land"),
        F.array_sort(F.collect_list(F.struct("polygon_id", "share"))).alias("shares"),
    )
    return cells.select(
        cell_id_of(F.col("column"), F.col("row")).alias("cell_id"),
        "column",
        "row",
        "largest.polygon_id",
        F.least(_as_share(F.col("land")), F.lit(1.0)).alias("land_share"),
        F.transform(
            "shares",
            lambda pair: F.struct(
                pair["polygon_id"].alias("polygon_id"), _as_share(pair["share"]).alias("share")
            ),
        ).alias("shares"),
    )


def _cut(squares: DataFrame, side: int) -> DataFrame:
    """Cut the pieces that are not full squares along the lines of the next smaller squares."""
    size = side * CELL_SIZE_M
    is_full = F.col("piece").isNull()

    def places(own: str, low: str, high: str) -> Column:
        first = F.floor(F.call_function(low, F.col("piece")) / size).cast("int")
        # A piece that only touches the next square's edge does not reach into it.
        last = F.ceil(F.call_function(high, F.col("piece")) / size).cast("int") - 1
        reached = F.sequence(first * side, F.greatest(first, last) * side, F.lit(side))
        return F.when(is_full, F.array(own)).otherwise(reached)

    candidates = squares.select(
        "polygon_id",
        F.explode(places("column", "ST_XMin", "ST_XMax")).alias("column"),
        places("row", "ST_YMin", "ST_YMax").alias("rows"),
        F.when(is_full, F.col("side")).otherwise(side).alias("side"),
        "piece",
    ).select("polygon_id", "column", F.explode("rows").alias("row"), "side", "piece")
    left, bottom = F.col("column") * CELL_SIZE_M, F.col("row") * CELL_SIZE_M
    square = F.call_function(
        "ST_PolygonFromEnvelope",
        *(edge.cast("double") for edge in (left, bottom, left + size, bottom + size)),
    )
    part = F.call_function(
        "ST_CollectionExtract",
        F.call_function("ST_Intersection", F.col("piece"), square),
        F.lit(POLYGONS),
    )
    area = F.call_function("ST_Area", F.col("part"))
    return (
        # Exploding an array of one keeps Spark from computing the intersection once per use.
        candidates.select(
            "polygon_id",
            "column",
            "row",
            "side",
            is_full.alias("was_full"),
            F.explode(F.array(F.when(~is_full, part))).alias("part"),
        )
        .where(F.col("was_full") | (area > 0))
        .select(
            "polygon_id",
            "column",
            "row",
            "side",
            F.when(area < float(size * size), F.col("part")).alias("piece"),
        )
    )


def _cells_of(squares: DataFrame) -> DataFrame:
    """The cells of the squares, with the polygon's area in 2^-40 of a cell."""
    area = F.call_function("ST_Area", F.col("piece")) / CELL_SIZE_M**2 * 2**AREA_BITS
    last_step = F.col("side") - 1
    return squares.select(
        "polygon_id",
        F.explode(F.sequence("column", F.col("column") + last_step)).alias("column"),
        "row",
        "side",
        F.coalesce(F.rint(area).cast("long"), F.lit(2**AREA_BITS)).alias("area"),
    ).select(
        "polygon_id",
        "column",
        F.explode(F.sequence("row", F.col("row") + last_step)).alias("row"),
        "area",
    )


def _rounded_share(area: Column) -> Column:
    """An area in 2^-40 of a cell, rounded to 2^-24 of a cell, half up."""
    half = 2 ** (AREA_BITS - SHARE_BITS - 1)
    return F.shiftright(area + half, AREA_BITS - SHARE_BITS)


def _as_share(units: Column) -> Column:
    return units / F.lit(2.0**SHARE_BITS)
