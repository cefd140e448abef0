"""Stand-ins: the model of a region or of the whole country, for teams with too few incidents."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.platform.spread import task_per_group_of_two
from cas_spark.settings.learning import Training
from cas_spark.training import grouped
from cas_spark.training.design import design_of
from cas_spark.training.models import Expected, TrainedModel, TrainingData
from cas_spark.training.pools import GIVEN, Pools, given_by, received_rows
from cas_spark.training.team_rows import TeamRows, team_rows
from cas_spark.training.unfitted import TOO_FEW_POSITIVES


def given_to_pools(
    data: TrainingData, models: Sequence[TrainedModel], expected: Expected, pools: Pools
) -> DataFrame:
    """What teams give to their pools, where no task that has their rows gave it already: GIVEN.

    Args:
        data: what models learn from.
        models: of the teams; those whose rows could not be read give nothing.
        expected: what is to be trained.
        pools: which are asked for.
    """
    files = data.files
    unread = {model.team_id for model in models if model.status == "failed" and model.rows == 0}

    def give(team: str, context: pa.Table, labels: pa.Table) -> pa.Table:
        of_task, context = files.received(context)
        return given_by(team, team_rows(team, context, labels, of_task, expected), expected, pools)

    teams = [team for team in expected.teams if team not in unread]
    context = files.sent_with(data.context.where(F.col("team_id").isin(teams)))
    return task_per_group_of_two(
        give, from_arrow_schema(GIVEN), "team_id", teams, context, data.labels
    )


def stand_in(
    models: Sequence[TrainedModel],
    given: DataFrame,
    pools: Pools,
    expected: Expected,
    settings: Training,
) -> list[TrainedModel]:
    """Give each `pooled` model the fit of its pool; `failed` where the pool has none either.

    Args:
        models: of all teams.
        given: what teams gave to their pools, GIVEN.
        pools: which are asked for.
        expected: what is to be trained.
        settings: the engine's.
    """
    if not any(model.status == "pooled" for model in models):
        return list(models)
    fitted = {
        (model.team_id, model.priority, model.horizon): model
        for model in _fit_pools(given, expected, settings)
    }
    result = []
    for model in models:
        if model.status != "pooled":
            result.append(model)
            continue
        pool = pools.of_model[model.team_id, model.priority, model.horizon]
        of_pool = fitted.get((pool, model.priority, model.horizon))
        if of_pool is None or of_pool.fit is None:
            result.append(
                replace(
                    model,
                    status="failed",
                    pool=pool,
                    pool_reason=of_pool.reason if of_pool else TOO_FEW_POSITIVES,
                    detail=of_pool.detail if of_pool else None,
                )
            )
        else:
            result.append(
                replace(
                    model,
                    pool=pool,
                    fit=of_pool.fit,
                    dropped=of_pool.dropped,
                    seconds=of_pool.seconds,
                )
            )
    return result


def _fit_pools(given: DataFrame, expected: Expected, settings: Training) -> list[TrainedModel]:
    """A model per pool, priority and horizon; `team_id` is the pool's name."""

    def task(key: tuple[pa.Scalar, ...], given: pa.Table) -> pa.Table:
        pool, priority = (part.as_py() for part in key)
        return grouped.as_table(fit_pool(pool, priority, given, expected, settings))

    models = given.groupBy("pool", "priority").applyInArrow(task, grouped.MODEL_TYPE).collect()
    return [grouped.from_row(row, expected) for row in models]


def fit_pool(
    pool: str, priority: str, given: pa.Table, expected: Expected, settings: Training
) -> list[TrainedModel]:
    """All horizons of a pool and priority; the work of one task.

    Args:
        pool: a region's name, or COUNTRY.
        priority: of what was given.
        given: GIVEN, of all the pool's teams.
        expected: what is to be trained.
        settings: the engine's.
    """
    rows = received_rows(given)
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
    try:
        return grouped.models_of(pool, of_pool, design_of(values, weight), only, settings)
    except grouped.FIT_FAULTS as error:
        return grouped.none_of(pool, only, error)
