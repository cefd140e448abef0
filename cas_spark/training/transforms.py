"""The design matrix: what a model sees of a snapshot.

`snapshots` and `cell_context` hold plain values, which people read. The declared transform is
applied here, for training and forecasting alike, and rounded, since logarithms differ in their
last bits between processors.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.indicators.indicator import Indicator

ROUNDING = 1 << 16


class NotFiniteError(CasError):
    """Values that are missing or not finite: no model may learn from them or judge by them."""

    def __init__(self, indicator: Indicator, found: str = "rows without a finite number") -> None:
        super().__init__(
            what=f"indicator {indicator.name}",
            found=found,
            expected="a number in every row of `snapshots` and `cell_context`",
            do="Run `cas-spark weekly` on a new grid.version; where it stays, report it with this "
            "message",
        )


def transformed(values: npt.NDArray[np.float32], indicator: Indicator) -> npt.NDArray[np.float64]:
    """An indicator's plain values as a model reads them; rounded to 2^-16.

    Raises:
        NotFiniteError: as `transform_into`.
    """
    wide = np.empty(len(values))
    transform_into(wide, values, indicator)
    return wide


def transform_into(
    room: npt.NDArray[Any], values: npt.NDArray[np.float32], indicator: Indicator
) -> None:
    """As `transformed`, into room that is there.

    Raises:
        NotFiniteError: values are missing or not finite.
    """
    # The least and the greatest are finite only if all values are.
    if len(values) and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise NotFiniteError(indicator)
    # Both transforms leave 0 as it is, which most values are: nothing happened in most places.
    place = np.flatnonzero(values != 0)
    some = values[place].astype(np.float64)
    if indicator.transform == "log1p":
        # Half the time of numpy's log1p; they differ by less than 2^-48, far below the rounding.
        some += 1
        np.log(some, out=some)
    some *= ROUNDING
    np.rint(some, out=some)
    some /= ROUNDING
    room[:] = 0
    room[place] = some


def matrix_of(rows: pa.Table, indicators: Sequence[Indicator]) -> npt.NDArray[np.float32]:
    """The transformed indicators of these rows, shape (indicators, rows).

    Exact in float32 below 2^8, as whole multiples of 2^-16.

    Raises:
        NotFiniteError: as `transformed`.
    """
    matrix = np.empty((len(indicators), rows.num_rows), dtype=np.float32)
    fill_matrix(matrix, rows, indicators)
    return matrix


def fill_matrix(
    matrix: npt.NDArray[np.float32], rows: pa.Table, indicators: Sequence[Indicator]
) -> None:
    """As `matrix_of`, into room that is there, shape (indicators, rows)."""
    for place, indicator in enumerate(indicators):
        transform_into(matrix[place], rows.column(indicator.name).to_numpy(), indicator)


def room_for(shape: tuple[int, int], bytes_at_most: int) -> npt.NDArray[np.float32]:
    """An empty matrix: in memory, or in a scratch file that is gone with it where it is larger.

    Raises:
        OSError: there is no room for the file.
    """
    size = shape[0] * shape[1] * np.dtype(np.float32).itemsize
    if size <= bytes_at_most:
        return np.empty(shape, dtype=np.float32)
    # Spark's own folder for such files; the system's may be in memory.
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
    with tempfile.TemporaryFile(dir=folder) as scratch:
        # Else a full disk would kill this process where it first writes there.
        os.posix_fallocate(scratch.fileno(), 0, size)
        return np.memmap(scratch, dtype=np.float32, mode="r+", shape=shape)


def room_beside(matrix: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Room for what is made of a matrix of `room_for`: in memory, or in a file, as that is."""
    return room_for(shape, 0 if isinstance(matrix, np.memmap) else sys.maxsize)


def training_rows(
    snapshots: DataFrame,
    labels: DataFrame,
    indicators: Sequence[Indicator],
    horizons: Iterable[str],
) -> DataFrame:
    """The rows that a model learns from, in one sorted partition.

    One sorted partition makes every sum of the fit run in the same order, so that it repeats.

    Args:
        snapshots: rows of `snapshots` with the slow indicators beside them, of the teams and polls
            to learn from.
        labels: `outcomes.labels_of` for one priority.
        indicators: that the model looks at, in catalogue order.
        horizons: names; each becomes a column `label_<horizon>` of 0.0 and 1.0.

    Returns:
        cell_id, poll_on, features (vector), label_<horizon> …
    """
    names = [indicator.name for indicator in indicators]

    def transform(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            matrix = matrix_of(pa.Table.from_batches([batch]), indicators).T.astype(np.float64)
            offsets = np.arange(0, matrix.size + 1, len(names), dtype=np.int32)
            features = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
            yield pa.record_batch(
                [batch["cell_id"], batch["poll_on"], features],
                names=["cell_id", "poll_on", "features"],
            )

    schema = "cell_id long, poll_on date, features array<double>"
    rows = snapshots.select("cell_id", "poll_on", *names).mapInArrow(transform, schema)
    has_incident = [
        F.coalesce(F.array_contains("horizons", F.lit(name)), F.lit(False))
        .cast("double")
        .alias(f"label_{name}")
        for name in horizons
    ]
    return (
        rows.join(F.broadcast(labels), ["cell_id", "poll_on"], "left")
        .select(
            "cell_id",
            "poll_on",
            array_to_vector(F.col("features")).alias("features"),
            *has_incident,
        )
        .coalesce(1)
        .sortWithinPartitions("poll_on", "cell_id")
    )
