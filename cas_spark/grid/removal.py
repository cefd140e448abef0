"""Which cells get no forecast, and why: rules from the settings over numbers of a cell.

A rule removes a cell when all its conditions hold, and the first rule that does gives the reason. A
removed cell stays a land cell: it keeps its row, and every measure still divides by it.
"""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.cells import ROW_STEP, offsets_within
from cas_spark.settings.geography import RemovalCondition, RemovalRule

INCIDENTS = "incidents"
LAND_SHARE = "land_share"


def apply_removal(
    cells: DataFrame, rules: Sequence[RemovalRule], incidents: DataFrame, context: DataFrame
) -> DataFrame:
    """Return for every cell whether it is kept, or else the first rule that removes it.

    `below` and `above` are strict: a cell exactly at the bound is kept.

    Args:
        cells: cell_id (long), land_share (0-1), and whatever else.
        rules: in order of precedence; none keeps every cell.
        incidents: cell_id (long), one row per incident that may count. Which may (those known
            before the first poll that the grid version serves) is up to the caller.
        context: cell_id (long), and for every cell what rules ask for: `..._distance_m` (metres)
            and figures of area statistics, as the first poll of the grid version sees them.

    Returns:
        The columns of `cells`, is_kept (boolean) and removal_reason (string; null where kept).

    Raises:
        CasError: a rule asks for a number that no column gives. A cell without such a number
            fails the job that uses the result.
    """
    reasons = [F.when(_all_hold(rule), F.lit(rule.reason)) for rule in rules]
    measured = measure_cells(cells, rules, incidents, context)
    return measured.select(
        *cells.columns, F.coalesce(*reasons, F.lit(None).cast("string")).alias("removal_reason")
    ).select(*cells.columns, F.col("removal_reason").isNull().alias("is_kept"), "removal_reason")


def measure_cells(
    cells: DataFrame, rules: Sequence[RemovalRule], incidents: DataFrame, context: DataFrame
) -> DataFrame:
    """Add to the cells the numbers that rules ask for.

    Arguments and errors are those of `apply_removal`.

    Returns:
        The columns of `cells`; `incidents_within_..._m` (long) for each distance asked: the number
        of incidents in cells whose centre lies no further than that from the cell's centre (0: in
        the cell itself); and each number of `context` asked.
    """
    conditions = [condition for rule in rules for condition in rule.all]
    measured = cells
    for within_m in sorted({c.within_m for c in conditions if c.measure == INCIDENTS}):
        name = _incidents_within(within_m)
        number = _incidents_near(incidents, within_m).withColumnRenamed("incidents", name)
        measured = measured.join(number, on="cell_id", how="left").fillna(0, subset=[name])
    numbers = sorted({c.measure for c in conditions} - {INCIDENTS, LAND_SHARE})
    missing = sorted(set(numbers) - set(context.columns))
    if missing:
        raise CasError(
            what="removal rules",
            found=f"conditions on {', '.join(missing)}",
            expected=f"one of {', '.join(sorted({INCIDENTS, LAND_SHARE, *context.columns}))}",
            do="Declare these surroundings or area statistics in the settings, or mend the rules",
        )
    if not numbers:
        return measured
    joined = measured.join(context.select("cell_id", *numbers), on="cell_id", how="left")
    # A comparison with null would keep the cell without a word.
    return joined.select(*measured.columns, *(_never_null(name).alias(name) for name in numbers))


def _incidents_near(incidents: DataFrame, within_m: float) -> DataFrame:
    """The cells with incidents within a distance, and their number: cell_id, incidents."""
    counted = incidents.groupBy("cell_id").agg(F.count(F.lit(1)).alias("incidents"))
    columns, rows = offsets_within(within_m)
    steps = (rows * ROW_STEP + columns).tolist()
    near = F.explode(F.lit(steps).cast("array<bigint>")).alias("step")
    return (
        counted.select("cell_id", "incidents", near)
        .select((F.col("cell_id") + F.col("step")).alias("cell_id"), "incidents")
        .groupBy("cell_id")
        .agg(F.sum("incidents").alias("incidents"))
    )


def _all_hold(rule: RemovalRule) -> Column:
    return reduce(lambda so_far, condition: so_far & condition, map(_holds, rule.all))


def _holds(condition: RemovalCondition) -> Column:
    is_count = condition.measure == INCIDENTS
    measure = F.col(_incidents_within(condition.within_m) if is_count else condition.measure)
    if condition.below is not None:
        return measure < F.lit(condition.below)
    return measure > F.lit(condition.above)


def _incidents_within(within_m: float) -> str:
    return f"incidents_within_{within_m:g}_m".replace(".", "_")


def _never_null(number: str) -> Column:
    message = F.concat(F.lit(f"no {number} for cell "), F.col("cell_id"))
    return F.coalesce(F.col(number), F.raise_error(message).cast("float"))
