"""Comparing many weeks, against plain sums and against what a bootstrap must say."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cas_spark.evaluation.comparing import (
    LOSES,
    OPEN,
    WINS,
    calibration,
    caught_in_teams,
    caught_shares,
    geometric_mean_ratio,
    paired,
)
from cas_spark.evaluation.measures import (
    ALL_TEAMS,
    CHALLENGER,
    EXPECTED,
    MODEL,
    OBSERVED,
    measure_name,
)

FIRST = date(2024, 1, 1)
NAME = measure_name(0.03)


def weekly(
    method: str, caught: list[int], team: str = ALL_TEAMS, of: str = "burglary"
) -> list[dict[str, Any]]:
    return [
        {
            "poll_on": FIRST + timedelta(weeks=week),
            "target_week_on": FIRST + timedelta(weeks=week),
            "team_id": team,
            "priority": of,
            "horizon": "current",
            "method": method,
            "measure": NAME,
            "value": number / 20,
            "caught": number,
            "incidents": 20,
        }
        for week, number in enumerate(caught)
    ]


def test_shares_and_ratios_are_of_all_weeks_together() -> None:
    rows = weekly(MODEL, [3, 6, 9]) + weekly("count", [2, 4, 6])
    rows += weekly(MODEL, [1, 1, 1], team="A") + weekly(MODEL, [1, 0, 2], team="B")
    shares: Any = caught_shares(pd.DataFrame(rows), 0.03).set_index(["choice", "method"])
    model = shares.loc[("across all teams", MODEL)]
    assert (model["caught"], model["incidents"], model["weeks"]) == (18, 60, 3)
    assert model["value"] == 18 / 60
    count = shares.loc[("across all teams", "count")]
    assert count["ratio"] == 1.5
    # In every week the model catches half as many again, so no resample can say otherwise.
    assert (count["low"], count["high"]) == (1.5, 1.5)
    within = shares.loc[("in each team", MODEL)]
    assert (within["caught"], within["incidents"]) == (6, 120)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        model, baseline = random.poisson(12, 40), random.poisson(10, 40)
        rows = weekly(MODEL, model.tolist()) + weekly("count", baseline.tolist())
        shares: Any = caught_shares(pd.DataFrame(rows), 0.03).set_index("method")
        line = shares.loc["count"]
        covered += line["low"] <= 1.2 <= line["high"]
    assert covered >= 50


def test_a_baseline_that_caught_nothing_has_no_ratio() -> None:
    rows = weekly(MODEL, [3]) + weekly("count", [0])
    shares: Any = caught_shares(pd.DataFrame(rows), 0.03).set_index("method")
    line = shares.loc["count"]
    assert np.isnan(line["ratio"])


def test_the_geometric_mean_is_over_priorities() -> None:
    rows = weekly(MODEL, [4, 4]) + weekly("count", [2, 2])
    rows += weekly(MODEL, [4, 4], of="robbery") + weekly("count", [8, 8], of="robbery")
    shares = caught_shares(pd.DataFrame(rows), 0.03)
    asked = ["burglary", "robbery"]
    mean = geometric_mean_ratio(shares, "count", asked, "current", "across all teams")
    assert mean == pytest.approx(1.0)


def test_calibration_adds_up_cells_before_it_divides() -> None:
    rows = []
    for month, (observed, expected) in {1: (2, 4), 2: (4, 2), 5: (3, 1)}.items():
        for name, value in ((OBSERVED, observed), (EXPECTED, expected)):
            for top in ("", "_in_top_3_percent"):
                rows.append(
                    {
                        "target_week_on": date(2024, month, 1),
                        "team_id": "A",
                        "priority": "burglary",
                        "horizon": "current",
                        "method": MODEL,
                        "measure": name + top,
                        "value": float(value),
                    }
                )
    found = calibration(pd.DataFrame(rows), 0.03).set_index("quarter")
    assert found["value"].to_dict() == {"2024Q1": 1.0, "2024Q2": 3.0, "all": 9 / 7}
    assert found["top_value"].to_dict() == found["value"].to_dict()


@pytest.mark.parametrize(
    ("challenger", "ratio", "verdict"),
    [
        ([6, 8, 10, 8], 2.0, WINS),
        ([3, 2, 3, 2], 0.625, LOSES),
        ([4, 3, 6, 3], 1.0, OPEN),
        ([3, 4, 5, 4], 1.0, OPEN),
    ],
)
def test_a_challenger_wins_or_loses_only_where_the_interval_leaves_out_1(
    challenger: list[int], ratio: float, verdict: str
) -> None:
    rows = weekly(MODEL, [3, 4, 5, 4]) + weekly(CHALLENGER, challenger) + weekly("count", [1] * 4)
    [line] = paired(pd.DataFrame(rows), 0.03).to_dict("records")
    assert (line["champion"], line["challenger"]) == (16 / 80, sum(challenger) / 80)
    assert (line["weeks"], line["incidents"], line["ratio"]) == (4, 80, ratio)
    assert line["verdict"] == verdict


def test_weeks_drawn_in_which_neither_caught_any_are_no_loss() -> None:
    rows = weekly(MODEL, [0, 0, 0, 1]) + weekly(CHALLENGER, [0, 0, 0, 1])
    [line] = paired(pd.DataFrame(rows), 0.03).to_dict("records")
    assert (line["low"], line["ratio"], line["high"]) == (1.0, 1.0, 1.0)


def test_a_challenger_whose_models_all_failed_has_no_figures_and_no_verdict() -> None:
    rows = weekly(MODEL, [3, 4]) + weekly("count", [1, 1])
    [line] = paired(pd.DataFrame(rows), 0.03).to_dict("records")
    assert np.isnan(line["challenger"])
    assert np.isnan(line["ratio"])
    assert line["verdict"] == OPEN


def test_in_a_team_all_weeks_are_taken_together() -> None:
    rows = weekly(MODEL, [3, 5], team="A") + weekly(MODEL, [9, 9])
    rows += weekly(CHALLENGER, [1, 2], team="A")
    shares = caught_in_teams(pd.DataFrame(rows), 0.03).set_index(["team_id", "method"])["value"]
    assert shares.to_dict() == {("A", MODEL): 8 / 40, ("A", CHALLENGER): 3 / 40}
