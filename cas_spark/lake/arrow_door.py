"""The Arrow door: tasks write Parquet files themselves, and one transaction commits them all.

It is many times quicker than Spark's own writer for wide tables of floats, and bypasses Delta's
checks. So a task checks what it writes, and the driver commits only files that a task returned.
Only `snapshots` uses it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from cas_spark.errors import CasError
from cas_spark.lake.storage import arrow_file_system
from cas_spark.lake.table import Table


@dataclass(frozen=True)
class WrittenFile:
    """A file that a task wrote, as the driver needs it to commit it."""

    name: str
    partition: str
    bytes: int
    rows: int
    stats: str


def check_rows(rows: pa.Table, keys: Sequence[str], columns: Sequence[str]) -> None:
    """Check what Delta would have checked, and that values are finite.

    Raises:
        CasError: lists the columns that are missing or unknown, hold nulls or values that are not
            finite, and whether keys repeat or are out of order.
    """
    expected = [*keys, *columns]
    problems = []
    if rows.column_names != expected:
        missing = sorted(set(expected) - set(rows.column_names))
        unknown = sorted(set(rows.column_names) - set(expected))
        problems.append(f"columns missing {missing}, unknown {unknown}, or in another order")
    for name in set(columns) & set(rows.column_names):
        if rows.schema.field(name).type != pa.float32():
            problems.append(f"{name} is {rows.schema.field(name).type}, declared float")
        elif not pc.all(pc.is_finite(rows.column(name))).as_py():
            problems.append(f"{name} holds values that are not finite")
    problems += [f"{name} holds nulls" for name in rows.column_names if rows[name].null_count]
    if not problems:
        ordered = rows.select(keys).combine_chunks()
        steps = [np.diff(ordered.column(key).cast(_WHOLE[key]).to_numpy()) for key in keys]
        rises = np.zeros(max(rows.num_rows - 1, 0), dtype=bool)
        for step in reversed(steps):
            rises = (step > 0) | ((step == 0) & rises)
        if not rises.all():
            problems.append(f"keys {', '.join(keys)} repeat or are out of order")
    if problems:
        raise CasError(
            what="a file for the Arrow door",
            found="; ".join(problems),
            expected="rows as declared in cas_spark/lake/tables, in the order of their keys",
            do="This is a fault of the program: report it with this message",
        )


_WHOLE = {"poll_on": pa.int32(), "cell_id": pa.int64()}


def write_file(
    root: str, table: str, partition: str, slices: Iterable[pa.Table], columns: Sequence[str]
) -> tuple[WrittenFile, list[str]]:
    """Write a team's slices, one row group each, as one file of the table; in a task.

    The name follows from the content, so that a task that is tried again, or twice at once, writes
    the same file. The file appears whole or not at all. One slice at a time is held in memory.

    Args:
        root: the lake's root.
        table: name of the table.
        partition: value of the partition column.
        slices: at least one; rows with poll_on, cell_id and the columns, sorted by both.
        columns: the table's float columns, in order.

    Returns:
        What was written, and the digest of each slice.

    Raises:
        CasError: a slice is not as declared.
    """
    keys = ("poll_on", "cell_id")
    system, folder = arrow_file_system(f"{root}/{table}")
    system.create_dir(folder, recursive=True)
    # A name of its own while it is written: two tries of a task may run at once.
    unfinished = f"{folder}/.{uuid4().hex}.unfinished"
    ends: list[pa.Table] = []
    digests, rows_written = [], 0
    try:
        with ExitStack() as opened:
            stream = opened.enter_context(system.open_output_stream(unfinished))
            writer: pq.ParquetWriter | None = None
            for rows in slices:
                check_rows(rows, keys, columns)
                check_rows(pa.concat_tables([*ends[-1:], rows.slice(0, 1)]), keys, columns)
                if writer is None:
                    file = pq.ParquetWriter(stream, rows.schema, compression="zstd")
                    writer = opened.enter_context(file)
                writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
                digests.append(digest_of_slice(rows))
                rows_written += rows.num_rows
                ends += [rows.slice(0, 1), rows.slice(max(rows.num_rows - 1, 0), 1)]
        content = hashlib.sha256("\n".join([partition, *digests]).encode())
        name = f"{content.hexdigest()[:40]}.parquet"
        size = system.get_file_info(unfinished).size
        system.move(unfinished, f"{folder}/{name}")
    except BaseException:
        if system.get_file_info(unfinished).type != pyarrow.fs.FileType.NotFound:
            system.delete_file(unfinished)
        raise
    stats = _stats(pa.concat_tables(ends), rows_written)
    return WrittenFile(name, partition, size, rows_written, stats), digests


def read_slices(
    root: str, table: str, files: Sequence[str], columns: Sequence[str], first: date, last: date
) -> pa.Table:
    """Read a team's rows at the polls from `first` to `last`; in a task.

    Args:
        root: the lake's root.
        table: name of the table.
        files: of the team, as the driver knows them from the run's own version of the table.
        columns: to read, beside poll_on and cell_id.
        first: poll.
        last: poll.

    Returns:
        Rows sorted by poll_on and cell_id; none where there are no files.
    """
    system, folder = arrow_file_system(f"{root}/{table}")
    polls = (pc.field("poll_on") >= first) & (pc.field("poll_on") <= last)
    parts = [
        pq.read_table(
            f"{folder}/{name}",
            columns=["poll_on", "cell_id", *columns],
            filters=polls,
            filesystem=system,
            use_threads=False,
        )
        for name in files
    ]
    if not parts:
        names = {"poll_on": pa.date32(), "cell_id": pa.int64()}
        names |= dict.fromkeys(columns, pa.float32())
        return pa.schema(list(names.items())).empty_table()
    rows = pa.concat_tables(parts)
    if len(parts) > 1:
        rows = rows.sort_by([("poll_on", "ascending"), ("cell_id", "ascending")])
    return rows


def digest_of_slice(rows: pa.Table) -> str:
    """The sha256 of a slice's rows, values as their IEEE bytes, column by column."""
    state = hashlib.sha256()
    for name in rows.column_names:
        values = rows.column(name)
        whole = values.cast(_WHOLE[name]) if name in _WHOLE else values
        little = whole.to_numpy()
        state.update(name.encode())
        state.update(little.astype(little.dtype.newbyteorder("<")).tobytes())
    return state.hexdigest()


def commit_files(
    root: str,
    table: Table,
    added: Sequence[WrittenFile],
    removed: Mapping[str, str],
    transaction: tuple[str, int],
) -> None:
    """Add and remove files of a table in one transaction; on the driver.

    Args:
        root: the lake's root.
        table: the table.
        added: files that tasks wrote.
        removed: files that are no longer part of the table: name -> partition.
        transaction: who commits (application id) and its version, kept in Delta's log.
    """
    delta = DeltaTable(f"{root}/{table.name}")
    [partition_column] = table.partitioned_by
    # Files are named by their content: one that is written anew is the one that is there.
    unchanged = {file.name for file in added} & set(removed)
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            path=file.name,
            size=file.bytes,
            partition_values={partition_column: file.partition},
            modification_time=0,  # no clock: the same files make the same log
            data_change=True,
            stats=file.stats,
        )
        for file in added
        if file.name not in unchanged
    ]
    actions += [
        RemoveAction(
            path=name,
            data_change=True,
            deletion_timestamp=0,
            partition_values={partition_column: partition},
        )
        for name, partition in sorted(removed.items())
        if name not in unchanged
    ]
    if not actions:
        return
    delta.create_write_transaction(
        actions=actions,
        mode="append",
        schema=delta.schema(),
        partition_by=[partition_column],
        commit_properties=CommitProperties(app_transactions=[Transaction(*transaction)]),
    )


def _stats(ends: pa.Table, rows: int) -> str:
    """Delta's statistics of a file, by which readers skip it, from the ends of its slices."""
    extremes = {
        "poll_on": [day.isoformat() for day in ends["poll_on"].to_pylist()],
        "cell_id": ends["cell_id"].to_pylist(),
    }
    return json.dumps(
        {
            "numRecords": rows,
            "minValues": {name: min(values) for name, values in extremes.items()},
            "maxValues": {name: max(values) for name, values in extremes.items()},
            "nullCount": dict.fromkeys(ends.column_names, 0),
        }
    )
