"""The benchmark's plain Spark SQL says the same as the kernels, so what it measures is the same."""

import importlib
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from cas_spark.indicators.catalogue import Catalogue
from tests.indicators.slow import Version
from tests.indicators.test_indicators import (
    CATALOGUE,
    CORNER,
    FIRST,
    INSTANTS,
    POLLS,
    PRIORITIES,
    ZONE,
    cells_table,
    facts_table,
    plan,
    snapshots_of,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
COMPUTED = tuple(POLLS[-4:])


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    """The benchmark's module, which is in no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("sql_indicators")
    finally:
        sys.path.pop(0)


def versions_on_edges(number: int) -> list[Version]:
    """Versions in and around the team whose moments lie on polls, just before, and just after."""
    random = np.random.default_rng(1)

    def drawn() -> Version:
        edge = INSTANTS[POLLS[int(random.integers(0, len(POLLS)))]]
        counts_at = edge + timedelta(seconds=int(random.integers(-1, 2)))
        known_at = counts_at + timedelta(weeks=int(random.integers(0, 3)))
        is_superseded = random.random() < 0.3
        return Version(
            priority=PRIORITIES[int(random.integers(0, 2))],
            column=CORNER[0] + int(random.integers(-15, 18)),
            row=CORNER[1] + int(random.integers(-15, 20)),
            counts_at=counts_at,
            known_at=known_at,
            superseded_at=INSTANTS[COMPUTED[1]] if is_superseded else None,
        )

    return [drawn() for _ in range(number)]


@pytest.mark.spark
def test_plain_sql_computes_every_value_that_the_kernels_compute(
    spark: SparkSession, plain: ModuleType, tmp_path: Path
) -> None:
    facts = versions_on_edges(600)
    asked = Catalogue(tuple(i for i in CATALOGUE.fast.indicators if i.kind != "calendar"))
    edges = plan().edges
    polls = [
        {"poll": len(edges) - len(COMPUTED) + place, "poll_on": day, "poll_at": int(instant)}
        for place, (day, instant) in enumerate(zip(COMPUTED, edges[-len(COMPUTED) :], strict=True))
    ]
    given = plain.Given(
        indicators=asked.indicators,
        priorities=PRIORITIES,
        cells=spark.createDataFrame(cells_table()),
        facts=spark.createDataFrame(facts_table(facts)),
        polls=spark.createDataFrame(polls),
        calendar_from=FIRST,
        weeks=len(edges),
        zone=ZONE,
    )
    plain.write_plain_sql(given, str(tmp_path))
    rows = spark.read.format("delta").load(str(tmp_path)).orderBy("poll_on", "cell_id").toArrow()
    kernel = pa.concat_tables(snapshots_of(facts, COMPUTED).values())
    for name in ("poll_on", "cell_id", *asked.names):
        assert rows.column(name).to_pylist() == kernel.column(name).to_pylist(), name
