"""Baselines: what a model has to beat. They know what the model knew, and count.

Each is a weighted sum of declared indicators, computed by the same kernels for every land cell. A
method has several candidates; a backtest tunes them on the weeks before it, as it does the model's
regularisation. A weekly run takes the first of each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.indicators.ages import IN_ALL_HISTORY, decayed, in_last
from cas_spark.indicators.catalogue import Catalogue, count, density
from cas_spark.indicators.indicator import Indicator
from cas_spark.indicators.kernels import Ints
from cas_spark.indicators.nearby import facts_near_teams
from cas_spark.indicators.team import Team, team_of
from cas_spark.platform.spread import largest_first, task_per_group_of_two

ALL_HISTORY = "all_history_count"
THREE_YEARS = "three_year_count"
DECAYED = "decayed_count"
DENSITY = "kernel_density"
SELF_EXCITING = "self_exciting_mix"
BASELINES = (ALL_HISTORY, THREE_YEARS, DECAYED, DENSITY, SELF_EXCITING)

SCORES = pa.schema(
    [
        ("poll_on", pa.date32()),
        ("team_id", pa.string()),
        ("priority", pa.string()),
        ("horizon", pa.string()),
        ("method", pa.string()),
        ("cell_ids", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float64())),
    ]
)
SCORES_TYPE = from_arrow_schema(SCORES)
"""One row: what a method thinks of all cells of a team; the horizon is null where any will do."""


@dataclass(frozen=True)
class Baseline:
    """A candidate of a method.

    Attributes:
        method: one of BASELINES.
        tuning: what sets it apart from the method's other candidates.
        terms: indicators and their weights.
    """

    method: str
    tuning: str
    terms: tuple[tuple[Indicator, float], ...]

    @property
    def name(self) -> str:
        """The method and its tuning."""
        return f"{self.method}: {self.tuning}" if self.tuning else self.method


def candidates(of: str, weeks_of_history: int) -> list[Baseline]:
    """The candidates for a priority, the usual one of each method first.

    Args:
        of: the priority.
        weeks_of_history: with complete extracts before the first poll; a candidate that looks
            further back is left out, since it would count less than its name says.
    """
    return [
        candidate
        for candidate in _every_candidate(of)
        if all(i.weeks_needed <= weeks_of_history for i, _ in candidate.terms)
    ]


def left_out(weeks_of_history: int) -> list[str]:
    """The methods of which every candidate looks further back than the extracts reach."""
    held = {candidate.method for candidate in candidates("any", weeks_of_history)}
    return [method for method in BASELINES if method not in held]


def _every_candidate(of: str) -> list[Baseline]:
    return [
        Baseline(ALL_HISTORY, "", ((count(of, IN_ALL_HISTORY), 1.0),)),
        Baseline(THREE_YEARS, "", ((count(of, in_last(156)), 1.0),)),
        *(
            Baseline(DECAYED, f"half-life {weeks} w", ((count(of, decayed(weeks)), 1.0),))
            for weeks in (26, 13, 52, 104)
        ),
        *(
            Baseline(DENSITY, f"{metres} m, {ages.name}", ((density(of, metres, ages), 1.0),))
            for metres in (125, 250)
            for ages in (in_last(156), IN_ALL_HISTORY)
        ),
        *_self_exciting(of),
    ]


def _self_exciting(of: str) -> Iterator[Baseline]:
    """A lasting background and near repeats that fade: Mohler and others, 2011, in its plain form.

    A near repeat weighs `weight` times the 156 weeks of a background over its own half-life, so
    that a weight means about the same for any half-life.
    """
    backgrounds = (
        ("cell, half-life 52 w", count(of, decayed(52))),
        ("cell, 156 w", count(of, in_last(156))),
        ("cell, all", count(of, IN_ALL_HISTORY)),
        ("125 m, 156 w", density(of, 125, in_last(156))),
        ("250 m, 156 w", density(of, 250, in_last(156))),
    )
    for name, background in backgrounds:
        for weeks in (8, 2):
            near = density(of, 250, decayed(weeks))
            for weight in (0.01, 0.003, 0.03, 0.1):
                yield Baseline(
                    SELF_EXCITING,
                    f"{name}, near repeats of half-life {weeks} w weighing {weight:g}",
                    ((background, 1.0), (near, weight * 156 / weeks)),
                )


def usual(of: str, weeks_of_history: int) -> list[Baseline]:
    """The first candidate of each method that the extracts reach back far enough for."""
    first: dict[str, Baseline] = {}
    for candidate in candidates(of, weeks_of_history):
        first.setdefault(candidate.method, candidate)
    return list(first.values())


def baseline_scores(
    land: DataFrame,
    incidents: DataFrame,
    asked: Mapping[str, Mapping[str, Baseline]],
    polls: Sequence[date],
    edges: Ints,
    crs: str,
) -> DataFrame:
    """What each baseline thinks of each land cell at each poll.

    Args:
        land: team_id, cell_id, column, row of all land cells, kept and removed.
        incidents: versions of incidents.
        asked: priority -> name of each of its baselines in the results -> the baseline.
        polls: consecutive; the last is that of the last edge.
        edges: instants of the calendar's polls, microseconds UTC.
        crs: of the grid.

    Returns:
        Rows of SCORES; `method` is the name, the horizon null.
    """
    every = {i.name: i for of in asked.values() for b in of.values() for i, _ in b.terms}
    catalogue = Catalogue(tuple(every.values()))
    # Shared with every task; priorities that no baseline asks for need no facts.
    priorities = tuple(asked)

    def work(team_id: str, cells: pa.Table, facts: pa.Table) -> pa.Table:
        team = team_of(cells.sort_by("cell_id"), facts, priorities, edges, catalogue, crs)
        parts = list(_scores_of_team(team_id, team, asked, polls, len(edges)))
        return pa.concat_tables(parts) if parts else SCORES.empty_table()

    cells = land.select("team_id", "cell_id", "column", "row")
    facts = facts_near_teams(cells, incidents).withColumnRenamed("near_team_id", "team_id")
    teams = largest_first(cells, "team_id")
    return task_per_group_of_two(work, SCORES_TYPE, "team_id", teams, cells, facts)


def _scores_of_team(
    team_id: str,
    team: Team,
    asked: Mapping[str, Mapping[str, Baseline]],
    polls: Sequence[date],
    weeks: int,
) -> Iterable[pa.Table]:
    for poll, rows in team.snapshots(polls, weeks - len(polls)):
        for priority, baselines in asked.items():
            yield as_scores(
                poll,
                team_id,
                priority,
                {(None, name): _score(baseline, rows) for name, baseline in baselines.items()},
                rows.column("cell_id").combine_chunks(),
            )


def _score(baseline: Baseline, rows: pa.Table) -> npt.NDArray[np.float64]:
    total = np.zeros(rows.num_rows)
    for indicator, weight in baseline.terms:
        total += weight * rows.column(indicator.name).to_numpy().astype(np.float64)
    return total


def as_scores(
    poll: date,
    team_id: str,
    priority: str,
    scores: Mapping[tuple[str | None, str], npt.NDArray[np.float64]],
    cell_ids: pa.Array,
) -> pa.Table:
    """Rows of SCORES: (horizon, method) -> a score per cell."""
    number = len(scores)
    cells = len(cell_ids)
    offsets = pa.array(np.arange(number + 1, dtype=np.int32) * cells)
    values = np.concatenate(list(scores.values())) if number else np.empty(0)
    ids = pa.concat_arrays([cell_ids] * number) if number else cell_ids.slice(0, 0)
    return pa.table(
        [
            pa.array([poll] * number, pa.date32()),
            pa.array([team_id] * number),
            pa.array([priority] * number),
            pa.array([horizon for horizon, _ in scores], pa.string()),
            pa.array([method for _, method in scores]),
            pa.ListArray.from_arrays(offsets, ids),
            pa.ListArray.from_arrays(offsets, pa.array(values)),
        ],
        schema=SCORES,
    )
