"""Caught shares and baselines against plain Python on small random countries."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.evaluation.baselines import (
    ALL_HISTORY,
    DECAYED,
    baseline_scores,
    decay_weights,
)
from cas_spark.evaluation.measures import caught_shares, rank_land_cells

POLL = date(2024, 1, 8)
AS_OF = datetime(2024, 3, 1, tzinfo=UTC)


def test_decay_halves_every_half_life() -> None:
    weights = decay_weights(26)
    assert weights[0] == 2**30
    assert weights[26] == 2**29
    assert weights[52] == 2**28
    exact = [float(Decimal(2) ** (Decimal(-age) / 26)) for age in range(60)]
    np.testing.assert_allclose(np.array(weights[:60]) / 2**30, exact, atol=2**-30)


@pytest.mark.spark
def test_caught_shares_count_all_land_cells_and_all_incidents(spark: SparkSession) -> None:
    random = np.random.default_rng(5)
    cells = [(cell, "A" if cell < 60 else "B") for cell in range(100)]
    kept = [cell for cell, _ in cells if cell % 7]
    team = dict(cells)
    ranks: dict[int, int] = {}
    for name in ("A", "B"):
        order = random.permutation([cell for cell in kept if team[cell] == name])
        ranks |= {int(cell): place for place, cell in enumerate(order, start=1)}
    incidents = {int(c): int(random.integers(1, 4)) for c in random.choice(100, 25, replace=False)}
    found = caught_shares(
        spark.createDataFrame(
            [(POLL, team[c], "burglary", "current", POLL, "model", c, r) for c, r in ranks.items()],
            "poll_on date, team_id string, priority string, horizon string, target_week_on date, "
            "method string, cell_id long, rank int",
        ),
        spark.createDataFrame(
            [("burglary", c, POLL, n) for c, n in incidents.items()]
            + [("burglary", c, POLL + timedelta(weeks=1), 9) for c in range(100)],
            "priority string, cell_id long, week_on date, incidents int",
        ),
        spark.createDataFrame(cells, "cell_id long, team_id string"),
        [0.03, 0.2],
        AS_OF,
        run_number=1,
    ).collect()
    assert len(found) == 4
    for row in found:
        land = [cell for cell, name in cells if name == row["team_id"]]
        share = {"caught_share_at_3_percent": 0.03, "caught_share_at_20_percent": 0.2}[
            row["measure"]
        ]
        number = int(share * len(land) + 0.5)
        chosen = [cell for cell in land if ranks.get(cell, 1_000) <= number]
        assert row["cells"] == number
        assert row["incidents"] == sum(incidents.get(cell, 0) for cell in land)
        assert row["caught"] == sum(incidents.get(cell, 0) for cell in chosen)
        assert row["value"] == row["caught"] / row["incidents"]


@pytest.mark.spark
def test_a_week_without_incidents_has_no_share_rather_than_zero(spark: SparkSession) -> None:
    [row] = caught_shares(
        spark.createDataFrame(
            [(POLL, "A", "burglary", "current", POLL, "model", 1, 1)],
            "poll_on date, team_id string, priority string, horizon string, target_week_on date, "
            "method string, cell_id long, rank int",
        ),
        spark.createDataFrame([], "priority string, cell_id long, week_on date, incidents int"),
        spark.createDataFrame([(1, "A")], "cell_id long, team_id string"),
        [0.03],
        AS_OF,
        run_number=1,
    ).collect()
    assert (row["value"], row["incidents"], row["caught"], row["cells"]) == (None, 0, 0, 1)


@pytest.mark.spark
def test_baselines_count_and_rank_as_plain_python_does(spark: SparkSession) -> None:
    random = np.random.default_rng(6)
    incidents = [
        (
            str(random.choice(["burglary", "robbery"])),
            int(random.integers(0, 12)),
            int(random.integers(1, 90)),
        )
        for _ in range(200)
    ]
    known = spark.createDataFrame(incidents, "priority string, cell_id long, age int")
    scores = baseline_scores(known, F.col("age"), half_life_weeks=26)
    land = [(cell, "A" if cell < 9 else "B") for cell in range(15)]
    ranked = rank_land_cells(scores, spark.createDataFrame(land, "cell_id long, team_id string"))
    weights = decay_weights(26)
    for method, per_age in ((ALL_HISTORY, [1] * len(weights)), (DECAYED, weights)):
        for priority in ("burglary", "robbery"):
            for team in ("A", "B"):
                score = {
                    cell: sum(per_age[a] for p, c, a in incidents if (p, c) == (priority, cell))
                    for cell, name in land
                    if name == team
                }
                expected = sorted(score, key=lambda cell: (-score[cell], cell))
                rows = ranked.where(
                    (F.col("method") == method)
                    & (F.col("priority") == priority)
                    & (F.col("team_id") == team)
                ).orderBy("rank")
                assert [row["cell_id"] for row in rows.collect()] == expected
