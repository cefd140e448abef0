"""Parquet extracts: the types of their columns, and their rows."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from cas_spark.errors import CasError
from cas_spark.sources.columns import INSTANT, plain_column, plain_type
from cas_spark.sources.files import look_at, rows_in_a_task
from cas_spark.sources.text_files import Open

ROWS_OF_A_BATCH = 65_536


def parquet_types(spark: SparkSession, path: str) -> list[tuple[str, pa.DataType]]:
    """Return name and type of each column of a Parquet file; a name may stand more than once."""

    def types(opening: Open) -> list[tuple[str, pa.DataType]]:
        with opening() as file:
            parquet = pq.ParquetFile(file)
            leaves = [parquet.schema.column(index) for index in range(len(parquet.schema))]
            # Spark, Hive and Impala write instants so; Arrow takes them for local times.
            instants = {leaf.path for leaf in leaves if leaf.physical_type == "INT96"}
            return [
                (field.name, INSTANT if field.name in instants else field.type)
                for field in parquet.schema_arrow
            ]

    return look_at(spark, path, types)


def parquet_rows(
    spark: SparkSession, path: str, types: Mapping[str, pa.DataType], columns: Sequence[str]
) -> DataFrame:
    """Return the rows of a Parquet file, read by one task.

    Args:
        spark: the session.
        path: of the file.
        types: of the file's columns, by name.
        columns: those that are wanted.

    Returns:
        `row_number` (long, from 1) and `field_0`, `field_1` … in the order of `columns`, in their
        plain types: see `columns.plain_type`.

    Raises:
        CasError: a wanted column holds lists, structures or bytes.
    """
    plain = {name: plain_type(types[name]) for name in columns}
    odd = [f"{name} ({types[name]})" for name, kind in plain.items() if kind is None]
    if odd:
        raise CasError(
            what=f"extract {path}",
            found=f"column {', '.join(odd)}",
            expected="mapped columns of text, numbers, dates, times or booleans",
            do="Map other columns, or have these delivered as one of those",
        )
    fields = [(f"field_{place}", plain[name]) for place, name in enumerate(columns)]
    schema = pa.schema([("row_number", pa.int64()), *fields])

    def batches(opening: Open) -> Iterator[pa.RecordBatch]:
        with opening() as file:
            number = 1
            for batch in pq.ParquetFile(file).iter_batches(ROWS_OF_A_BATCH, columns=list(columns)):
                numbers = pa.array(range(number, number + batch.num_rows), pa.int64())
                number += batch.num_rows
                values = [plain_column(batch.column(name), plain[name]) for name in columns]
                yield pa.record_batch([numbers, *values], schema=schema)

    return rows_in_a_task(
        spark, path, batches, from_arrow_schema(schema, prefer_timestamp_ntz=True)
    )
