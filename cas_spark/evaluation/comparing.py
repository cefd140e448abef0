"""A model beside its baselines over many weeks: shares caught, ratios with intervals, calibration.

Pure pandas: it reads the measures of a backtest, or of any stored evaluations.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cas_spark.evaluation.measures import (
    ALL_TEAMS,
    CHALLENGER,
    EXPECTED,
    MODEL,
    OBSERVED,
    measure_name,
    percent,
)

RESAMPLES = 2000
LEVEL = 0.95

ACROSS = "across all teams"
WITHIN = "in each team"
"""Values of `choice`: where the likeliest cells are chosen."""

WINS, LOSES, OPEN = "catches more", "catches fewer", "no difference shown"
"""What an interval says of a challenger: above 1, below 1, or with 1 inside."""


def caught_shares(measures: pd.DataFrame, share: float, of: str = MODEL) -> pd.DataFrame:
    """The share of all incidents caught by each method, all weeks together.

    Args:
        measures: rows of `evaluations` or `backtests`.
        share: of the land cells that are chosen.
        of: the method that the others are compared with.

    Returns:
        priority, horizon, choice (in each team, or across all teams), method, caught, incidents,
        weeks, value; and for all methods but `of` ratio (what `of` caught over what they did), low
        and high: the 95 % interval of a paired bootstrap over weeks.
    """
    rows = measures[measures["measure"] == measure_name(share)]
    across = np.where(rows["team_id"] == ALL_TEAMS, ACROSS, WITHIN)
    keys = ["priority", "horizon", "choice"]
    weekly = (
        rows.assign(choice=across)
        .groupby([*keys, "method", "poll_on"], as_index=False)[["caught", "incidents"]]
        .sum()
    )
    found = []
    for key, group in weekly.groupby(keys):
        per_week = group.pivot_table(
            index="poll_on", columns="method", values="caught", aggfunc="sum", fill_value=0
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
            if method != of and of in per_week:
                line |= _ratio(per_week[of].to_numpy(), caught.to_numpy())
            found.append(line)
    return pd.DataFrame(found)


def paired(measures: pd.DataFrame, share: float) -> pd.DataFrame:
    """A challenger beside the champion, on the same weeks and outcomes.

    Args:
        measures: rows of `backtests` of one experiment.
        share: of the land cells that are chosen.

    Returns:
        priority, horizon, choice, incidents, weeks, champion and challenger (the share of incidents
        that each caught), ratio (challenger over champion), low and high: its 95 % interval; and
        verdict: WINS, LOSES or OPEN. Not a number where one of them forecast or caught nothing.
    """
    keys = ["priority", "horizon", "choice"]
    shares = caught_shares(measures, share, CHALLENGER).set_index(keys)
    champion = shares[shares["method"] == MODEL]
    challenger = shares[shares["method"] == CHALLENGER]
    figures = ["incidents", "weeks", "ratio", "low", "high"]
    result = champion.reindex(columns=figures).assign(
        champion=champion["value"], challenger=challenger["value"]
    )
    result["verdict"] = np.select(
        [result["low"] > 1, result["high"] < 1], [WINS, LOSES], default=OPEN
    )
    return result.reset_index()


def caught_in_teams(measures: pd.DataFrame, share: float) -> pd.DataFrame:
    """The share of each team's incidents that each method caught there, all weeks together.

    Args:
        measures: rows of `backtests` of one experiment.
        share: of the team's land cells that are chosen.

    Returns:
        team_id, priority, horizon, method, value; without teams that had no incident.
    """
    of_teams = (measures["measure"] == measure_name(share)) & (measures["team_id"] != ALL_TEAMS)
    keys = ["team_id", "priority", "horizon", "method"]
    sums = measures[of_teams].groupby(keys, as_index=False)[["caught", "incidents"]].sum()
    sums = sums[sums["incidents"] > 0]
    return sums.assign(value=sums["caught"] / sums["incidents"])[[*keys, "value"]]


def _ratio(model: "np.ndarray", baseline: "np.ndarray") -> dict[str, float]:
    """How many times as many incidents the model caught, with its interval over weeks."""
    if baseline.sum() == 0:
        return {"ratio": np.nan, "low": np.nan, "high": np.nan}

    def ratio(ours: "np.ndarray", theirs: "np.ndarray", axis: int = -1) -> "np.ndarray":
        caught, beside = ours.sum(axis=axis), theirs.sum(axis=axis)
        # Weeks drawn in which neither caught any say that both are alike, not that one lost.
        neither = (caught == 0) & (beside == 0)
        return np.asarray(np.where(neither, 1.0, caught / np.maximum(beside, 1)))

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
