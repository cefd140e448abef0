"""A team's rows as the grouped engine sees them: one matrix for all priorities and horizons."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from cas_spark.errors import CasError
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.indicator import Indicator
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.training.models import Expected
from cas_spark.training.team_context import TeamContext, team_context
from cas_spark.training.transforms import NotFiniteError, fill_matrix, room_for

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
    slow, indicators = team_context(team, context), expected.catalogue.indicators
    size = len(slow.cell_ids) * len(expected.polls)
    matrix = room_for((len(indicators), size), expected.task_memory_bytes)
    done = 0
    try:
        for rows in plain_blocks(team, slow, files, expected.catalogue, expected.polls):
            fill_matrix(matrix[:, done : done + rows.num_rows], rows, indicators)
            done += rows.num_rows
    except NotFiniteError as error:
        every = plain_blocks(team, slow, files, expected.catalogue, expected.polls)
        raise _first_not_finite(every, indicators) from error
    return TeamRows(
        matrix=matrix,
        cell_ids=slow.cell_ids,
        polls=expected.polls,
        positives=positives_of(labels, slow.cell_ids, expected),
    )


def _first_not_finite(
    blocks: Iterable[pa.Table], indicators: Sequence[Indicator]
) -> NotFiniteError:
    """The error of the first indicator that has such values, over all rows, however they come.

    What a task says of a failed model is part of what two runs must agree on.
    """
    bad, number = Counter[str](), 0
    for rows in blocks:
        number += rows.num_rows
        for indicator in indicators:
            values = rows.column(indicator.name).to_numpy()
            bad[indicator.name] += int(np.count_nonzero(~np.isfinite(values)))
    first = next(indicator for indicator in indicators if bad[indicator.name])
    found = f"{bad[first.name]} of {number} rows without a finite number"
    return NotFiniteError(first, found)


def plain_rows(
    team: str,
    context: TeamContext,
    files: SnapshotFiles,
    catalogue: Catalogue,
    polls: Sequence[date],
) -> pa.Table:
    """The rows of `plain_blocks`, all together; in a task."""
    return pa.concat_tables(list(plain_blocks(team, context, files, catalogue, polls)))


def plain_blocks(
    team: str,
    context: TeamContext,
    files: SnapshotFiles,
    catalogue: Catalogue,
    polls: Sequence[date],
) -> Iterator[pa.Table]:
    """All indicators of a team's kept cells, as people read them, some polls at a time; in a task.

    Args:
        team: the team.
        context: its slow indicators.
        files: where its snapshots lie.
        catalogue: the indicators.
        polls: consecutive, oldest first.

    Yields:
        poll_on, cell_id and a column per indicator, sorted by poll and cell.

    Raises:
        CasError: the files do not hold every kept cell at every poll.
    """
    cells, done = len(context.cell_ids), 0
    for fast in files.blocks(team, catalogue.fast.names, polls[0], polls[-1]):
        days = polls[done : done + fast.num_rows // cells]
        done += len(days)
        is_whole = np.array_equal(
            fast.column("cell_id").to_numpy(), np.tile(context.cell_ids, len(days))
        ) and np.array_equal(
            fast.column("poll_on").to_numpy(), np.repeat(np.array(days, "datetime64[D]"), cells)
        )
        if not is_whole:
            raise _incomplete(team, f"other rows around {days[0] if days else polls[-1]}")
        columns = dict(zip(fast.column_names, fast.columns, strict=True))
        slow = {name: pa.array(context.values(name, days)) for name in catalogue.slow.names}
        yield pa.table(columns | slow)
    if done < len(polls):
        raise _incomplete(team, f"no rows at {polls[done]}")


def _incomplete(team: str, found: str) -> CasError:
    return CasError(
        what=f"snapshots of team {team}",
        found=found,
        expected="every kept cell at every poll",
        do="Run `cas-spark snapshots` again",
    )


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


def positives_of(
    labels: pa.Table, cell_ids: Ints, expected: Expected
) -> dict[tuple[str, str], Ints]:
    """(priority, horizon) -> the rows of a team with an incident in the target week, sorted.

    Args:
        labels: priority, cell_id, poll_on, horizons.
        cell_ids: of the team's kept cells, sorted.
        expected: polls, by which rows are sorted before cells; priorities and horizons.
    """
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
