"""A team's rows as the grouped engine sees them: one matrix for all priorities and horizons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from cas_spark.errors import CasError
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.arrow_door import read_slices
from cas_spark.training.design_matrix import matrix_of
from cas_spark.training.models import Expected, SnapshotFiles
from cas_spark.training.team_context import TeamContext, team_context

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TeamRows:
    """All rows of a team, sorted by poll and cell.

    Attributes:
        matrix: transformed indicators in catalogue order, shape (indicators, polls x cells).
        cell_ids: sorted.
        polls: oldest first.
        positives: (priority, horizon) -> the rows with an incident in the target week, sorted.
    """

    matrix: npt.NDArray[np.float32]
    cell_ids: Ints
    polls: tuple[date, ...]
    positives: Mapping[tuple[str, str], Ints]


def team_rows(
    team: str, context: pa.Table, labels: pa.Table, files: SnapshotFiles, expected: Expected
) -> TeamRows:
    """Read a team's rows; in a task.

    Args:
        team: the team.
        context: valid_from_on, cell_id and the slow indicators of its kept cells.
        labels: priority, cell_id, poll_on, horizons.
        files: where its snapshots lie.
        expected: polls to learn from, catalogue, priorities and horizons.

    Raises:
        CasError: the files do not hold every kept cell at every poll, or a value is not finite.
    """
    slow = team_context(team, context)
    rows = plain_rows(team, slow, files, expected.catalogue, expected.polls)
    return TeamRows(
        matrix=matrix_of(rows, expected.catalogue.indicators),
        cell_ids=slow.cell_ids,
        polls=expected.polls,
        positives=_positives(labels, slow.cell_ids, expected),
    )


def plain_rows(
    team: str,
    context: TeamContext,
    files: SnapshotFiles,
    catalogue: Catalogue,
    polls: Sequence[date],
) -> pa.Table:
    """All indicators of a team's kept cells at consecutive polls, as people read them; in a task.

    Args:
        team: the team.
        context: its slow indicators.
        files: where its snapshots lie.
        catalogue: the indicators.
        polls: oldest first.

    Returns:
        poll_on, cell_id and a column per indicator, sorted by poll and cell.

    Raises:
        CasError: the files do not hold every kept cell at every poll.
    """
    cell_ids, of_team = context.cell_ids, files.of_team.get(team, ())
    rows = read_slices(files.root, files.table, of_team, catalogue.fast.names, polls[0], polls[-1])
    every = np.tile(cell_ids, len(polls))
    if not np.array_equal(rows.column("cell_id").to_numpy(), every):
        raise CasError(
            what=f"snapshots of team {team}, in {len(of_team)} files",
            found=f"{rows.num_rows} rows",
            expected=f"{len(every)}: {len(cell_ids)} kept cells at {len(polls)} polls",
            do="Run `cas-spark snapshots` again",
        )
    for name in catalogue.slow.names:
        rows = rows.append_column(name, pa.array(context.values(name, polls)))
    return rows


def as_frame(rows: TeamRows, expected: Expected, priority: str) -> pd.DataFrame:
    """The rows of a priority as a frame, for people: poll_on, cell_id, indicators, labels."""
    place = {name: i for i, name in enumerate(expected.catalogue.names)}
    cells = len(rows.cell_ids)
    columns: dict[str, object] = {
        "poll_on": np.repeat(np.array(rows.polls, dtype="datetime64[s]"), cells),
        "cell_id": np.tile(rows.cell_ids, len(rows.polls)),
    }
    for indicator in expected.catalogue.of_priority(priority):
        columns[indicator.name] = rows.matrix[place[indicator.name]]
    for horizon in expected.horizons:
        label = np.zeros(cells * len(rows.polls), dtype=bool)
        label[rows.positives[priority, horizon]] = True
        columns[f"label_{horizon}"] = label
    return pd.DataFrame(columns)


def _positives(labels: pa.Table, cell_ids: Ints, expected: Expected) -> dict[tuple[str, str], Ints]:
    """The positive rows of each priority and horizon."""
    place = {poll: i for i, poll in enumerate(expected.polls)}
    poll = np.array([place[day] for day in labels.column("poll_on").to_pylist()], dtype=np.int64)
    row = poll * len(cell_ids) + np.searchsorted(cell_ids, labels.column("cell_id").to_numpy())
    priority = np.array(labels.column("priority").to_pylist(), dtype=object)
    named = labels.column("horizons").to_pylist()
    return {
        (of, horizon): np.sort(
            row[(priority == of) & np.array([horizon in names for names in named], dtype=bool)]
        )
        for of in expected.priorities
        for horizon in expected.horizons
    }
