"""The fast indicators in plain Spark SQL: as an engineer who knows Spark writes them.

Joins and grouped sums only: no function in Python, no arrays. All of it follows from the catalogue,
and it spares what SQL can spare:

1. Each version of an incident meets the polls that see it, and its age there looks up what it
   weighs in every window and decay. One grouped sum per priority, place and poll.
2. Two grouped sums carry these to the cells within reach, first along the columns and then along
   the rows; the weight of a distance is a product of one per axis.
3. One grouped sum per cell and poll makes columns of priorities. A row without incidents per cell
   and poll takes part in it, in place of an outer join.

Weights are the declared whole numbers, so sums are exact and values those of the kernel, bit for
bit. Suspects' homes, off unless settings ask for them, are not among the indicators.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.indicators.indicator import ANY, NEVER_WEEKS, Indicator
from cas_spark.indicators.weights import (
    DECAY_SCALE_BITS,
    GAUSSIAN,
    GAUSSIAN_SCALE_BITS,
    HALO_CELLS,
    weights_by_age,
)

LAST, LAST_BESIDE = "last_week", "last_week_beside"
"""The week of the last incident at a place, and at it or one of the eight around it."""


@dataclass(frozen=True)
class Given:
    """What the indicators of a team are computed from; weeks and polls are places in the calendar.

    Attributes:
        indicators: the fast ones that are asked for.
        priorities: all of the lake.
        cells: cell_id, column, row of the team's kept cells.
        facts: FACT_COLUMNS of the versions in and around the team, instants in microseconds UTC.
        polls: poll, poll_on, poll_at (microseconds UTC), and a column per indicator that follows
            from the date alone.
        calendar_from: the first day of week 0.
        weeks: number of weeks of the calendar.
        zone: of the days.
    """

    indicators: Sequence[Indicator]
    priorities: Sequence[str]
    cells: DataFrame
    facts: DataFrame
    polls: DataFrame
    calendar_from: date
    weeks: int
    zone: ZoneInfo

    @cached_property
    def densities(self) -> Mapping[str, tuple[str, int]]:
        """Column of a weighed sum over places -> the sum over ages in it, and its bandwidth."""
        return {_sum_of(i): (_ages_of(i), i.bandwidth_m) for i in self.indicators if i.bandwidth_m}


def write_plain_sql(given: Given, path: str) -> None:
    """Compute and write a Delta table: poll_on, cell_id and a float column per indicator."""
    at_places = _at_places(given).persist()
    _values(given, at_places).write.format("delta").save(path)
    at_places.unpersist()


def _at_places(given: Given) -> DataFrame:
    """Per priority, place and poll: a sum for each way in which ages count, and LAST."""
    weights = {
        _ages_of(i): weights_by_age(given.weeks, i.window, i.half_life_weeks).tolist()
        for i in given.indicators
        if i.window or i.half_life_weeks
    }
    by_age = given.facts.sparkSession.createDataFrame(
        list(zip(range(given.weeks), *weights.values(), strict=True)), ["age", *weights]
    )
    day = F.to_date(F.from_utc_timestamp(F.timestamp_micros("counts_at"), str(given.zone)))
    week = F.floor(F.datediff(day, F.lit(given.calendar_from)) / 7)
    is_seen = (F.col("known_at") < F.col("poll_at")) & (F.col("superseded_at") >= F.col("poll_at"))
    return (
        given.facts.withColumn("week", week)
        .where(F.col("priority").isin(*given.priorities) & (F.col("week") >= 0))
        .join(
            F.broadcast(given.polls.select("poll", "poll_at")),
            is_seen & (F.col("week") < F.col("poll")),
        )
        .withColumn("age", F.col("poll") - 1 - F.col("week"))
        .join(F.broadcast(by_age), "age")
        .groupBy("priority", "column", "row", "poll")
        .agg(*(F.sum(name).alias(name) for name in weights), F.max("week").alias(LAST))
    )


def _values(given: Given, at_places: DataFrame) -> DataFrame:
    """The rows: poll_on, cell_id and a float column per indicator."""
    in_cells = at_places.join(F.broadcast(given.cells), ["column", "row"]).drop("column", "row")
    none = given.cells.select("cell_id").crossJoin(F.broadcast(given.polls.select("poll")))
    of_cells = (
        in_cells.unionByName(_around_cells(given, at_places), allowMissingColumns=True)
        .unionByName(none, allowMissingColumns=True)
        .groupBy("cell_id", "poll")
        .agg(*_gathered(i for i in given.indicators if i.kind not in {"level", "calendar"}))
    )
    of_team = in_cells.groupBy("poll").agg(
        *_gathered(i for i in given.indicators if i.kind == "level")
    )
    of_polls = given.polls.join(of_team, "poll", "left")
    return of_cells.join(F.broadcast(of_polls), "poll").select(
        "poll_on", "cell_id", *(_value(i).cast("float").alias(i.name) for i in given.indicators)
    )


def _around_cells(given: Given, at_places: DataFrame) -> DataFrame:
    """Per priority, cell and poll: the densities' sums over places, and LAST_BESIDE."""
    rows = at_places.select(
        "priority",
        "column",
        "row",
        "poll",
        *(F.col(ages).alias(name) for name, (ages, _) in given.densities.items()),
        F.col(LAST).alias(LAST_BESIDE),
    )
    columns = given.cells.select("column").distinct()
    crossings = _moved(given, rows, "column").join(F.broadcast(columns), "column")
    crossings = _added(given, crossings, ["priority", "column", "row", "poll"])
    in_cells = _moved(given, crossings, "row").join(F.broadcast(given.cells), ["column", "row"])
    return _added(given, in_cells, ["priority", "cell_id", "poll"])


def _moved(given: Given, rows: DataFrame, axis: str) -> DataFrame:
    """Each row once per step along an axis, with what a place weighs from there."""
    steps = [
        F.struct(
            F.lit(step).alias("step"),
            F.lit(abs(step) <= 1).alias("is_beside"),
            *(
                F.lit(dict(enumerate(GAUSSIAN[metres])).get(abs(step), 0)).alias(_weight_of(metres))
                for metres in sorted({metres for _, metres in given.densities.values()})
            ),
        )
        for step in range(-HALO_CELLS, HALO_CELLS + 1)
    ]
    moved = rows.select("*", F.inline(F.array(*steps)))
    return moved.withColumn(axis, F.col(axis) + F.col("step"))


def _added(given: Given, moved: DataFrame, keys: Sequence[str]) -> DataFrame:
    """What has come together, weighed and added up."""
    return moved.groupBy(*keys).agg(
        *(
            F.sum(F.col(name) * F.col(_weight_of(metres))).alias(name)
            for name, (_, metres) in given.densities.items()
        ),
        F.max(F.when(F.col("is_beside"), F.col(LAST_BESIDE))).alias(LAST_BESIDE),
    )


def _gathered(indicators: Iterable[Indicator]) -> list[Column]:
    """What each indicator takes from rows of all priorities."""
    gathered = []
    for i in indicators:
        column = F.col(_sum_of(i))
        own = column if i.of == ANY else F.when(F.col("priority") == F.lit(i.of), column)
        gathered.append((F.max(own) if i.kind == "weeks_since" else F.sum(own)).alias(i.name))
    return gathered


def _value(i: Indicator) -> Column:
    """The value from what was gathered: the one division, and what stands where nothing was."""
    column = F.col(i.name)
    if i.kind == "calendar":
        return column
    if i.kind == "weeks_since":
        return F.least(F.coalesce(F.col("poll") - column, F.lit(NEVER_WEEKS)), F.lit(NEVER_WEEKS))
    number = F.coalesce(column, F.lit(0))
    if i.kind == "ever":
        return (number > 0).cast("int")
    bits = DECAY_SCALE_BITS if i.half_life_weeks else 0
    bits += 2 * GAUSSIAN_SCALE_BITS if i.bandwidth_m else 0
    return number / F.lit(1 << bits)


def _sum_of(i: Indicator) -> str:
    """The column that an indicator is gathered from."""
    if i.kind == "weeks_since":
        return LAST_BESIDE if i.is_of_block else LAST
    return f"{_ages_of(i)}_around_{i.bandwidth_m}m" if i.bandwidth_m else _ages_of(i)


def _ages_of(i: Indicator) -> str:
    """The column of a way in which ages count."""
    if i.half_life_weeks:
        return f"decayed_{i.half_life_weeks}w"
    newest, oldest = i.window or (0, None)
    return f"from_{newest}w_to_{oldest or 'ever'}w"


def _weight_of(bandwidth_m: int) -> str:
    return f"weight_{bandwidth_m}m"
