"""What is trained: one model for every team, priority and horizon, whatever becomes of it.

A model is `fitted` on its team, `pooled` (its team has too few settled cell-weeks with an incident,
so the model of its region or of the whole country stands in) or `failed` with the reason; none goes
missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.snapshot_files import SnapshotFiles


@dataclass(frozen=True)
class Expected:
    """What is to be trained.

    Attributes:
        poll: whose forecast the models make.
        polls: that they learn from, oldest first.
        teams: team -> its region, None where it has none; those with most cells first.
        rows: of all teams together: a row per kept cell and poll.
        priorities, horizons: a model is expected for every combination with a team.
        catalogue: the indicators.
        task_memory_bytes: that a task may use for the rows of its team; no result depends on it.
    """

    poll: date
    polls: tuple[date, ...]
    teams: Mapping[str, str | None]
    rows: int
    priorities: tuple[str, ...]
    horizons: tuple[str, ...]
    catalogue: Catalogue
    task_memory_bytes: int


@dataclass(frozen=True)
class TrainingData:
    """What models learn from.

    Attributes:
        snapshots: rows of `snapshots` with the slow indicators that their poll sees beside them.
        files: the same without the slow indicators, for tasks that read their own team.
        labels: `outcomes.labels_of`, all priorities, with the team_id of the cell.
        context: team_id, valid_from_on, cell_id and the slow indicators of every kept cell, a set
            of rows for each turn of the area statistics.
    """

    snapshots: DataFrame
    files: SnapshotFiles
    labels: DataFrame
    context: DataFrame


@dataclass(frozen=True)
class Fit:
    """A fitted logistic regression.

    Attributes:
        intercept: on transformed indicators.
        coefficients: on transformed, not standardised, indicators; 0 for those dropped.
        iterations: that the optimiser took.
        draws: `stability.stored`, per draw the intercept and the coefficients of the indicators
            that were not dropped; None with an engine that does not return its curvature.
    """

    intercept: float
    coefficients: tuple[float, ...]
    iterations: int
    draws: bytes | None = None


@dataclass(frozen=True)
class TrainedModel:
    """What a row of `models` holds of a team, priority and horizon.

    Attributes:
        status: fitted, pooled or failed.
        reason, pool, pool_reason, detail: why it is not fitted, see `unfitted`.
        fit: the coefficients, also those of a stand-in; None where there are none.
        indicators: of the priority, in catalogue order.
        dropped: those without variance.
        rows: of the team.
        positives: rows with an incident in the target week.
        seconds: that the fit took.
    """

    team_id: str
    priority: str
    horizon: str
    status: str
    fit: Fit | None
    indicators: tuple[str, ...]
    dropped: tuple[str, ...]
    rows: int
    positives: int
    seconds: float | None
    reason: str | None = None
    pool: str | None = None
    pool_reason: str | None = None
    detail: str | None = None

    def to_row(self, expected: Expected, engine: str, run_number: int) -> dict[str, Any]:
        """The row of `models`."""
        pairs = zip(self.indicators, self.fit.coefficients, strict=True) if self.fit else ()
        return {
            "poll_on": expected.poll,
            "team_id": self.team_id,
            "priority": self.priority,
            "horizon": self.horizon,
            "status": self.status,
            "reason": self.reason,
            "pool": self.pool,
            "pool_reason": self.pool_reason,
            "detail": self.detail,
            "intercept": self.fit.intercept if self.fit else None,
            "coefficients": [pair for pair in pairs if pair[0] not in self.dropped],
            "draws": self.fit.draws if self.fit else None,
            "dropped": list(self.dropped),
            "first_poll_on": expected.polls[0],
            "last_poll_on": expected.polls[-1],
            "rows": self.rows,
            "positives": self.positives,
            "iterations": self.fit.iterations if self.fit else None,
            # Stand-ins are fitted by the grouped engine's solver, whichever engine fits the rest.
            "engine": "grouped" if self.status == "pooled" else engine,
            "seconds": self.seconds,
            "run_number": run_number,
        }


def blank(team: str, priority: str, horizon: str, expected: Expected) -> TrainedModel:
    """A model of which nothing is known yet."""
    names = tuple(i.name for i in expected.catalogue.of_priority(priority))
    return TrainedModel(team, priority, horizon, "failed", None, names, (), 0, 0, None)
