"""Stand-ins: the model of a region or of the whole country, for teams with too few incidents.

It learns from every positive row of its teams and from a share of the others, chosen by a hash,
each weighed by how many it stands for; so its intercept is that of all rows, and so is its scale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.lake.spread import task_per_group_of_two
from cas_spark.settings.learning import Training
from cas_spark.training import grouped
from cas_spark.training.design import design_of
from cas_spark.training.design_matrix import fill_matrix
from cas_spark.training.models import Expected, TrainedModel, TrainingData, too_few
from cas_spark.training.sampling import one_in
from cas_spark.training.team_context import team_context
from cas_spark.training.team_rows import TeamRows, plain_blocks, positives_of

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

COUNTRY = ""
"""The pool of all teams; any other is a region's name."""

_SAMPLE = pa.schema(
    [
        ("pool", pa.string()),
        ("priority", pa.string()),
        ("team_id", pa.string()),
        ("rows", pa.binary()),
    ]
)
"""What a team gives to a pool: rows of _ROWS as one value, which Spark passes on as it is."""
_SAMPLE_TYPE = from_arrow_schema(_SAMPLE)

_ROWS = pa.schema(
    [
        ("values", pa.list_(pa.float32())),
        ("weight", pa.float32()),
        ("horizons", pa.list_(pa.string())),
    ]
)


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

    def work(team: str, context: pa.Table, labels: pa.Table) -> pa.Table:
        of_task, context = files.received(context)
        return sample_of_team(team, context, labels, of_task, expected, pools)

    context = files.sent_with(data.context)
    return task_per_group_of_two(work, _SAMPLE_TYPE, "team_id", context, data.labels)


def sample_of_team(
    team: str,
    context: pa.Table,
    labels: pa.Table,
    files: SnapshotFiles,
    expected: Expected,
    pools: Pools,
) -> pa.Table:
    """A team's rows for each pool that it is part of; the work of one task.

    Of the team's rows only those that some pool asks for are transformed and kept, and of the
    indicators only those that the pools' priorities look at are read.
    """
    asked = pools.asked(expected.teams[team])
    if not asked:
        return _SAMPLE.empty_table()
    slow, polls = team_context(team, context), expected.polls
    positives = positives_of(labels, slow.cell_ids, expected)
    # By the cell and poll themselves, so that the choice is the same however teams are cut.
    numbers = np.add.outer(np.arange(len(polls)) * 1_000_003, slow.cell_ids).ravel()
    by_chance = one_in(pools.step, numbers)
    is_chosen = {}
    for _, priority in asked:
        is_chosen[priority] = by_chance.copy()
        for horizon in expected.horizons:
            is_chosen[priority][positives[priority, horizon]] = True
    rows = np.flatnonzero(np.logical_or.reduce(list(is_chosen.values())))
    read = _read_by({priority for _, priority in asked}, expected.catalogue)
    matrix = np.empty((len(read.indicators), len(rows)), dtype=np.float32)
    start = 0
    for block in plain_blocks(team, slow, files, read, polls):
        first, last = np.searchsorted(rows, [start, start + block.num_rows])
        kept = block.take(pa.array(rows[first:last] - start)).combine_chunks()
        fill_matrix(matrix[:, first:last], kept, read.indicators)
        start += block.num_rows
    place = {name: i for i, name in enumerate(read.names)}
    parts = []
    for pool, priority in asked:
        chosen = np.flatnonzero(is_chosen[priority])
        columns = [place[i.name] for i in expected.catalogue.of_priority(priority)]
        values = matrix[columns][:, np.searchsorted(rows, chosen)]
        of_horizon = {h: positives[priority, h] for h in expected.horizons}
        given = _packed(_rows_for(chosen, values, of_horizon, pools.step))
        parts.append({"pool": pool, "priority": priority, "team_id": team, "rows": given})
    return pa.Table.from_pylist(parts, schema=_SAMPLE)


def _packed(rows: pa.Table) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    packed: bytes = stream.getvalue().to_pybytes()
    return packed


def _unpacked(packed: pa.BinaryScalar) -> pa.Table:
    return pa.ipc.open_stream(packed.as_buffer()).read_all()


def _read_by(priorities: set[str], catalogue: Catalogue) -> Catalogue:
    """What the models of some priorities look at, in catalogue order."""
    used = {i.name for of in priorities for i in catalogue.of_priority(of)}
    return Catalogue(tuple(i for i in catalogue.indicators if i.name in used))


def _rows_for(row: Ints, values: Floats, positives: Mapping[str, Ints], step: int) -> pa.Table:
    """Rows of the sample: those chosen of a team, their values (indicators, rows), their weight."""
    is_of = {horizon: np.isin(row, own, assume_unique=True) for horizon, own in positives.items()}
    is_positive = np.logical_or.reduce(list(is_of.values()))
    horizons = [[h for h, found in is_of.items() if found[i]] for i in np.flatnonzero(is_positive)]
    named = iter(horizons)
    offsets = np.arange(0, values.size + 1, len(values), dtype=np.int32)
    return pa.table(
        [
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.T.ravel())),
            pa.array(np.where(is_positive, 1, step).astype(np.float32)),
            pa.array(
                [next(named) if found else [] for found in is_positive.tolist()],
                pa.list_(pa.string()),
            ),
        ],
        schema=_ROWS,
    )


def _fit_pools(sample: DataFrame, expected: Expected, settings: Training) -> list[TrainedModel]:
    """A model per pool, priority and horizon; `team_id` is the pool's name."""

    def task(key: tuple[pa.Scalar, ...], sample: pa.Table) -> pa.Table:
        pool, priority = (part.as_py() for part in key)
        return grouped.as_table(fit_pool(pool, priority, sample, expected, settings))

    models = sample.groupBy("pool", "priority").applyInArrow(task, grouped.RESULT_TYPE).collect()
    return [grouped.from_row(row, expected) for row in models]


def fit_pool(
    pool: str, priority: str, sample: pa.Table, expected: Expected, settings: Training
) -> list[TrainedModel]:
    """All horizons of a pool and priority; the work of one task.

    Args:
        pool: a region's name, or COUNTRY.
        priority: of the sample.
        sample: of `sample_of_team`, of all the pool's teams.
        expected: what is to be trained.
        settings: the engine's.
    """
    of_teams = sample.sort_by([("team_id", "ascending")]).column("rows")
    rows = pa.concat_tables([_unpacked(packed) for packed in of_teams])
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
