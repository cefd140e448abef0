"""Pools: whose models stand in for teams with too few incidents, and which rows these learn from.

A pool learns from every positive row of its teams and from a share of the others, chosen by a hash,
each weighed by how many it stands for; so its intercept is that of all rows, and so is its scale.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.settings.learning import Training
from cas_spark.training.models import Expected
from cas_spark.training.sampling import one_in
from cas_spark.training.team_rows import TeamRows

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

COUNTRY = ""
"""The pool of all teams; any other is a region's name."""

GIVEN = pa.schema(
    [
        ("pool", pa.string()),
        ("priority", pa.string()),
        ("team_id", pa.string()),
        ("sample", pa.binary()),
    ]
)
"""What a team gives to a pool: rows of _ROWS as one value, which Spark passes on as it is."""

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


def pools_of(labels: DataFrame, expected: Expected, settings: Training) -> Pools:
    """The pool of each model that needs one: its region if that has enough, else the country.

    What its teams have follows from their labels, before any of their rows is read.

    Args:
        labels: of `TrainingData`.
        expected: what is to be trained.
        settings: how many positives a model needs, and how many rows a pool.
    """
    named = labels.select("team_id", "priority", F.explode("horizons").alias("horizon"))
    found = named.groupBy("team_id", "priority", "horizon").count().collect()
    positives = {(row["team_id"], row["priority"], row["horizon"]): row["count"] for row in found}
    in_region: Counter[tuple[str | None, str, str]] = Counter()
    for (team, priority, horizon), number in positives.items():
        in_region[expected.teams[team], priority, horizon] += number
    needed = settings.minimum_positives
    of_model = {
        (team, priority, horizon): (
            region if region and in_region[region, priority, horizon] >= needed else COUNTRY
        )
        for team, region in expected.teams.items()
        for priority in expected.priorities
        for horizon in expected.horizons
        if positives.get((team, priority, horizon), 0) < needed
    }
    return Pools(of_model, max(1, expected.rows // settings.pooled_rows))


def given_by(team: str, rows: TeamRows, expected: Expected, pools: Pools) -> pa.Table:
    """A team's rows for each pool that it is part of: GIVEN; in a task.

    Args:
        team: the team.
        rows: of the team.
        expected: what is to be trained.
        pools: which are asked for.
    """
    # By the cell and poll themselves, so that the choice is the same however teams are cut; poll by
    # poll, so that no number of each row is held.
    of_polls = [one_in(pools.step, i * 1_000_003 + rows.cell_ids) for i in range(len(rows.polls))]
    by_chance = np.concatenate(of_polls)
    names = expected.catalogue.names
    parts = []
    for pool, priority in pools.asked(expected.teams[team]):
        positives = {h: rows.positives[priority, h] for h in expected.horizons}
        is_chosen = by_chance.copy()
        for of_horizon in positives.values():
            is_chosen[of_horizon] = True
        chosen = np.flatnonzero(is_chosen)
        columns = [names.index(i.name) for i in expected.catalogue.of_priority(priority)]
        values = np.array([rows.matrix[column][chosen] for column in columns])
        sample = _packed(_rows_for(chosen, values, positives, pools.step))
        parts.append({"pool": pool, "priority": priority, "team_id": team, "sample": sample})
    return pa.Table.from_pylist(parts, schema=GIVEN)


def received_rows(given: pa.Table) -> pa.Table:
    """The rows of `_ROWS` that teams gave to a pool, by team."""
    of_teams = given.sort_by([("team_id", "ascending")]).column("sample")
    return pa.concat_tables([_unpacked(packed) for packed in of_teams])


def _packed(rows: pa.Table) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    packed: bytes = stream.getvalue().to_pybytes()
    return packed


def _unpacked(packed: pa.BinaryScalar) -> pa.Table:
    return pa.ipc.open_stream(packed.as_buffer()).read_all()


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
