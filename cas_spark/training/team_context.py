"""A team's slow indicators, of which each poll sees the newest; in a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cas_spark.errors import CasError
from cas_spark.knowledge.editions import places_of_turns

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TeamContext:
    """The rows of `cell_context` of a team's kept cells.

    Attributes:
        cell_ids: sorted.
        turns: polls from which the rows are valid, oldest first.
        rows: a set of rows per turn, one after the other, each sorted by cell.
    """

    cell_ids: Ints
    turns: tuple[date, ...]
    rows: pa.Table

    @property
    def sets(self) -> list[pa.Table]:
        """The rows of each turn."""
        cells = len(self.cell_ids)
        return [self.rows.slice(i * cells, cells) for i in range(len(self.turns))]

    def places(self, polls: Sequence[date]) -> Ints:
        """Which of `sets` each poll sees."""
        return places_of_turns(self.turns, polls)

    def values(self, name: str, polls: Sequence[date]) -> npt.NDArray[np.float32]:
        """A slow indicator of every cell at every poll, by poll and then by cell."""
        of_sets = self.rows.column(name).to_numpy().reshape(len(self.turns), len(self.cell_ids))
        seen: npt.NDArray[np.float32] = of_sets[self.places(polls)].ravel()
        return seen


def team_context(team: str, context: pa.Table) -> TeamContext:
    """Sort a team's slow indicators by turn and cell.

    Args:
        team: the team.
        context: valid_from_on, cell_id and the slow indicators of its kept cells.

    Raises:
        CasError: a turn lacks some of the cells.
    """
    rows = context.sort_by([("valid_from_on", "ascending"), ("cell_id", "ascending")])
    turns = sorted(set(rows.column("valid_from_on").to_pylist()))
    cell_ids = np.unique(rows.column("cell_id").to_numpy())
    if not np.array_equal(rows.column("cell_id").to_numpy(), np.tile(cell_ids, len(turns))):
        raise CasError(
            what=f"cell_context of team {team}",
            found=f"{rows.num_rows} rows",
            expected=f"{len(cell_ids)} kept cells from each of {', '.join(map(str, turns))} on",
            do="This is a fault of the program: report it with this message",
        )
    return TeamContext(cell_ids, tuple(turns), rows)
