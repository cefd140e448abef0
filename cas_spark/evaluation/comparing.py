"""A model beside its baselines over many weeks: shares caught, ratios with intervals, calibration.

Pure pandas: it reads the measures of a backtest, or of any stored evaluations.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cas_spark.evaluation.measures import (
    ALL_TEAMS,
    EXPECTED,
    MODEL,
    OBSERVED,
    measure_name,
    percent,
)

RESAMPLES = 2000
LEVEL = 0.95


def caught_shares(measures: pd.DataFrame, share: float) -> pd.DataFrame:
    """The share of all incidents caught by each method, all weeks together.

    Args:
        measures: rows of `evaluations` or `backtests`.
        share: of the land cells that are chosen.

    Returns:
        priority, horizon, choice (in each team, or across all teams), method, caught, incidents,
        weeks, value; and for baselines ratio (the model's caught over theirs), low and high: the
        95 % interval of a paired bootstrap over weeks.
    """
    rows = measures[measures["measure"] == measure_name(share)]
    across = np.where(rows["team_id"] == ALL_TEAMS, "across all teams", "in each team")
    keys = ["priority", "horizon", "choice"]
    weekly = (
        rows.assign(choice=across)
        .groupby([*keys, "method", "poll_on"], as_index=False)[["caught", "incidents"]]
        .sum()
    )
    found = []
    for key, group in weekly.groupby(keys):
        per_week = group.pivot_table(
            index="poll_on", columns="method", values="caught", aggfunc="sum"
        )
        incidents = group.groupby("poll_on")["incidents"].first()
        for method in per_week.columns:
            caught = per_week[method]
            line = dict(zip(keys, key, strict=True)) | {
                "method": method,
                "caught": int(caught.sum()),
                "incidents": int(incidents.sum()),
                "weeks": len(caught),
                "value": caught.sum() / incidents.sum() if incidents.sum() else np.nan,
            }
            if method != MODEL and MODEL in per_week:
                line |= _ratio(per_week[MODEL].to_numpy(), caught.to_numpy())
            found.append(line)
    return pd.DataFrame(found)


def _ratio(model: "np.ndarray", baseline: "np.ndarray") -> dict[str, float]:
    """How many times as many incidents the model caught, with its interval over weeks."""
    if baseline.sum() == 0:
        return {"ratio": np.nan, "low": np.nan, "high": np.nan}

    def ratio(ours: "np.ndarray", theirs: "np.ndarray", axis: int = -1) -> "np.ndarray":
        return np.asarray(ours.sum(axis=axis) / np.maximum(theirs.sum(axis=axis), 1))

    interval = stats.bootstrap(
        (model, baseline),
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {
        "ratio": float(ratio(model, baseline)),
        "low": float(interval.low),
        "high": float(interval.high),
    }


def geometric_mean_ratio(
    shares: pd.DataFrame, baseline: str, priorities: Sequence[str], horizon: str, choice: str
) -> float:
    """The geometric mean over priorities of the model's caught share over a baseline's."""
    rows = shares[
        (shares["method"] == baseline)
        & (shares["horizon"] == horizon)
        & (shares["choice"] == choice)
        & shares["priority"].isin(priorities)
    ]
    return float(stats.gmean(rows["ratio"]))


def calibration(measures: pd.DataFrame, share: float) -> pd.DataFrame:
    """Cells with an incident, observed over expected, per quarter and over the whole time.

    Returns:
        priority, horizon, quarter (or `all`), observed, expected, value; and the same within the
        likeliest share of each team's land cells: top_observed, top_expected, top_value.
    """
    top = f"_in_top_{percent(share)}"
    names = {
        OBSERVED: "observed",
        EXPECTED: "expected",
        OBSERVED + top: "top_observed",
        EXPECTED + top: "top_expected",
    }
    rows = measures[
        measures["measure"].isin(names)
        & (measures["method"] == MODEL)
        & (measures["team_id"] != ALL_TEAMS)
    ]
    quarter = pd.PeriodIndex(pd.to_datetime(rows["target_week_on"]), freq="Q").astype(str)
    by_quarter = rows.assign(quarter=quarter)
    every = pd.concat([by_quarter, by_quarter.assign(quarter="all")])
    sums = every.pivot_table(
        index=["priority", "horizon", "quarter"], columns="measure", values="value", aggfunc="sum"
    ).rename(columns=names)
    sums["value"] = sums["observed"] / sums["expected"]
    sums["top_value"] = sums["top_observed"] / sums["top_expected"]
    return sums.reset_index().rename_axis(columns=None)
