"""The Arrow door: tasks write Parquet files themselves, and one transaction commits them all.

It is many times quicker than Spark's own writer for wide tables of floats, and bypasses Delta's
checks. So a task checks what it writes, and the driver commits only files that a task returned.
Only `snapshots` uses it.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from cas_spark.errors import CasError
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
            expected="rows as declared in cas_spark/lake/tables.py, in the order of their keys",
            do="This is a fault of the program: report it with this message",
        )


_WHOLE = {"poll_on": pa.int32(), "cell_id": pa.int64()}


def write_file(
    root: str, table: str, partition: str, slices: Sequence[pa.Table], columns: Sequence[str]
) -> WrittenFile:
    """Write a team's slices, one row group each, as one file of the table; in a task.

    The name follows from the content, so that a task that is tried again, or twice at once, writes
    the same file. The file appears whole or not at all.

    Args:
        root: the lake's root.
        table: name of the table.
        partition: value of the partition column.
        slices: rows with poll_on, cell_id and the columns, sorted by both.
        columns: the table's float columns, in order.

    Raises:
        CasError: a slice is not as declared.
    """
    keys = ("poll_on", "cell_id")
    check_rows(pa.concat_tables(slices), keys, columns)
    system, folder = _file_system(f"{root}/{table}")
    system.create_dir(folder, recursive=True)
    content = hashlib.sha256(partition.encode())
    for rows in slices:
        content.update(digest_of_slice(rows).encode())
    name = f"{content.hexdigest()[:40]}.parquet"
    # A name of its own while it is written: two tries of a task may run at once.
    unfinished = f"{folder}/.{name}.{os.getpid()}"
    with (
        system.open_output_stream(unfinished) as stream,
        pq.ParquetWriter(stream, slices[0].schema, compression="zstd") as writer,
    ):
        for rows in slices:
            writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
    system.move(unfinished, f"{folder}/{name}")
    rows_written = sum(rows.num_rows for rows in slices)
    return WrittenFile(
        name=name,
        partition=partition,
        bytes=system.get_file_info(f"{folder}/{name}").size,
        rows=rows_written,
        stats=_stats(slices, rows_written),
    )


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


def _file_system(path: str) -> tuple[pyarrow.fs.FileSystem, str]:
    if "://" in path:
        return pyarrow.fs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    return pyarrow.fs.LocalFileSystem(), path


def _stats(slices: Sequence[pa.Table], rows: int) -> str:
    """Delta's statistics of a file, by which readers skip it."""
    polls = [value for part in slices for value in (part["poll_on"][0], part["poll_on"][-1])]
    cells = [value for part in slices for value in (part["cell_id"][0], part["cell_id"][-1])]
    extremes = {
        "poll_on": [scalar.as_py().isoformat() for scalar in polls],
        "cell_id": [scalar.as_py() for scalar in cells],
    }
    return json.dumps(
        {
            "numRecords": rows,
            "minValues": {name: min(values) for name, values in extremes.items()},
            "maxValues": {name: max(values) for name, values in extremes.items()},
            "nullCount": dict.fromkeys(slices[0].column_names, 0),
        }
    )
