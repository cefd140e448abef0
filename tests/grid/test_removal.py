"""A removed cell has the first reason of which all conditions hold; everything else is kept."""

from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from cas_spark.errors import CasError
from cas_spark.grid.cells import cell_ids
from cas_spark.grid.removal import apply_removal, measure_cells
from cas_spark.settings.geography import RemovalRule

ROW_OF_CELLS = [int(cell_ids(column, -1)) for column in range(-3, 4)]  # 125 m apart


def rule(reason: str, *conditions: dict[str, Any]) -> RemovalRule:
    return RemovalRule.model_validate({"reason": reason, "all": list(conditions)})


def cells_of(spark: SparkSession, land: list[float]) -> DataFrame:
    rows = list(zip(ROW_OF_CELLS, land, strict=False))
    return spark.createDataFrame(rows, "cell_id long, land_share double")


def incidents_of(spark: SparkSession, *columns: int) -> DataFrame:
    return spark.createDataFrame([(int(cell_ids(c, -1)),) for c in columns], "cell_id long")


def distances_of(spark: SparkSession, *distances: float) -> DataFrame:
    rows = [(i, float(d)) for i, d in zip(ROW_OF_CELLS, distances, strict=False)]
    return spark.createDataFrame(rows, "cell_id long, station_distance_m float")


def reasons_of(removed: DataFrame) -> list[str | None]:
    rows = removed.orderBy("cell_id").collect()
    assert all(row.is_kept == (row.removal_reason is None) for row in rows)
    return [row.removal_reason for row in rows]


@pytest.mark.spark
def test_without_rules_every_cell_is_kept(spark: SparkSession) -> None:
    cells = cells_of(spark, [0.1, 1.0])
    found = apply_removal(cells, [], incidents_of(spark), distances_of(spark))
    assert found.columns == ["cell_id", "land_share", "is_kept", "removal_reason"]
    assert dict(found.dtypes)["removal_reason"] == "string"
    assert reasons_of(found) == [None, None]


@pytest.mark.spark
def test_the_first_rule_that_holds_in_full_gives_the_reason(spark: SparkSession) -> None:
    rules = [
        rule("water", {"measure": "land_share", "below": 0.25}),
        rule(
            "empty",
            {"measure": "incidents", "below": 1},
            {"measure": "station_distance_m", "above": 500},
        ),
        rule("far", {"measure": "station_distance_m", "above": 1000}),
    ]
    cells = cells_of(spark, [0.1, 0.25, 1.0, 1.0, 1.0, 1.0])
    distances = distances_of(spark, 2000, 500, 501, 2000, 2000, 1000)
    found = apply_removal(cells, rules, incidents_of(spark, 0, 0), distances)
    assert found.columns == ["cell_id", "land_share", "is_kept", "removal_reason"]
    assert reasons_of(found) == ["water", None, "empty", "far", "empty", "empty"]


@pytest.mark.spark
def test_incidents_count_by_the_distance_between_centres(spark: SparkSession) -> None:
    rules = [
        rule("x", {"measure": "incidents", "within_m": within_m, "below": 1})
        for within_m in (0, 125, 249.5)
    ]
    far = spark.createDataFrame([(int(cell_ids(9, 9)),)], "cell_id long")
    incidents = incidents_of(spark, 0, 0, 2).unionAll(far)
    cells = cells_of(spark, [1.0] * 7)
    found = measure_cells(cells, rules, incidents, distances_of(spark)).orderBy("cell_id").collect()
    assert [row.incidents_within_0_m for row in found] == [0, 0, 0, 2, 0, 1, 0]
    assert [row.incidents_within_125_m for row in found] == [0, 0, 2, 2, 3, 1, 1]
    assert [row.incidents_within_249_5_m for row in found] == [0, 0, 2, 2, 3, 1, 1]


@pytest.mark.spark
def test_a_distance_that_is_missing_is_no_distance(spark: SparkSession) -> None:
    rules = [rule("far", {"measure": "station_distance_m", "above": 1000})]
    cells, none = cells_of(spark, [1.0, 1.0]), incidents_of(spark)
    with pytest.raises(CasError, match="station_distance_m; expected one of .*incidents"):
        apply_removal(cells, rules, none, cells.select("cell_id"))
    with pytest.raises(PySparkException, match=f"no station_distance_m for cell {ROW_OF_CELLS[1]}"):
        apply_removal(cells, rules, none, distances_of(spark, 0.0)).collect()
