"""Tasks write Parquet files themselves by Arrow, and one transaction commits them all.

It is many times quicker than Spark's own writer for wide tables of floats, and bypasses Delta's
checks. So a task checks what it writes, and the driver commits only files that a task returned.
Only `snapshots` uses it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from cas_spark.errors import CasError
from cas_spark.lake.table import Table
from cas_spark.platform.objects import UNFINISHED
from cas_spark.platform.storage import arrow_file_system, sha256_of_stream

LAYOUT = 2
"""Version of how rows lie in a file; the file's name begins with it.

Rows are sorted by poll and cell, a row group holds a block, the newest poll has one of its own, and
every page has a checksum, which files of layout 1 lack."""


@dataclass(frozen=True)
class WrittenFile:
    """A file that a task wrote, as the driver needs it to commit it.

    `sha256` is that of its bytes.
    """

    name: str
    partition: str
    bytes: int
    rows: int
    stats: str
    sha256: str


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
        elif not _is_finite(rows.column(name)):
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
            what="a file that a task writes by Arrow",
            found="; ".join(problems),
            expected="rows as declared in cas_spark/lake/tables, in the order of their keys",
            do="This is a fault of the program: report it with this message",
        )


_WHOLE = {"poll_on": pa.int32(), "cell_id": pa.int64()}


def _is_finite(column: pa.ChunkedArray) -> bool:
    """Whether all values that are there are finite: then so are the least and the greatest."""
    if column.null_count:
        column = column.drop_null()
    return all(
        bool(np.isfinite(values.min()) and np.isfinite(values.max()))
        for values in (chunk.to_numpy() for chunk in column.chunks)
        if len(values)
    )


def write_file(
    root: str, table: str, partition: str, blocks: Iterable[pa.Table], columns: Sequence[str]
) -> tuple[WrittenFile, list[str]]:
    """Write a team's rows, a row group per block, as one file of the table; in a task.

    The name has the layout and follows from the bytes, so that a task that is tried again, or
    twice at once, writes the same file. The file appears whole or not at all. One block at a time
    is held in memory.

    Args:
        root: the lake's root.
        table: name of the table.
        partition: value of the partition column.
        blocks: at least one; all rows of some polls, with poll_on, cell_id and the columns, sorted
            by both, the blocks by their polls.
        columns: the table's float columns, in order.

    Returns:
        What was written, and the digest of each poll's slice, in their order.

    Raises:
        CasError: a block is not as declared.
    """
    system, folder = arrow_file_system(f"{root}/{table}")
    system.create_dir(folder, recursive=True)
    # A name of its own while it is written: two tries of a task may run at once.
    unfinished = f"{folder}/.{uuid4().hex}{UNFINISHED}"
    ends: list[pa.Table] = []
    digests: list[str] = []
    rows_written = 0
    try:
        with ExitStack() as opened:
            stream = opened.enter_context(system.open_output_stream(unfinished))
            writer: pq.ParquetWriter | None = None
            for rows, digests_of_block in checked(blocks, columns):
                if writer is None:
                    # A dictionary per column costs more than it saves: see ADR 0019.
                    writer = opened.enter_context(
                        pq.ParquetWriter(
                            stream,
                            rows.schema,
                            compression="zstd",
                            use_dictionary=False,
                            write_statistics=["poll_on"],
                            write_page_checksum=True,
                        )
                    )
                writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
                digests += digests_of_block
                rows_written += rows.num_rows
                ends.append(_ends_of(rows))
        # Read again: passing each page through Python on its way would take twice as long.
        with system.open_input_file(unfinished) as stream:
            sha256, size = sha256_of_stream(stream), stream.size()
        # Teams may have the same rows, and the files of all lie in one folder.
        content = hashlib.sha256(f"{partition}\n{sha256}".encode())
        name = f"layout{LAYOUT}-{content.hexdigest()[:40]}.parquet"
        system.move(unfinished, f"{folder}/{name}")
    except BaseException:
        if system.get_file_info(unfinished).type != pyarrow.fs.FileType.NotFound:
            system.delete_file(unfinished)
        raise
    stats = _stats(pa.concat_tables(ends), rows_written)
    return WrittenFile(name, partition, size, rows_written, stats, sha256), digests


def checked(
    blocks: Iterable[pa.Table], columns: Sequence[str]
) -> Iterator[tuple[pa.Table, list[str]]]:
    """Each block once it is found to be as declared, with the digest of each of its polls' slices.

    Args:
        blocks: of `write_file`.
        columns: the table's float columns, in order.

    Raises:
        CasError: a block is not as declared.
    """
    keys = ("poll_on", "cell_id")
    before: list[pa.Table] = []
    for rows in blocks:
        check_rows(rows, keys, columns)
        check_rows(pa.concat_tables([*before, rows.slice(0, 1)]), keys, columns)
        yield rows, digests_of_slices(rows)
        before = [_ends_of(rows).slice(1)]


def _ends_of(rows: pa.Table) -> pa.Table:
    """Copies of the first row and the last; a slice would hold on to all of them."""
    return rows.take(pa.array([0, rows.num_rows - 1] if rows.num_rows else [], pa.int64()))


def digests_of_slices(rows: pa.Table) -> list[str]:
    """The sha256 of each poll's slice, values as their IEEE bytes, column by column.

    Args:
        rows: with poll_on, sorted by it.
    """
    days = rows.column("poll_on").cast(pa.int32()).to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist()]
    slices = list(zip(starts, [*starts[1:], len(days)], strict=True))
    states = [hashlib.sha256() for _ in slices]
    for name in rows.column_names:
        values = rows.column(name)
        whole = (values.cast(_WHOLE[name]) if name in _WHOLE else values).to_numpy()
        little = whole.astype(whole.dtype.newbyteorder("<"), copy=False)
        for state, (start, end) in zip(states, slices, strict=True):
            state.update(name.encode())
            state.update(little[start:end].data)
    return [state.hexdigest() for state in states]


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
    # A name follows from the bytes: one that was written again is the one that the table names.
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
