"""The default engine: a task per team fits all its priorities and horizons on one shared matrix."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.errors import CasError
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.platform.spread import task_per_group_of_two
from cas_spark.settings.learning import Training
from cas_spark.training.coefficient_draws import stored
from cas_spark.training.design import Design, design_of
from cas_spark.training.models import (
    Expected,
    Fit,
    TrainedModel,
    TrainingData,
    blank,
)
from cas_spark.training.pools import GIVEN, Pools, given_by
from cas_spark.training.solver import Group, Solution, solve
from cas_spark.training.team_rows import TeamRows, team_rows
from cas_spark.training.unfitted import (
    ALL_POSITIVE,
    ERROR,
    NOT_CONVERGED,
    TOO_FEW_POSITIVES,
    message_of,
)

_MODEL = pa.schema(
    [
        ("team_id", pa.string()),
        ("priority", pa.string()),
        ("horizon", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("intercept", pa.float64()),
        ("coefficients", pa.list_(pa.float64())),
        ("draws", pa.binary()),
        ("iterations", pa.int32()),
        ("dropped", pa.list_(pa.string())),
        ("rows", pa.int64()),
        ("positives", pa.int64()),
        ("seconds", pa.float64()),
    ]
)
MODEL_TYPE = from_arrow_schema(_MODEL)

MADE = pa.unify_schemas([_MODEL, GIVEN])
"""What a team's task makes: rows of models, with no pool, and rows of GIVEN, with nothing else."""

FIT_FAULTS = (ArithmeticError, ValueError)
"""What goes wrong with a fit; its team's models fail with the reason, others go on."""


def fit_teams(
    data: TrainingData, expected: Expected, settings: Training, pools: Pools
) -> DataFrame:
    """Fit every team's models, and let its pools have what they learn from: rows of MADE.

    Both in one task, since reading a team's rows and transforming them is much of its work.

    Args:
        data: what to learn from.
        expected: what is to be trained.
        settings: the engine's.
        pools: which rows they learn from.
    """
    files = data.files

    def work(team: str, context: pa.Table, labels: pa.Table) -> pa.Table:
        of_task, context = files.received(context)
        models, given = train_team(team, context, labels, of_task, expected, settings, pools)
        return pa.concat_tables([as_table(models), given], promote_options="default").select(
            MADE.names
        )

    context = files.sent_with(data.context)
    return task_per_group_of_two(
        work, from_arrow_schema(MADE), "team_id", list(expected.teams), context, data.labels
    )


def models_in(made: DataFrame, expected: Expected) -> list[TrainedModel]:
    """The models among rows of MADE; those with too few incidents are `pooled`, without a fit."""
    rows = made.where(F.col("pool").isNull()).select(*_MODEL.names).collect()
    return [from_row(row, expected) for row in rows]


def given_in(made: DataFrame) -> DataFrame:
    """What teams give to pools among rows of MADE."""
    return made.where(F.col("pool").isNotNull()).select(*GIVEN.names)


def train_team(
    team: str,
    context: pa.Table,
    labels: pa.Table,
    files: SnapshotFiles,
    expected: Expected,
    settings: Training,
    pools: Pools,
) -> tuple[list[TrainedModel], pa.Table]:
    """All models of a team, and what it gives to pools, GIVEN; the work of one task.

    Args:
        team: the team.
        context: valid_from_on, cell_id and the slow indicators of its kept cells.
        labels: priority, cell_id, poll_on, horizons.
        files: where its snapshots lie.
        expected: what is to be trained.
        settings: the engine's.
        pools: which rows they learn from.

    Raises:
        OSError, pa.ArrowException: a file of the team cannot be read. Spark tries it again, maybe
            on another machine; which models there are must not depend on one that is ailing.
    """
    start = time.monotonic()
    try:
        rows = team_rows(team, context, labels, files, expected)
    except CasError as error:  # the team's rows are there, and are not as they must be
        return none_of(team, expected, error), GIVEN.empty_table()
    given = given_by(team, rows, expected, pools)
    try:
        models = models_of(team, rows, design_of(rows.matrix), expected, settings)
    except FIT_FAULTS as error:
        return none_of(team, expected, error), given
    seconds = round((time.monotonic() - start) / len(models), 3)
    return [replace(model, seconds=seconds) if model.fit else model for model in models], given


def none_of(team: str, expected: Expected, error: Exception) -> list[TrainedModel]:
    """The models of a team that has none for an error, each with the reason."""
    return [
        replace(blank(team, priority, horizon, expected), reason=ERROR, detail=message_of(error))
        for priority in expected.priorities
        for horizon in expected.horizons
    ]


def models_of(
    team: str, rows: TeamRows, design: Design, expected: Expected, settings: Training
) -> list[TrainedModel]:
    """Fit what can be fitted on a team's rows, and say of the rest why not."""
    asked = [
        _asked_of(team, priority, rows, design, expected, settings)
        for priority in expected.priorities
    ]
    solved = solve(
        design,
        [group for _, group in asked],
        settings.reg_param,
        settings.tolerance,
        settings.max_iterations,
    )
    return [
        model
        for (models, group), solutions in zip(asked, solved, strict=True)
        for model in _with_solutions(models, solutions, design.only(group.columns), settings)
    ]


def _asked_of(
    team: str,
    priority: str,
    rows: TeamRows,
    design: Design,
    expected: Expected,
    settings: Training,
) -> tuple[list[TrainedModel], Group]:
    """The models of a priority, a horizon each, without their fits; and what is to be fitted."""
    names = expected.catalogue.names
    asked = [names.index(i.name) for i in expected.catalogue.of_priority(priority)]
    used = np.array([i for i in asked if design.scale[i] > 0], dtype=np.int64)
    dropped = tuple(names[i] for i in asked if design.scale[i] == 0)
    models = []
    for horizon in expected.horizons:
        positives = len(rows.positives[priority, horizon])
        model = replace(
            blank(team, priority, horizon, expected),
            dropped=dropped,
            rows=design.rows,
            positives=positives,
        )
        if positives < settings.minimum_positives:
            model = replace(model, status="pooled", reason=TOO_FEW_POSITIVES)
        elif positives == design.rows:
            model = replace(model, reason=ALL_POSITIVE)
        else:
            model = replace(model, status="fitted")
        models.append(model)
    to_fit = [model.horizon for model in models if model.status == "fitted"]
    return models, Group(used, [rows.positives[priority, horizon] for horizon in to_fit])


def _with_solutions(
    models: Sequence[TrainedModel],
    solutions: Sequence[Solution],
    design: Design,
    settings: Training,
) -> list[TrainedModel]:
    following = iter(solutions)
    return [
        _with_solution(model, next(following), design, settings)
        if model.status == "fitted"
        else model
        for model in models
    ]


def _with_solution(
    model: TrainedModel, solution: Solution, design: Design, settings: Training
) -> TrainedModel:
    """The model with its coefficients for transformed indicators, or failed with the reason."""
    if not solution.is_converged:
        return replace(
            model,
            status="failed",
            reason=NOT_CONVERGED,
            detail=f"after {solution.passes} passes over all rows the norm of its gradient is "
            f"{solution.gradient_norm:.1e}, above {settings.tolerance:.1e}",
        )
    used = [name for name in model.indicators if name not in model.dropped]
    plain = dict(zip(used, (solution.coefficients / design.scale).tolist(), strict=True))
    # The solver's intercept holds where every column is at its centre.
    intercept = solution.intercept
    for coefficient, centre in zip(plain.values(), design.centre.tolist(), strict=True):
        intercept -= coefficient * centre
    coefficients = solution.draws[:, :-1] / design.scale
    intercepts = solution.draws[:, -1:] - (coefficients @ design.centre)[:, None]
    fit = Fit(
        intercept,
        tuple(plain.get(name, 0.0) for name in model.indicators),
        solution.passes,
        stored(np.hstack([intercepts, coefficients])),
    )
    return replace(model, fit=fit)


def as_table(models: Sequence[TrainedModel]) -> pa.Table:
    """Models as a task returns them: the columns of MODEL_TYPE."""
    return pa.Table.from_pylist([_to_result(model) for model in models], schema=_MODEL)


def _to_result(model: TrainedModel) -> dict[str, Any]:
    return {
        "team_id": model.team_id,
        "priority": model.priority,
        "horizon": model.horizon,
        "status": model.status,
        "reason": model.reason,
        "detail": model.detail,
        "intercept": model.fit.intercept if model.fit else None,
        "coefficients": list(model.fit.coefficients) if model.fit else [],
        "draws": model.fit.draws if model.fit else None,
        "iterations": model.fit.iterations if model.fit else None,
        "dropped": list(model.dropped),
        "rows": model.rows,
        "positives": model.positives,
        "seconds": model.seconds,
    }


def from_row(row: Row, expected: Expected) -> TrainedModel:
    """The model that a row of MODEL_TYPE holds."""
    fit = None
    if row["intercept"] is not None:
        draws = bytes(row["draws"])
        fit = Fit(row["intercept"], tuple(row["coefficients"]), row["iterations"], draws)
    return replace(
        blank(row["team_id"], row["priority"], row["horizon"], expected),
        status=row["status"],
        reason=row["reason"],
        detail=row["detail"],
        fit=fit,
        dropped=tuple(row["dropped"]),
        rows=row["rows"],
        positives=row["positives"],
        seconds=row["seconds"],
    )
