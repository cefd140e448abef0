"""Whether draws show how stable a choice is, compared with models refitted on other weeks."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from engines import Comparison, Doubles, Target, load

from cas_spark.forecasting.forecast import cells_to_choose
from cas_spark.forecasting.stability import shares_chosen
from cas_spark.training.design import Design
from cas_spark.training.solver import Group, Solution, solve

REFITS = 32
STABLE = 0.9
"""From this share of draws on a choice counts as stable here."""


def compare_stability(comparison: Comparison, share: float) -> Iterator[dict[str, Any]]:
    """A line per team: shares of draws and of refits that choose the cells of the newest poll.

    A refit learns from as many polls, drawn with replacement. The first horizon of each priority.
    """
    horizon, polls = comparison.expected.horizons[0], len(comparison.expected.polls)
    for team, targets in comparison.targets.items():
        design = load(comparison.scratch, team)
        random = np.random.default_rng(1)
        times = [
            np.bincount(random.integers(0, polls, polls), minlength=polls) for _ in range(REFITS)
        ]
        of_draws, of_refits = [], []
        for key, target in targets:
            if key[2] == horizon:
                drawn, refitted = _shares(comparison, design, target, times, share)
                of_draws.append(drawn)
                of_refits.append(refitted)
        draws, refits = np.concatenate(of_draws), np.concatenate(of_refits)
        stable = draws >= STABLE
        yield {
            "bench": "stability",
            "team": team,
            "choices": len(draws),
            "refits": REFITS,
            "mean_share_of_draws": round(float(draws.mean()), 3),
            "mean_share_of_refits": round(float(refits.mean()), 3),
            "mean_difference": round(float(np.abs(draws - refits).mean()), 3),
            "correlation": round(float(np.corrcoef(draws, refits)[0, 1]), 3),
            "stable": int(stable.sum()),
            "mean_share_of_refits_where_stable": round(float(refits[stable].mean()), 3),
            "mean_share_of_refits_elsewhere": round(float(refits[~stable].mean()), 3),
        }


def _shares(
    comparison: Comparison,
    design: Design,
    target: Target,
    times: list[Any],
    share: float,
) -> tuple[Doubles, Doubles]:
    """Of each cell that the fitted model chooses: the share of draws, and of refits, that do."""
    how = comparison.settings
    of_target = design.only(target.columns)
    polls = len(comparison.expected.polls)
    cells = design.rows // polls
    number = cells_to_choose(share, cells)
    newest = of_target.values[of_target.columns, -cells:].astype(np.float64)

    def fit(weight: Any) -> Solution:
        weighed = replace(of_target, weight=weight)
        group = Group(np.arange(len(target.columns)), [target.positives])
        [[solution]] = solve(weighed, [group], how.reg_param, how.tolerance, how.max_iterations)
        return solution

    def plain(at: Doubles) -> Doubles:
        return np.column_stack([at[:, -1:], at[:, :-1] / of_target.scale])

    fitted = fit(None)
    own = np.append(fitted.coefficients, fitted.intercept)[None, :]
    chosen = shares_chosen(plain(own), newest, number) == 1
    refits = [fit(np.repeat(of_polls, cells).astype(np.float32)) for of_polls in times]
    again = np.array([np.append(refit.coefficients, refit.intercept) for refit in refits])
    return (
        shares_chosen(plain(fitted.draws), newest, number)[chosen],
        shares_chosen(plain(again), newest, number)[chosen],
    )
