"""Stand-ins: the model of a region or of the whole country, for teams with too few incidents.

It learns from every positive row of its teams and from a share of the others, chosen by a hash,
each weighed by how many it stands for; so its intercept is that of all rows, and so is its scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.lake.spread import working_on
from cas_spark.settings.learning import Training
from cas_spark.training import grouped, solver
from cas_spark.training.design import design_of
from cas_spark.training.models import Expected, SnapshotFiles, TrainedModel, TrainingData, too_few
from cas_spark.training.team_rows import TeamRows, team_rows

COUNTRY = ""
"""The pool of all teams; any other is a region's name."""

_SAMPLE = pa.schema(
    [
        ("pool", pa.string()),
        ("priority", pa.string()),
        ("team_id", pa.string()),
        ("row", pa.int64()),
        ("values", pa.list_(pa.float32())),
        ("weight", pa.float32()),
        ("horizons", pa.list_(pa.string())),
    ]
)
_SAMPLE_TYPE = from_arrow_schema(_SAMPLE)


@dataclass(frozen=True)
class Pools:
    """Which pools are asked for, and which rows they learn from.

    Attributes:
        of_model: (team, priority, horizon) -> its pool.
        step: one in so many of the rows without an incident is used.
    """

    of_model: Mapping[tuple[str, str, str], str]
    step: int

    def asked(self, team_region: str | None) -> list[tuple[str, str]]:
        """The (pool, priority) pairs that a team of this region has rows for."""
        pairs = {(pool, of) for (_, of, _), pool in self.of_model.items()}
        return sorted(pair for pair in pairs if pair[0] in (COUNTRY, team_region))


def pools_of(models: Sequence[TrainedModel], expected: Expected, settings: Training) -> Pools:
    """The pool of each model that needs one: its region if that has enough, else the country."""
    in_region: dict[tuple[str | None, str, str], int] = {}
    for model in models:
        key = (expected.teams[model.team_id], model.priority, model.horizon)
        in_region[key] = in_region.get(key, 0) + model.positives
    of_model = {}
    for model in models:
        if model.status == "pooled":
            region = expected.teams[model.team_id]
            enough = in_region[region, model.priority, model.horizon] >= settings.minimum_positives
            key = (model.team_id, model.priority, model.horizon)
            of_model[key] = region if region and enough else COUNTRY
    rows = sum({model.team_id: model.rows for model in models}.values())
    return Pools(of_model, max(1, rows // settings.pooled_rows))


def stand_in(
    models: Sequence[TrainedModel], data: TrainingData, expected: Expected, settings: Training
) -> list[TrainedModel]:
    """Give each `pooled` model the fit of its pool; `failed` where the pool has none either."""
    pools = pools_of(models, expected, settings)
    if not pools.of_model:
        return list(models)
    # Teams whose rows cannot be read have failed with the reason; the others make the stand-ins.
    unread = {m.team_id for m in models if m.status == "failed" and m.rows == 0}
    if unread:
        is_read = ~F.col("team_id").isin(sorted(unread))
        data = replace(data, context=data.context.where(is_read))
    fitted = {
        (model.team_id, model.priority, model.horizon): model
        for model in _fit_pools(_sample(data, expected, pools), expected, settings)
    }
    result = []
    for model in models:
        pool = pools.of_model.get((model.team_id, model.priority, model.horizon))
        if pool is None:
            result.append(model)
            continue
        of_pool = fitted.get((pool, model.priority, model.horizon))
        where = f"region {pool}" if pool else "the whole country"
        if of_pool is None or of_pool.fit is None:
            why = of_pool.reason if of_pool else too_few(0, settings.minimum_positives)
            reason = f"{model.reason}; nor does {where} have a model: {why}"
            result.append(replace(model, status="failed", reason=reason))
        else:
            reason = f"{model.reason}; the model of {where} stands in"
            result.append(
                replace(
                    model,
                    reason=reason,
                    fit=of_pool.fit,
                    dropped=of_pool.dropped,
                    seconds=of_pool.seconds,
                )
            )
    return result


def _sample(data: TrainingData, expected: Expected, pools: Pools) -> DataFrame:
    """The rows that the pools learn from, a task per team."""
    files = data.files

    def task(key: tuple[pa.Scalar, ...], context: pa.Table, labels: pa.Table) -> pa.Table:
        del key
        team = context.column("team_id")[0].as_py()
        with working_on(team):
            return sample_of_team(team, context, labels, files, expected, pools)

    context, labels = grouped.per_team(data)
    return context.cogroup(labels).applyInArrow(task, _SAMPLE_TYPE)


def sample_of_team(
    team: str,
    context: pa.Table,
    labels: pa.Table,
    files: SnapshotFiles,
    expected: Expected,
    pools: Pools,
) -> pa.Table:
    """A team's rows for each pool that it is part of; the work of one task."""
    asked = pools.asked(expected.teams[team])
    if not asked:
        return _SAMPLE.empty_table()
    rows = team_rows(team, context, labels, files, expected)
    place = {name: i for i, name in enumerate(expected.catalogue.names)}
    parts = []
    for pool, priority in asked:
        columns = [place[i.name] for i in expected.catalogue.of_priority(priority)]
        parts.append(_rows_for(rows, team, pool, priority, columns, expected, pools.step))
    return pa.concat_tables(parts)


def _rows_for(
    rows: TeamRows,
    team: str,
    pool: str,
    priority: str,
    columns: Sequence[int],
    expected: Expected,
    step: int,
) -> pa.Table:
    horizons: dict[int, list[str]] = {}
    for horizon in expected.horizons:
        for row in rows.positives[priority, horizon].tolist():
            horizons.setdefault(row, []).append(horizon)
    # By the cell and poll themselves, so that the choice is the same however teams are cut.
    numbers = np.add.outer(np.arange(len(rows.polls)) * 1_000_003, rows.cell_ids).ravel()
    chosen = solver.one_in(step, numbers)
    chosen[list(horizons)] = True
    row = np.flatnonzero(chosen)
    values = rows.matrix[columns][:, row].T
    offsets = np.arange(0, values.size + 1, len(columns), dtype=np.int32)
    return pa.table(
        [
            pa.array([pool] * len(row)),
            pa.array([priority] * len(row)),
            pa.array([team] * len(row)),
            pa.array(row),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel())),
            pa.array([1.0 if i in horizons else float(step) for i in row.tolist()], pa.float32()),
            pa.array([horizons.get(i, []) for i in row.tolist()], pa.list_(pa.string())),
        ],
        schema=_SAMPLE,
    )


def _fit_pools(sample: DataFrame, expected: Expected, settings: Training) -> list[TrainedModel]:
    """A model per pool, priority and horizon; `team_id` is the pool's name."""

    def task(key: tuple[pa.Scalar, ...], rows: pa.Table) -> pa.Table:
        pool, priority = (part.as_py() for part in key)
        return grouped.as_table(fit_pool(pool, priority, rows, expected, settings))

    models = sample.groupBy("pool", "priority").applyInArrow(task, grouped.RESULT_TYPE).collect()
    return [grouped.from_row(row, expected) for row in models]


def fit_pool(
    pool: str, priority: str, rows: pa.Table, expected: Expected, settings: Training
) -> list[TrainedModel]:
    """All horizons of a pool and priority; the work of one task.

    Args:
        pool: a region's name, or COUNTRY.
        priority: of the rows.
        rows: of `sample_of_team`, of all the pool's teams.
        expected: what is to be trained.
        settings: the engine's.
    """
    rows = rows.sort_by([("team_id", "ascending"), ("row", "ascending")])
    indicators = expected.catalogue.of_priority(priority)
    flat = rows.column("values").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    values = np.ascontiguousarray(flat.reshape(rows.num_rows, len(indicators)).T)
    weight = rows.column("weight").to_numpy()
    named = rows.column("horizons").to_pylist()
    of_pool = TeamRows(
        matrix=values,
        cell_ids=np.empty(0, dtype=np.int64),
        polls=(),
        positives={
            (priority, horizon): np.flatnonzero([horizon in names for names in named])
            for horizon in expected.horizons
        },
    )
    only = replace(
        expected,
        priorities=(priority,),
        catalogue=replace(expected.catalogue, indicators=tuple(indicators)),
    )
    design = design_of(values, weight)
    return grouped.models_of(pool, of_pool, design, only, settings)
