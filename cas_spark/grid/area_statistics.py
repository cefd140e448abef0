"""From areas to cells: what a cell has of the figures of the areas that it lies in.

A number of an area, such as its inhabitants, is shared out over its cells by surface; of a density,
percentage or mean a cell gets the mean of its areas, weighed by the surface that each has in it. A
cell of which no area has the figure gets the mean of its team.

The tessellation that cuts the teams also computes which area has how much of a cell. The areas,
some thousands, go to every task; a cell's sum runs over its areas in the order of their ids, and
means are of whole numbers, so that a value is the same on any machine.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType, StructField, StructType

from cas_spark.errors import CasError
from cas_spark.grid.cells import CELL_SIZE_M, Doubles
from cas_spark.grid.tessellation import SHARE_BITS, shares_in_cells
from cas_spark.settings.geography import AreaEdition, AreaFigure, AreaStatistics

STEPS = 1 << 16
"""Values are whole numbers of 2^-16, finer than a model reads them."""

KNOWN = "known"


def columns_of(source: AreaStatistics, edition: AreaEdition) -> tuple[str, dict[str, str]]:
    """The column with an area's id in the file of an edition, and figure -> column."""

    def here(column: str) -> str:
        return edition.renamed.get(column, column)

    return here(source.area), {figure.name: here(figure.column) for figure in source.figures}


def figures_of(areas: DataFrame, source: AreaStatistics, edition: AreaEdition) -> DataFrame:
    """What an edition says of each area, figure by figure; what is of no use has its reason.

    Args:
        areas: of `layers.read_areas`.
        source: which figures, and which numbers stand for a missing one.
        edition: that the areas were read from.

    Returns:
        One row per area and figure: source, published_on, area_id, figure, value (double; null
        unless known), status (`known`; `empty`, `marked_missing`: one of `source.missing`,
        `not_a_number`, or `negative`: a number of something below zero) and found (the text in
        place of a value).
    """
    structs = [_as_struct(figure, source.missing) for figure in source.figures]
    return areas.select(
        F.lit(source.name).alias("source"),
        F.lit(edition.published_on).alias("published_on"),
        "area_id",
        F.inline(F.array(*structs)),
    )


def _as_struct(figure: AreaFigure, missing: Sequence[float]) -> Column:
    text = F.col("figures")[figure.name]
    number = text.try_cast("double")
    status = (
        F.when(text.isNull(), "empty")
        .when(number.isin(list(missing)), "marked_missing")
        .when(number.isNull() | F.isnan(number) | (F.abs(number) == float("inf")), "not_a_number")
        .when(F.lit(figure.kind == "share_out") & (number < 0), "negative")
        .otherwise(KNOWN)
    )
    is_known = status == KNOWN
    return F.struct(
        F.lit(figure.name).alias("figure"),
        F.when(is_known, number).alias("value"),
        status.alias("status"),
        F.when(~is_known, text).alias("found"),
    )


@dataclass(frozen=True)
class AreaValues:
    """The figures of the areas of an edition, as tasks take them.

    Attributes:
        area_ids: of the areas.
        surface: of each area, in cells.
        figures: column -> whether it is a number of the area that is shared out, and its value
            for each area, NaN where there is none.
    """

    area_ids: pa.Array
    surface: Doubles
    figures: Mapping[str, tuple[bool, Doubles]]


def area_values(
    areas: DataFrame, figures: DataFrame, source: AreaStatistics, columns: Mapping[str, str]
) -> AreaValues:
    """Collect the figures of an edition.

    Args:
        areas: of `layers.read_areas`.
        figures: of `figures_of`, of the same edition.
        source: of both.
        columns: figure -> name of the column that its values get.
    """
    surface = F.call_function("ST_Area", F.col("geometry")) / CELL_SIZE_M**2
    places = areas.select("area_id", surface.alias("surface")).orderBy("area_id").toArrow()
    area_ids = places.column("area_id").combine_chunks()
    rows = figures.where(F.col("value").isNotNull()).select("area_id", "figure", "value").toArrow()
    place = pc.index_in(rows.column("area_id"), area_ids).to_numpy()
    name, value = rows.column("figure").combine_chunks(), rows.column("value").to_numpy()
    values = {}
    for figure in source.figures:
        of_areas = np.full(len(area_ids), np.nan)
        is_of_figure = pc.equal(name, figure.name).to_numpy(zero_copy_only=False)
        of_areas[place[is_of_figure]] = value[is_of_figure]
        values[columns[figure.name]] = (figure.kind == "share_out", of_areas)
    return AreaValues(area_ids, places.column("surface").to_numpy(), values)


def together(values: Sequence[AreaValues]) -> AreaValues:
    """The figures of several editions of the same areas, as those of one."""
    first = values[0]
    figures = {column: figure for of in values for column, figure in of.figures.items()}
    return AreaValues(first.area_ids, first.surface, figures)


def values_of_cells(areas: DataFrame, values: AreaValues) -> DataFrame:
    """The figures of every cell that an area reaches into.

    Args:
        areas: of `layers.read_areas`.
        values: of `area_values`, of the same areas.

    Returns:
        One row per cell: cell_id (long) and a column per figure (double, whole numbers of 2^-16;
        null where none of its areas has the figure).
    """
    polygons = areas.select(F.col("area_id").alias("polygon_id"), "geometry")
    schema = StructType(
        [
            StructField("cell_id", LongType(), nullable=False),
            *(StructField(column, DoubleType()) for column in values.figures),
        ]
    )
    shared = areas.sparkSession.sparkContext.broadcast(values)
    cells = shares_in_cells(polygons).select(
        "cell_id",
        F.col("shares.polygon_id").alias("area_ids"),
        F.col("shares.share").alias("shares"),
    )
    return cells.mapInArrow(_interpolator(lambda: shared.value), schema)


def _interpolator(
    values: Callable[[], AreaValues],
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def interpolate(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        of_areas = values()
        for batch in batches:
            numbers = interpolated(batch["area_ids"], batch["shares"], of_areas)
            arrays = [pa.array(v, mask=np.isnan(v)) for v in numbers.values()]
            yield pa.RecordBatch.from_arrays(
                [batch["cell_id"], *arrays], names=["cell_id", *numbers]
            )

    return interpolate


def interpolated(
    area_ids: pa.ListArray, shares: pa.ListArray, of_areas: AreaValues
) -> dict[str, Doubles]:
    """The figures of cells from those of their areas; pure.

    share_out: the sum over its areas of value x surface in the cell / surface of the area.
    average: the sum of value x share / the sum of share, over the areas that have the figure.

    Args:
        area_ids: of each cell, sorted.
        shares: the same areas' shares of the cell, 0-1.
        of_areas: their figures.

    Returns:
        Figure's column -> a value per cell, rounded to 2^-16; NaN where no area has the figure.
    """
    cells = len(area_ids)
    lengths = pc.list_value_length(area_ids).to_numpy(zero_copy_only=False)
    cell = np.repeat(np.arange(cells), lengths)
    area = pc.index_in(area_ids.flatten(), of_areas.area_ids).to_numpy(zero_copy_only=False)
    share = shares.flatten().to_numpy()
    numbers = {}
    for column, (is_shared_out, values) in of_areas.figures.items():
        value = values[area]
        is_known = ~np.isnan(value)
        weight = share / of_areas.surface[area] if is_shared_out else share
        # Adds up in the order of the areas: the same bits on every machine.
        total = np.bincount(cell[is_known], (value * weight)[is_known], minlength=cells)
        known = np.bincount(cell[is_known], share[is_known], minlength=cells)
        divisor = np.where(known > 0, 1.0 if is_shared_out else known, np.nan)
        numbers[column] = np.rint(total / divisor * STEPS) / STEPS
    return numbers


@dataclass(frozen=True)
class Filled:
    """How many cells got a mean, since no area had the figure: of their team, or of all cells."""

    from_team: int
    from_all: int

    @property
    def cells(self) -> int:
        """All cells that were filled."""
        return self.from_team + self.from_all


def fill_gaps(cells: DataFrame, columns: Sequence[str]) -> tuple[DataFrame, dict[str, Filled]]:
    """Give the cells without a figure the mean of their team, or else of all cells.

    Means are weighed by the cells' land. It runs a job, so give cells that are stored.

    Args:
        cells: cell_id, team_id, land_share (whole numbers of 2^-24) and the columns (double, whole
            numbers of 2^-16, or null).
        columns: to fill.

    Returns:
        The cells, columns as floats without nulls; and for each column how many were filled.

    Raises:
        CasError: a column has no value at all.
    """
    if not columns:
        return cells, {}
    # Doubles become decimals by way of longs: Spark's own way, by way of text, is far slower.
    land = F.rint(F.col("land_share") * 2**SHARE_BITS).cast("long").cast("decimal(10,0)")

    def sums(column: str) -> Column:
        is_known, steps = F.col(column).isNotNull(), F.rint(F.col(column) * STEPS).cast("long")
        return F.struct(
            F.sum(steps.cast("decimal(20,0)") * land).alias("total"),
            F.sum(F.when(is_known, land)).alias("land"),
            F.count_if(~is_known).alias("gaps"),
        ).alias(column)

    teams = cells.groupBy("team_id").agg(*(sums(column) for column in columns)).collect()
    means = {column: _means_of(column, teams) for column in columns}
    filled = {
        column: Filled(
            from_team=sum(r[column]["gaps"] for r in teams if r[column]["land"]),
            from_all=sum(r[column]["gaps"] for r in teams if not r[column]["land"]),
        )
        for column in columns
    }
    rows = [(r["team_id"], *(means[column][r["team_id"]] for column in columns)) for r in teams]
    schema = StructType(
        [cells.schema["team_id"], *(StructField(f"mean {c}", DoubleType()) for c in columns)]
    )
    of_team = F.broadcast(cells.sparkSession.createDataFrame(rows, schema))
    others = [name for name in cells.columns if name not in columns]
    whole = cells.join(of_team, "team_id", "inner").select(
        *others,
        *(F.coalesce(column, f"mean {column}").cast("float").alias(column) for column in columns),
    )
    return whole, filled


def _means_of(column: str, teams: Sequence[Row]) -> dict[str, float]:
    """Team -> the mean of its cells, or of all cells where it has none; exact, then rounded."""
    known = [row for row in teams if row[column]["land"]]
    if not known:
        raise CasError(
            what=f"area statistics, {column}",
            found="no cell in an area that has the figure",
            expected="areas that cover the teams, with numbers",
            do="Look in the table area_statistics for what the file holds; mend the column, the "
            "numbers in `missing`, or the file's CRS",
        )
    total = sum(int(row[column]["total"]) for row in known)
    land = sum(int(row[column]["land"]) for row in known)

    def mean(total: int, land: int) -> float:
        return (2 * total + land) // (2 * land) / STEPS

    return {
        row["team_id"]: mean(int(row[column]["total"]), int(row[column]["land"]))
        if row[column]["land"]
        else mean(total, land)
        for row in teams
    }
