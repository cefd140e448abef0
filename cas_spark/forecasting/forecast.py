"""Forecasts: each kept cell's logit, probability and rank, and the reasons of those chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.forecasting.reasons import RAISED_BY, REASON, by_group, largest_reasons
from cas_spark.forecasting.stability import shares_chosen
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.knowledge.calendar import target_weeks
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.platform.spread import task_per_group_of_two
from cas_spark.settings.learning import Forecast
from cas_spark.training.coefficient_draws import restored
from cas_spark.training.models import TrainedModel
from cas_spark.training.team_context import team_context
from cas_spark.training.team_rows import plain_rows
from cas_spark.training.transforms import transformed

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scorer:
    """A model as its task needs it: the intercept and coefficients in catalogue order.

    `draws` are others that the data bear about as well, as `models` keeps them.
    """

    priority: str
    horizon: str
    intercept: float
    coefficients: tuple[tuple[str, float], ...]
    draws: bytes | None = None

    @classmethod
    def of(cls, model: Row | Mapping[str, Any]) -> "Scorer":
        """The scorer of a row of `models` that is fitted or pooled."""
        pairs = tuple((pair["indicator"], pair["coefficient"]) for pair in model["coefficients"])
        draws = None if model["draws"] is None else bytes(model["draws"])
        return cls(model["priority"], model["horizon"], model["intercept"], pairs, draws)

    @classmethod
    def of_model(cls, model: TrainedModel) -> "Scorer":
        """The scorer of a model that is fitted or pooled.

        Raises:
            ValueError: it is neither.
        """
        if model.fit is None:
            raise ValueError(f"{model.priority} of team {model.team_id}: {model.status}")
        pairs = zip(model.indicators, model.fit.coefficients, strict=True)
        used = tuple(pair for pair in pairs if pair[0] not in model.dropped)
        return cls(model.priority, model.horizon, model.fit.intercept, used)


def cells_to_choose(share: float, land_cells: int) -> int:
    """How many cells a share of a team's land cells is: rounded half up, at least one."""
    return max(1, int(np.floor(share * land_cells + 0.5)))


def forecast(
    context: DataFrame,
    files: SnapshotFiles,
    models: DataFrame,
    land_cells: Mapping[str, int],
    catalogue: Catalogue,
    settings: Forecast,
    poll: date,
    horizons: Mapping[str, int],
    run_number: int,
) -> DataFrame:
    """The rows of `forecasts` of a poll.

    Args:
        context: team_id, valid_from_on, cell_id and the slow indicators of every kept cell, as the
            poll sees them.
        files: where tasks find the snapshots of their team at the poll.
        models: rows of `models` that are fitted or pooled.
        land_cells: team -> number of all its land cells, kept or removed.
        catalogue: the indicators of the snapshots.
        settings: which share is chosen, and the bands.
        poll: at which the forecast is made.
        horizons: name -> weeks from the poll to the start of the target week.
        run_number: kept with the rows.
    """

    def score_team(team: str, context: pa.Table, models: pa.Table) -> pa.Table:
        if models.num_rows == 0:  # all of them failed, maybe for what would fail here too
            return _ARROW_SCORES.empty_table()
        of_task, context = files.received(context)
        rows = plain_rows(team, team_context(team, context), of_task, catalogue, [poll])
        in_order = models.sort_by([("priority", "ascending"), ("horizon", "ascending")])
        scorers = [Scorer.of(model) for model in in_order.to_pylist()]
        return scores_of_team(team, rows, scorers, land_cells[team], catalogue, settings)

    teams = sorted(land_cells, key=lambda team: (-land_cells[team], team))
    used = ("team_id", "priority", "horizon", "intercept", "coefficients", "draws")
    scored = task_per_group_of_two(
        score_team,
        _SCORES,
        "team_id",
        teams,
        files.sent_with(context),
        models.select(*used),
    )
    weeks = target_weeks(poll, horizons)
    target = F.create_map(*[F.lit(part) for pair in weeks.items() for part in pair])
    # Spark's exp is Java's StrictMath: the same bits on every machine, which numpy's is not.
    probability = F.lit(1.0) / (F.lit(1.0) + F.exp(-F.col("logit")))
    return scored.select(
        F.lit(poll).alias("poll_on"),
        "team_id",
        "priority",
        "horizon",
        "cell_id",
        target[F.col("horizon")].alias("target_week_on"),
        "logit",
        probability.alias("probability"),
        "rank",
        F.col("contributions").isNotNull().alias("is_chosen"),
        "band",
        "stability",
        "contributions",
        "reasons",
        "raised_by",
        F.lit(run_number).cast("long").alias("run_number"),
    )


def scores_of_team(
    team: str,
    rows: pa.Table,
    models: Sequence[Scorer],
    land_cells: int,
    catalogue: Catalogue,
    settings: Forecast,
) -> pa.Table:
    """Logits, ranks and, for chosen cells, band, stability and reasons of one team.

    The logit is the intercept plus the contributions, added one by one in catalogue order, without
    BLAS: the same bits on every machine. Ties in rank are broken by cell id.

    Returns:
        Columns of `_SCORES`, a row per model and kept cell.
    """
    rows = rows.sort_by("cell_id")
    cells = rows.column("cell_id").to_numpy()
    plain = {i.name: rows.column(i.name).to_numpy() for i in catalogue.indicators}
    values = values_for(models, rows, catalogue)
    bands = [(band.name, cells_to_choose(band.up_to, land_cells)) for band in settings.bands]
    parts = [
        _scores_of_model(team, cells, plain, values, model, bands, catalogue) for model in models
    ]
    return pa.concat_tables(parts) if parts else _ARROW_SCORES.empty_table()


MEAN_STEPS = 1 << 32
"""Means are of whole multiples of 2^-32, so that they are the same in any order of summing."""
_ARROW_SCORES = pa.schema(
    [
        ("team_id", pa.string()),
        ("priority", pa.string()),
        ("horizon", pa.string()),
        ("cell_id", pa.int64()),
        ("logit", pa.float64()),
        ("rank", pa.int32()),
        ("band", pa.string()),
        ("stability", pa.float64()),
        ("contributions", pa.list_(pa.float64())),
        ("reasons", pa.list_(REASON)),
        ("raised_by", pa.list_(RAISED_BY)),
    ]
)
_SCORES = from_arrow_schema(_ARROW_SCORES)


def values_for(
    models: Sequence[Scorer], rows: pa.Table, catalogue: Catalogue
) -> dict[str, Doubles]:
    """Indicator -> the cells' transformed values, of those that any of the models looks at.

    Raises:
        NotFiniteError: one of them has a value that is no number.
    """
    used = {name for model in models for name, _ in model.coefficients}
    return {
        i.name: transformed(rows.column(i.name).to_numpy(), i)
        for i in catalogue.indicators
        if i.name in used
    }


def logits_of(model: Scorer, values: Mapping[str, Doubles], cells: int) -> Doubles:
    """The intercept plus the contributions, one by one in catalogue order: the same everywhere.

    Args:
        model: to score by.
        values: indicator -> the cells' transformed values.
        cells: how many there are.
    """
    logits = np.full(cells, model.intercept)
    for name, coefficient in model.coefficients:
        logits = logits + coefficient * values[name]
    return logits


def _above_mean(contribution: Doubles) -> Doubles:
    """How far each cell lies above the mean of all, which is exact and so the same everywhere."""
    if contribution.min() == contribution.max():  # else what rounds it would raise every cell
        return np.zeros_like(contribution)
    whole = np.rint(contribution * MEAN_STEPS).astype(np.int64)
    return contribution - int(whole.sum()) / (MEAN_STEPS * len(whole))


def _stability(model: Scorer, values: Mapping[str, Doubles], number: int, cells: int) -> Doubles:
    """The share of the model's draws in which each cell is chosen; NaN where it has no draws."""
    if model.draws is None:
        return np.full(cells, np.nan)
    matrix = np.array([values[name] for name, _ in model.coefficients]).reshape(-1, cells)
    return shares_chosen(restored(model.draws), matrix, number)


def _scores_of_model(
    team: str,
    cells: npt.NDArray[np.int64],
    plain: Mapping[str, npt.NDArray[np.float32]],
    values: Mapping[str, Doubles],
    model: Scorer,
    bands: Sequence[tuple[str, int]],
    catalogue: Catalogue,
) -> pa.Table:
    contributions = [(name, coefficient * values[name]) for name, coefficient in model.coefficients]
    logit = logits_of(model, values, len(cells))
    order = np.lexsort((cells, -logit))
    rank = np.empty(len(cells), dtype=np.int32)
    rank[order] = np.arange(1, len(cells) + 1, dtype=np.int32)

    names, bounds = [name for name, _ in bands], [until for _, until in bands]
    of_band = np.searchsorted(bounds, rank)
    is_chosen = of_band < len(bands)
    band = pa.array([*names, None], pa.string()).take(pa.array(of_band))
    shares = _stability(model, values, bounds[-1], len(cells))
    return pa.table(
        [
            pa.repeat(team, len(cells)),
            pa.repeat(model.priority, len(cells)),
            pa.repeat(model.horizon, len(cells)),
            pa.array(cells),
            pa.array(logit),
            pa.array(rank),
            band,
            pa.array(shares, pa.float64(), mask=~is_chosen | np.isnan(shares)),
            *_why(model, contributions, plain, is_chosen, catalogue).values(),
        ],
        schema=_ARROW_SCORES,
    )


def _why(
    model: Scorer,
    contributions: Sequence[tuple[str, Doubles]],
    plain: Mapping[str, npt.NDArray[np.float32]],
    is_chosen: npt.NDArray[np.bool_],
    catalogue: Catalogue,
) -> dict[str, pa.ListArray]:
    """Contributions, reasons and what groups raise, of each chosen cell; null for the others."""
    chosen = np.flatnonzero(is_chosen)
    names = [name for name, _ in contributions]
    shape = (len(chosen), len(names))
    values, every, above_mean = np.empty(shape), np.empty(shape), np.empty(shape)
    for place, (name, of_cells) in enumerate(contributions):
        values[:, place] = plain[name][chosen]
        every[:, place] = of_cells[chosen]
        above_mean[:, place] = _above_mean(of_cells)[chosen]
    parts = np.column_stack([np.full(len(chosen), model.intercept), every])
    ends = np.arange(len(chosen) + 1, dtype=np.int32) * parts.shape[1]
    lists_of = {
        "contributions": pa.ListArray.from_arrays(pa.array(ends), pa.array(parts.ravel())),
        "reasons": largest_reasons(names, values, every, above_mean),
        "raised_by": by_group(names, above_mean, catalogue.indicators),
    }
    return {name: _among_all(lists, is_chosen) for name, lists in lists_of.items()}


def _among_all(lists: pa.ListArray, is_chosen: npt.NDArray[np.bool_]) -> pa.ListArray:
    """Lists of the chosen cells, each at its cell's place among all; null for the others."""
    lengths = np.zeros(len(is_chosen), dtype=np.int64)
    lengths[is_chosen] = lists.value_lengths().to_numpy()
    ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(ends, lists.values, mask=pa.array(~is_chosen))
