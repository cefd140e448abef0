"""Measures: how many of all incidents fell in the cells chosen, and whether probabilities hold.

Every share is of *all* land cells and of *all* incidents of the week, also those in cells that the
grid removed, so that removing cells can never flatter a measure. Cells are chosen once inside each
team and once across all teams together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.forecasting.forecast import cells_to_choose

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MODEL = "model"
CHALLENGER = "challenger"
"""In an experiment: what is measured against the model of the latest weekly run, the champion."""

LOGIT_METHODS = (MODEL, CHALLENGER)
"""Methods whose scores are logits, so that their probabilities are judged too."""

ALL_TEAMS = "*"
"""In place of a team: the cells are chosen across all teams together."""

OBSERVED, EXPECTED = "observed", "expected"

OUTSIDE = "incidents_outside_the_land"
"""Incidents of the week that no land cell has; recorded where there are any.

They lie in land that only another grid version has, and are part of no other figure.
"""

Due = Mapping[date, Mapping[str, date]]
"""Poll -> horizon -> the first day of its target week, of what is to be measured."""

_MEASURES = pa.schema(
    [
        ("poll_on", pa.date32()),
        ("team_id", pa.string()),
        ("priority", pa.string()),
        ("horizon", pa.string()),
        ("target_week_on", pa.date32()),
        ("method", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("cells", pa.int64()),
        ("caught", pa.int64()),
        ("incidents", pa.int64()),
    ]
)
MEASURES_TYPE = from_arrow_schema(_MEASURES)


def percent(share: float) -> str:
    """`3_percent` for 0.03."""
    return f"{share * 100:g}".replace(".", "_") + "_percent"


def measure_name(share: float) -> str:
    """`caught_share_at_3_percent` for 0.03."""
    return f"caught_share_at_{percent(share)}"


@dataclass(frozen=True)
class Place:
    """The land cells of a team or of all teams, sorted, and the incidents of the week in them."""

    cell_ids: Ints
    incidents: Ints


@dataclass(frozen=True)
class Ranking:
    """The cells that a method scores, the likeliest first, ties by cell id.

    Attributes:
        at: of each its place among a place's cells.
        scores: of each.
    """

    at: Ints
    scores: Doubles

    @classmethod
    def of(cls, land: Ints, scored: Iterable[tuple[Ints, Doubles]]) -> "Ranking":
        """Rank cells among the land cells (sorted), each given once with its score."""
        is_scored, of_land = np.zeros(len(land), dtype=bool), np.empty(len(land))
        for cell_ids, scores in scored:
            at = np.searchsorted(land, cell_ids)
            is_scored[at], of_land[at] = True, scores
        # By cell id before they are sorted, so that a stable sort by one key breaks ties by it.
        cells = np.flatnonzero(is_scored)
        of_cells = of_land[cells]
        order = np.argsort(-of_cells, kind="stable")
        return cls(cells[order], of_cells[order])

    def in_teams(self, land: "Land") -> dict[str, "Ranking"]:
        """The same of each team's cells among themselves; `at` among the team's own."""
        team = land.team[self.at]
        order = np.argsort(team, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(team, minlength=len(land.of_team)))[:-1])
        return {
            name: Ranking(land.within[self.at[part]], self.scores[part])
            for name, part in zip(land.of_team, parts, strict=True)
        }


@dataclass(frozen=True)
class Land:
    """The land cells of all teams.

    Attributes:
        cell_ids: sorted.
        of_team: team -> the places of its cells among these, sorted.
        team: of each cell its team's place among the teams.
        within: of each cell its place among its team's cells.
    """

    cell_ids: Ints
    of_team: Mapping[str, Ints]
    team: npt.NDArray[np.unsignedinteger[Any]]
    within: Ints

    @classmethod
    def of(cls, teams: Mapping[str, Ints]) -> "Land":
        """The land of teams, each with its cells, none of them another's."""
        cell_ids = np.sort(np.concatenate(list(teams.values())))
        of_team = {name: np.searchsorted(cell_ids, np.sort(own)) for name, own in teams.items()}
        # As few bytes as will do: numpy sorts small numbers by counting.
        team = np.empty(len(cell_ids), dtype=np.min_scalar_type(len(teams)))
        within = np.empty(len(cell_ids), dtype=np.int64)
        for number, places in enumerate(of_team.values()):
            team[places], within[places] = number, np.arange(len(places))
        return cls(cell_ids, of_team, team, within)


@dataclass(frozen=True)
class Measure:
    """A figure, and what it was counted from."""

    name: str
    value: float | None
    cells: int
    caught: int
    incidents: int


def measures_of(
    place: Place, ranking: Ranking, shares: Sequence[float], *, is_model: bool
) -> Iterator[Measure]:
    """All measures of a method at a place.

    Args:
        place: all its land cells.
        ranking: of the cells that the method scores; the others come last.
        shares: of the land cells that are chosen.
        is_model: whether scores are logits, so that probabilities can be judged too.
    """
    total = int(place.incidents.sum())
    in_order = place.incidents[ranking.at]
    for share in shares:
        cells = cells_to_choose(share, len(place.cell_ids))
        caught = int(in_order[:cells].sum())
        value = caught / total if total else None
        yield Measure(measure_name(share), value, cells, caught, total)
        if value is not None:
            # Predictive accuracy index: the share caught per share of the land (Chainey, 2008).
            pai = value / (cells / len(place.cell_ids))
            yield Measure(f"pai_at_{percent(share)}", pai, cells, caught, total)
    if is_model:
        happened = (in_order > 0).astype(np.float64)
        yield from _of_probabilities(ranking.scores, happened, place, shares)


def _of_probabilities(
    logits: Doubles, happened: Doubles, place: Place, shares: Sequence[float]
) -> Iterator[Measure]:
    """How well the probabilities hold, over the cells with a forecast, the likeliest first.

    Skill is against the best constant there is: the week's own share of cells with an incident.
    """
    number, positives, total = len(logits), int(happened.sum()), int(place.incidents.sum())
    chance = 1 / (1 + np.exp(-logits))
    loss = float(np.mean(np.logaddexp(0, logits) - happened * logits))
    brier = float(np.mean((chance - happened) ** 2))
    base = positives / number
    yield Measure("log_loss", loss, number, positives, total)
    yield Measure("brier", brier, number, positives, total)
    if 0 < positives < number:
        entropy = -(base * np.log(base) + (1 - base) * np.log(1 - base))
        yield Measure("log_loss_skill", 1 - loss / float(entropy), number, positives, total)
        yield Measure("brier_skill", 1 - brier / (base * (1 - base)), number, positives, total)
    yield Measure(OBSERVED, float(positives), number, positives, total)
    yield Measure(EXPECTED, float(chance.sum()), number, positives, total)
    for share in shares:
        cells = cells_to_choose(share, len(place.cell_ids))
        top = int(happened[:cells].sum())
        of_top = f"_in_top_{percent(share)}"
        yield Measure(OBSERVED + of_top, float(top), cells, top, total)
        yield Measure(EXPECTED + of_top, float(chance[:cells].sum()), cells, top, total)


def measure(
    scores: DataFrame,
    outcomes: DataFrame,
    due: Due,
    shares: Sequence[float],
) -> DataFrame:
    """The measures of every poll, priority and horizon that is due.

    Args:
        scores: rows of `baselines.SCORES_TYPE`; each team's land cells stand in at least one
            method that scores all of them. Methods without a horizon are measured at every one.
        outcomes: priority, cell_id, week_on, incidents: those that count.
        due: the target weeks, which have settled.
        shares: of the land cells that are chosen.

    Returns:
        Rows of MEASURES_TYPE.
    """

    def task(key: tuple[pa.Scalar, ...], scores: pa.Table, outcomes: pa.Table) -> pa.Table:
        poll, priority = (part.as_py() for part in key)
        if scores.num_rows == 0:  # outcomes without a forecast
            return _MEASURES.empty_table()
        rows = list(_rows_of_poll(poll, priority, scores, outcomes, shares, due.get(poll, {})))
        return pa.Table.from_pylist(rows, schema=_MEASURES)

    keys = ["poll_on", "priority"]
    happened = _outcomes_per_poll(outcomes, due)
    return scores.groupBy(*keys).cogroup(happened.groupBy(*keys)).applyInArrow(task, MEASURES_TYPE)


def _outcomes_per_poll(outcomes: DataFrame, due: Due) -> DataFrame:
    """What happened in the target weeks: poll_on, priority, horizon, cell_id, incidents."""
    targets = [
        (poll, horizon, week_on)
        for poll, weeks in due.items()
        for horizon, week_on in weeks.items()
    ]
    schema = "poll_on date, horizon string, week_on date"
    asked = outcomes.sparkSession.createDataFrame(targets, schema)
    joined = outcomes.where("incidents > 0").join(F.broadcast(asked), "week_on", "inner")
    return joined.select("poll_on", "priority", "horizon", "cell_id", "incidents")


def _rows_of_poll(
    poll: date,
    priority: str,
    scores: pa.Table,
    outcomes: pa.Table,
    shares: Sequence[float],
    weeks: Mapping[str, date],
) -> Iterator[dict[str, object]]:
    blocks = _blocks_of(scores)
    # The cells of a team are those of the method that scores most of them: a baseline scores all.
    largest: dict[str, Ints] = {}
    for block in blocks:
        if len(block.cell_ids) > len(largest.get(block.team, ())):
            largest[block.team] = block.cell_ids
    land = Land.of(largest)
    cells = {ALL_TEAMS: land.cell_ids} | {t: land.cell_ids[at] for t, at in land.of_team.items()}
    places: dict[tuple[str, str], Place] = {}
    outside: dict[str, int] = {}
    for horizon in weeks:
        counts, outside[horizon] = _counts(outcomes, horizon, land.cell_ids)
        for team, own in cells.items():
            incidents = counts if team == ALL_TEAMS else counts[land.of_team[team]]
            places[team, horizon] = Place(own, incidents)
    for (method, of_horizon), used in _by_method(blocks).items():
        # Sorting a whole country is what costs, so it is done once for all horizons and teams.
        ranking = Ranking.of(land.cell_ids, ((block.cell_ids, block.scores) for block in used))
        teams = {block.team for block in used}
        of_teams = ranking.in_teams(land)
        rankings = {ALL_TEAMS: ranking, **{t: r for t, r in of_teams.items() if t in teams}}
        asked = [horizon for horizon in weeks if of_horizon in (None, horizon)]
        for horizon, (team, of_place) in product(asked, rankings.items()):
            common = {
                "poll_on": poll,
                "team_id": team,
                "priority": priority,
                "horizon": horizon,
                "target_week_on": weeks[horizon],
                "method": method,
            }
            is_model = method in LOGIT_METHODS
            measures = measures_of(places[team, horizon], of_place, shares, is_model=is_model)
            lost = outside[horizon] if team == ALL_TEAMS else 0
            if lost:
                of_lost = Measure(OUTSIDE, float(lost), len(land.cell_ids), 0, lost)
                measures = chain(measures, [of_lost])
            for found in measures:
                yield common | {
                    "measure": found.name,
                    "value": found.value,
                    "cells": found.cells,
                    "caught": found.caught,
                    "incidents": found.incidents,
                }


def _counts(outcomes: pa.Table, horizon: str, cell_ids: Ints) -> tuple[Ints, int]:
    """The incidents in each cell (sorted) in the target week of a horizon, and those in none."""
    happened = outcomes.filter(pc.equal(outcomes.column("horizon"), horizon))
    where, incidents = (happened.column(name).to_numpy() for name in ("cell_id", "incidents"))
    is_land = np.isin(where, cell_ids)
    count = np.zeros(len(cell_ids), dtype=np.int64)
    count[np.searchsorted(cell_ids, where[is_land])] = incidents[is_land]
    return count, int(incidents[~is_land].sum())


@dataclass(frozen=True)
class _Block:
    """What a method thinks of a team's cells; the horizon is None where any will do."""

    team: str
    horizon: str | None
    method: str
    cell_ids: Ints
    scores: Doubles


def _blocks_of(scores: pa.Table) -> list[_Block]:
    """A block per row: each looks at its own part of all cells and scores."""
    lists = [scores.column(name).combine_chunks() for name in ("cell_ids", "scores")]
    cell_ids, values = (np.asarray(of_rows.flatten()) for of_rows in lists)
    ends = np.cumsum(np.asarray(pc.list_value_length(lists[0]))).tolist()
    names = scores.select(["team_id", "horizon", "method"]).to_pylist()
    return [
        _Block(
            row["team_id"], row["horizon"], row["method"], cell_ids[start:end], values[start:end]
        )
        for row, start, end in zip(names, [0, *ends[:-1]], ends, strict=True)
    ]


def _by_method(blocks: Sequence[_Block]) -> dict[tuple[str, str | None], list[_Block]]:
    """(method, horizon) -> its blocks."""
    groups: dict[tuple[str, str | None], list[_Block]] = {}
    for block in blocks:
        groups.setdefault((block.method, block.horizon), []).append(block)
    return groups


def stamped(measures: DataFrame, scored_as_of: datetime, run_number: int) -> DataFrame:
    """With what was known by when, and the run that wrote them."""
    return measures.select(
        "*",
        F.lit(scored_as_of).alias("scored_as_of_at"),
        F.lit(run_number).cast("long").alias("run_number"),
    )
