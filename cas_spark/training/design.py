"""A design: the rows and columns that the regressions of a team share."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cas_spark.training.transforms import ROUNDING, room_beside

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK_ROWS = 8192
"""Rows of a block: so many of some 150 columns stay in the shared cache between two products."""


@dataclass(frozen=True)
class Design:
    """The rows and columns that all targets share.

    Attributes:
        values: transformed indicators less their centre, shape (all columns, rows), each
            contiguous.
        columns: which of them the targets look at.
        centre: near each looked-at column's mean, a multiple of 2^-16, so that taking it off is
            exact.
        scale: their standard deviations (n - 1); 0 for a column without variance.
        weight: how many rows each stands for, shape (rows,); None where each stands for itself.
    """

    values: Floats
    columns: Ints
    centre: Doubles
    scale: Doubles
    weight: Floats | None = None

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.values.shape[1])

    @property
    def total(self) -> float:
        """The rows that these stand for."""
        weight = self.weight
        return float(self.rows) if weight is None else float(weight.sum(dtype=np.float64))

    def only(self, places: Ints) -> "Design":
        """Some of the columns, by their place among these; nothing is copied."""
        return Design(
            self.values,
            self.columns[places],
            self.centre[places],
            self.scale[places],
            self.weight,
        )

    def sample(self, rows: Ints, weight: Floats) -> "Design":
        """Some of the rows, each weighed by how many of these it stands for.

        They lie in a scratch file where these do.
        """
        own = weight if self.weight is None else weight * self.weight[rows]
        values = room_beside(self.values, (len(self.columns), len(rows)))
        for place, column in enumerate(self.columns):
            np.take(self.values[column], rows, out=values[place], mode="clip")
        return Design(values, np.arange(len(values)), self.centre, self.scale, own)

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """The columns over some rows at a time, in one buffer: take what is needed, keep nothing.

        Copying a block where it is used is far cheaper than a matrix of one's own per priority.
        """
        buffer = np.empty((len(self.columns), BLOCK_ROWS), dtype=np.float32)
        for start in range(0, self.rows, BLOCK_ROWS):
            block = slice(start, min(start + BLOCK_ROWS, self.rows))
            values = buffer[:, : block.stop - block.start]
            for place, column in enumerate(self.columns):
                values[place] = self.values[column, block]
            yield block, values


def design_of(values: Floats, weight: Floats | None = None) -> Design:
    """Centre transformed values, in place.

    Args:
        values: shape (columns, rows), at least two rows.
        weight: how many rows each stands for; 1 where it is None.
    """
    centre, scale = np.zeros(len(values)), np.zeros(len(values))
    weights = None if weight is None else weight.astype(np.float64)
    total = float(values.shape[1]) if weights is None else float(weights.sum())
    for place in range(len(values)):
        column = values[place]
        centre[place] = np.rint(column.mean(dtype=np.float64) * ROUNDING) / ROUNDING
        column -= np.float32(centre[place])
        if column.max() == column.min():
            continue
        wide = column.astype(np.float64)
        weighed = wide if weights is None else wide * weights
        variance = (weighed @ wide - weighed.sum() ** 2 / total) / (total - 1)
        scale[place] = np.sqrt(max(variance, 0.0))
    return Design(values, np.arange(len(values)), centre, scale, weight)
