"""One task per group: large groups must not share one by an accident of hashing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

SLOT = "slot"


def largest_first(rows: DataFrame, group: str) -> list[str]:
    """The groups, those with most rows first, so that no core ends alone with a large one."""
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
    # A frame of its own for each call: Spark cannot tell two columns of one frame apart in a
    # cogroup.
    schema = StructType([StructField(group, StringType()), StructField(SLOT, LongType())])
    frame = rows.sparkSession.createDataFrame(list(slots.items()), schema)
    return rows.join(F.broadcast(frame), group, "inner").repartition(len(slots), SLOT)


@contextmanager
def working_on(group: str) -> Iterator[None]:
    """Have an error that leaves a task bear a note that names the group it worked on."""
    try:
        yield
    except Exception as error:
        error.add_note(f"working on: {group}")
        raise
