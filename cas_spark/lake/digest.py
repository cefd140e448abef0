"""Digests: whether two tables hold the same, whatever files, order or cores they were made with.

A digest is a sha256 over the schema and the rows sorted by key, values as their IEEE or UTF-8
bytes. So that no table must pass through one task, rows are first split by a hash of their key
into a fixed number of buckets; the table's digest is that of its buckets' digests in order.
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake.table import Table

BUCKETS = 16


def _update(state: "hashlib._Hash", array: pa.Array) -> None:
    """Feed one column: which values are missing, then their bytes."""
    state.update(struct.pack("<q", len(array)))
    state.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
    kind = array.type
    if pa.types.is_struct(kind):
        for field in array.flatten():
            _update(state, field)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.list_value_length(array).fill_null(0)
        state.update(lengths.to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        _update(state, array.flatten())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        encoded = array.cast(pa.large_binary()).fill_null(b"")
        lengths = pc.binary_length(encoded)
        state.update(lengths.to_numpy(zero_copy_only=False).astype("<i8").tobytes())
        state.update(bytes_of(encoded))
    elif pa.types.is_boolean(kind):
        state.update(np.packbits(array.fill_null(False).to_numpy(zero_copy_only=False)).tobytes())
    elif pa.types.is_timestamp(kind):
        micros = array.cast(pa.timestamp("us", tz=kind.tz)).cast(pa.int64()).fill_null(0)
        state.update(micros.to_numpy(zero_copy_only=False).astype("<i8").tobytes())
    elif pa.types.is_date32(kind):
        days = array.cast(pa.int32()).fill_null(0)
        state.update(days.to_numpy(zero_copy_only=False).astype("<i4").tobytes())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = array.fill_null(0).to_numpy(zero_copy_only=False)
        state.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    else:
        message = f"no digest is defined for {kind}"
        raise TypeError(message)


def bytes_of(values: pa.LargeBinaryArray | pa.LargeStringArray) -> memoryview:
    """All values one after another, as they lie there; none of them missing."""
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    return memoryview(data or b"")[ends[0] : ends[-1]]


def _digest_of_rows(ordered: pa.Table) -> str:
    """The sha256 of these rows, in this order, with the names of their columns."""
    state = hashlib.sha256()
    for name in ordered.column_names:
        state.update(name.encode())
        column = ordered.column(name).combine_chunks()
        _update(state, column.chunk(0) if isinstance(column, pa.ChunkedArray) else column)
    return state.hexdigest()


def _repeated_key(ordered: pa.Table, keys: Sequence[str]) -> str | None:
    """The first key that two rows have, of rows sorted by it."""
    named = ordered.select(keys)
    before, after = named.slice(0, max(0, len(named) - 1)), named.slice(1)
    is_same = reduce(pc.and_, [pc.equal(before[key], after[key]) for key in keys])
    place = pc.index(is_same, value=True).as_py()
    return None if place < 0 else str(named.slice(place, 1).to_pylist()[0])


def digest_of_parts(schema: str, parts: Iterable[tuple[str, str]]) -> str:
    """The sha256 of a schema and of (name, digest) parts sorted by name."""
    state = hashlib.sha256(schema.encode())
    for name, digest in sorted(parts):
        state.update(f"{name}={digest}\n".encode())
    return state.hexdigest()


def digest_of_table(frame: DataFrame, table: Table) -> str:
    """The digest of a frame that holds `table`'s rows; columns outside the digest are left out.

    Raises:
        CasError: two rows have the same key.
    """
    keys = list(table.keys)
    columns = table.digest_columns
    bucket = F.pmod(F.xxhash64(*keys), F.lit(BUCKETS)).cast("int").alias("bucket")

    def digest_bucket(rows: pa.Table) -> pa.Table:
        number = rows.column("bucket")[0].as_py()
        ordered = rows.select(columns).sort_by([(key, "ascending") for key in keys])
        return pa.table(
            {
                "bucket": [f"{number:02d}"],
                "sha256": [_digest_of_rows(ordered)],
                "repeated": pa.array([_repeated_key(ordered, keys)], pa.string()),
            }
        )

    buckets = (
        frame.select(bucket, *columns)
        .groupBy("bucket")
        .applyInArrow(digest_bucket, "bucket string, sha256 string, repeated string")
        .collect()
    )
    for row in buckets:
        if row["repeated"] is not None:
            raise CasError(
                what=f"table {table.name}",
                found=f"two or more rows with the key {row['repeated']}",
                expected=f"one row per {', '.join(keys)}",
                do="This is a fault of the program: report it with this message",
            )
    return digest_of_parts(schema_text(table), [(r["bucket"], r["sha256"]) for r in buckets])


def schema_text(table: Table) -> str:
    """Names and types of the columns that a digest covers."""
    return ", ".join(f"{c.name} {c.type.simpleString()}" for c in table.columns if c.is_in_digest)
