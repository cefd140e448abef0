"""How tasks read the snapshots of their team, a few polls at a time.

A file is checked before it is used: its bytes against the sha256 that `snapshot_slices` records,
once per file and run, and every page that is read against the checksum that stands with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.platform.failures import UnreadableFileError
from cas_spark.platform.storage import arrow_file_system, contents, sha256_of_stream
from cas_spark.settings.resources import StorageAccess


@dataclass(frozen=True)
class SnapshotFiles:
    """Where tasks find the snapshots of their team.

    Attributes:
        root: the lake's.
        table: name of the table.
        of_team: team -> the files of that table that hold its rows, as paths below the table's.
        access: `arrow` where tasks read the storage themselves; with `spark` they are sent the
            content of their team's files, since only Spark can reach it.
        sent: file -> its content; in a task with access `spark`.
        sha256: file -> the recorded sha256 of its bytes, of those that are yet to be checked.
    """

    root: str
    table: str
    of_team: Mapping[str, Sequence[str]]
    access: StorageAccess = "arrow"
    sent: Mapping[str, pa.Buffer] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)

    def sent_with(self, rows: DataFrame) -> DataFrame:
        """The rows, with the files that their task cannot read itself among them; on the driver.

        Args:
            rows: with a team_id, grouped by it in what follows.
        """
        if self.access == "arrow":
            return rows
        spark = rows.sparkSession
        pairs = [(team, name) for team, names in self.of_team.items() for name in names]
        teams = spark.createDataFrame(pairs, "team_id string, file string")
        below = f"{self.root}/{self.table}"
        content = contents(spark, [f"{below}/{name}" for _, name in pairs])
        name = F.element_at(F.split("path", f"/{self.table}/"), -1)
        files = content.select(name.alias("file"), "content").join(F.broadcast(teams), "file")
        return rows.unionByName(files, allowMissingColumns=True)

    def received(self, rows: pa.Table) -> tuple["SnapshotFiles", pa.Table]:
        """What `sent_with` made of the rows, taken apart again; in a task."""
        if self.access == "arrow":
            return self, rows
        is_file = rows.column("file").is_valid()
        files = rows.filter(is_file)
        buffers = [value.as_buffer() for value in files.column("content")]
        sent = dict(zip(files.column("file").to_pylist(), buffers, strict=True))
        others = rows.filter(pc.invert(is_file)).drop_columns(["file", "content"])
        return replace(self, sent=sent), others

    def blocks(
        self, team: str, columns: Sequence[str], first: date, last: date
    ) -> Iterator[pa.Table]:
        """Read a team's rows at the polls from `first` to `last`, some polls at a time; in a task.

        Args:
            team: the team.
            columns: to read, beside poll_on and cell_id.
            first: poll.
            last: poll.

        Yields:
            All rows of some polls, sorted by poll_on and cell_id, the blocks by their polls.

        Raises:
            UnreadableFileError: a file is missing or damaged, or is not the one that was recorded.
        """
        names = ["poll_on", "cell_id", *columns]
        with ExitStack() as opened:
            found: list[_RowGroup] = []
            for place, name in enumerate(self.of_team.get(team, ())):
                with self._naming(name):
                    self.check(name)
                    content = opened.enter_context(self._open(name))
                    file = pq.ParquetFile(content, page_checksum_verification=True)
                    column = file.schema_arrow.get_field_index("poll_on")
                    for number in range(file.num_row_groups):
                        held = file.metadata.row_group(number).column(column).statistics
                        if held.max >= first and held.min <= last:
                            group = _RowGroup(held.min, place, number, held.max, name, file)
                            found.append(group)
            # By first polls; where one file fills a gap that another left, row groups overlap.
            found.sort(key=lambda group: (group.first, group.place, group.number))
            rest: pa.Table | None = None
            for group, following in zip_longest(found, found[1:]):
                with self._naming(group.name):
                    read = group.file.read_row_group(group.number, columns=names, use_threads=False)
                rows = _in_order(rest, _between(read, first, last))
                # Spark's writer ends a row group where it is full, also amid a poll.
                whole = rows.num_rows if following is None else _before(rows, following.first)
                rest = rows.slice(whole)
                if whole:
                    yield rows.slice(0, whole)

    def check(self, name: str) -> None:
        """Compare a file's bytes with the recorded sha256, unless that was done; in a task.

        Raises:
            UnreadableFileError: they differ.
        """
        recorded = self.sha256.get(name)
        if recorded is None or name in self._checked:
            return
        with self._naming(name):
            with self._open(name) as content:
                found = sha256_of_stream(content)
            if found != recorded:
                reason = f"bytes with the sha256 {found}, recorded {recorded}"
                raise OSError(reason)
        self._checked.add(name)

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Have an error of reading a file name the table and the file."""
        try:
            yield
        except _OF_DAMAGE as error:
            path = f"{self.root}/{self.table}/{name}"
            raise UnreadableFileError(self.table, path, str(error)) from error

    def _open(self, name: str) -> pa.NativeFile:
        if self.access == "spark":
            return pa.BufferReader(self.sent[name])
        system, folder = arrow_file_system(f"{self.root}/{self.table}")
        return system.open_input_file(f"{folder}/{name}")


_OF_DAMAGE = (
    OSError,
    pa.ArrowException,
    ValueError,
    KeyError,
    AttributeError,  # a footer without the statistics of a column
    TypeError,
    MemoryError,  # a size that no file has
)
"""What Arrow raises on a file that is missing or damaged."""


@dataclass(frozen=True)
class _RowGroup:
    """The first and last poll of a row group, its file's place and its own in that file."""

    first: date
    place: int
    number: int
    last: date
    name: str
    file: pq.ParquetFile


def _between(rows: pa.Table, first: date, last: date) -> pa.Table:
    start = _before(rows, first)
    return rows.slice(start, _before(rows, last + timedelta(days=1)) - start)


def _before(rows: pa.Table, day: date) -> int:
    """How many of these rows, sorted by poll, are of polls before a day."""
    return int(np.searchsorted(rows.column("poll_on").to_numpy(), np.datetime64(day)))


def _in_order(rest: pa.Table | None, read: pa.Table) -> pa.Table:
    """Rows of polls that were not whole yet and those read after them, by poll and cell."""
    if rest is None or not rest.num_rows:
        return read
    rows = pa.concat_tables([rest, read])
    days = rows.column("poll_on").to_numpy()
    if (days[1:] >= days[:-1]).all():
        return rows
    return rows.sort_by([("poll_on", "ascending"), ("cell_id", "ascending")])
