"""One task per group: large groups must not share one by an accident of hashing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

SLOT = "slot"


def shuffle_partitions(spark: SparkSession) -> int:
    """In how many parts Spark splits what it shuffles, by the settings of its session."""
    return int(spark.conf.get("spark.sql.shuffle.partitions") or 1)


def largest_first(rows: DataFrame, group: str) -> list[str]:
    """The groups, those with most rows first, so that no core ends alone with a large one.

    It runs a job, so give it rows that cost little.
    """
    sizes = rows.groupBy(group).count().collect()
    return [row[group] for row in sorted(sizes, key=lambda row: (-row["count"], row[group]))]


def slots_of(spark: SparkSession, groups: Sequence[str]) -> dict[str, int]:
    """A number for each group, such that each falls into a partition of its own.

    Spark places a row by the hash of its key; so these are keys whose hashes differ.

    Args:
        spark: the session.
        groups: in the order in which they should start, the largest first.
    """
    number = len(groups)
    partition = F.pmod(F.hash("id"), F.lit(number)).alias("partition")
    keys: dict[int, int] = {}
    start, step = 0, 64 * (number + 1)
    while len(keys) < number:
        for row in spark.range(start, start + step).select("id", partition).collect():
            keys.setdefault(row["partition"], row["id"])
        start += step
    return {group: keys[place] for place, group in enumerate(groups)}


def one_task_each(rows: DataFrame, group: str, slots: Mapping[str, int]) -> DataFrame:
    """The rows of each group in a partition of its own, with the column `slot` to group by.

    Args:
        rows: of groups; those without a slot are left out.
        group: name of the column that says which group a row is of.
        slots: of `slots_of`.
    """
    # A frame of its own for each call: Spark cannot distinguish two columns of one frame in a
    # cogroup.
    schema = StructType([StructField(group, StringType()), StructField(SLOT, LongType())])
    frame = rows.sparkSession.createDataFrame(list(slots.items()), schema)
    return rows.join(F.broadcast(frame), group, "inner").repartition(len(slots), SLOT)


def task_per_group(
    work: Callable[[str, pa.Table], pa.Table],
    schema: StructType | str,
    group: str,
    groups: Sequence[str],
    rows: DataFrame,
) -> DataFrame:
    """What `work` makes of each group's rows, a task per group.

    Args:
        work: given a group's name and its rows; what it raises bears a note that names the group.
        schema: of what it returns.
        group: name of the column that says which group a row is of.
        groups: that have rows, in the order in which they start: of `largest_first`.
        rows: of the groups.
    """

    def task(key: tuple[pa.Scalar, ...], rows: pa.Table) -> pa.Table:
        del key  # the slot says nothing; the group stands in the rows
        name = rows.column(group)[0].as_py()
        with _working_on(name):
            return work(name, rows)

    slots = slots_of(rows.sparkSession, groups)
    if not slots:
        return rows.sparkSession.createDataFrame([], schema)
    return one_task_each(rows, group, slots).groupBy(SLOT).applyInArrow(task, schema)


def task_per_group_of_two(
    work: Callable[[str, pa.Table, pa.Table], pa.Table],
    schema: StructType | str,
    group: str,
    groups: Sequence[str],
    rows: DataFrame,
    others: DataFrame,
) -> DataFrame:
    """The same with a group's rows of two frames; a group without rows in either makes no task.

    One with rows in the second frame has some in the first.
    """

    def task(key: tuple[pa.Scalar, ...], rows: pa.Table, others: pa.Table) -> pa.Table:
        del key
        name = rows.column(group)[0].as_py()
        with _working_on(name):
            return work(name, rows, others)

    slots = slots_of(rows.sparkSession, groups)
    if not slots:
        return rows.sparkSession.createDataFrame([], schema)
    of_group = one_task_each(rows, group, slots).groupBy(SLOT)
    return of_group.cogroup(one_task_each(others, group, slots).groupBy(SLOT)).applyInArrow(
        task, schema
    )


@contextmanager
def _working_on(group: str) -> Iterator[None]:
    """Have an error that leaves a task bear a note that names the group it worked on."""
    try:
        yield
    except Exception as error:
        error.add_note(f"working on: {group}")
        raise
