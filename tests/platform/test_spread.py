import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.platform.spread import SLOT, one_task_each, slots_of


@pytest.mark.spark
def test_every_group_has_a_task_of_its_own_in_the_order_asked_for(spark: SparkSession) -> None:
    groups = [f"team {i}" for i in range(9)]
    rows = spark.createDataFrame([(g, n) for g in groups for n in range(3)], "team string, n long")
    spread = one_task_each(rows, "team", slots_of(spark, groups))
    found = spread.select("team", SLOT, F.spark_partition_id().alias("task")).distinct().collect()
    assert {row["team"]: row["task"] for row in found} == {g: i for i, g in enumerate(groups)}
    assert spread.count() == 27
