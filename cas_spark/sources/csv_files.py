"""CSV extracts: the header, and the records as rows of text."""

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StringType, StructType

from cas_spark.errors import CasError
from cas_spark.settings.extracts import Extracts
from cas_spark.settings.texts import as_seen, text_as_seen
from cas_spark.sources.files import look_at, rows_in_a_task
from cas_spark.sources.records import Record, records_of
from cas_spark.sources.text_files import Line, Open, TooLong, lines_of

ROWS_OF_A_BATCH = 20_000
CHARACTERS_OF_A_BATCH = 16_000_000


def csv_header(spark: SparkSession, source: Extracts, path: str) -> list[str]:
    """Return the names of a CSV file's columns, as a person sees them; an empty list for no header.

    They stand in the file's header, or in the settings where the file has none.
    """
    return look_at(spark, path, lambda opening: _header(opening, source, path))


def csv_rows(
    spark: SparkSession, source: Extracts, path: str, header: Sequence[str], columns: Sequence[str]
) -> DataFrame:
    """Return the records of a CSV file, read by one task.

    Args:
        spark: the session.
        source: says how the file is written.
        path: of the file.
        header: names of all columns.
        columns: those that are wanted, each one of the header.

    Returns:
        `row_number` (long, from 1), `malformed` (text; see `records`) and `field_0`, `field_1` …
        (text as a person sees it; null in a malformed row), in the order of `columns`.
    """
    schema = StructType().add("row_number", LongType()).add("malformed", StringType())
    for place in range(len(columns)):
        schema = schema.add(f"field_{place}", StringType())
    places = [list(header).index(name) for name in columns]
    return rows_in_a_task(
        spark,
        path,
        lambda opening: _batches(opening, source, path, len(header), places),
        schema,
    )


def _header(opening: Open, source: Extracts, path: str) -> list[str]:
    if source.header is not None:
        return list(source.header)
    with lines_of(opening, source.text_encoding, f"extract {path}") as lines:
        records = records_of(
            _from_header_on(lines, source), source.delimiter, comment=source.comment
        )
        first = next(records, None)
    if first is None:
        return []
    if isinstance(first, str):
        raise CasError(
            what=f"header of the extract {path}",
            found=first,
            expected="the names of the columns, divided by the delimiter of the settings",
            do="Set lines_before_header where other lines come first, and `delimiter`",
        )
    names = [as_seen(name) for name in first]
    return names[:-1] if source.trailing_delimiter and names[-1] == "" else names


def _from_header_on(lines: Iterator[Line], source: Extracts) -> Iterator[Line]:
    return islice(lines, source.lines_before_header, None)


def _batches(
    opening: Open, source: Extracts, path: str, fields: int, places: Sequence[int]
) -> Iterator[pa.RecordBatch]:
    read = 0  # characters since the last batch

    def counted(lines: Iterator[Line]) -> Iterator[Line]:
        nonlocal read
        for line in lines:
            read += 0 if isinstance(line, TooLong) else len(line)
            yield line

    with lines_of(opening, source.text_encoding, f"extract {path}") as lines:
        there = _from_header_on(counted(lines), source)
        if source.header is None:
            # The header is a record, which may stand on several lines.
            next(records_of(there, source.delimiter, comment=source.comment), None)
            there = islice(there, source.lines_after_header, None)
        rows: list[Record] = []
        number = 1
        for record in records_of(
            there,
            source.delimiter,
            fields,
            source.comment,
            trailing_delimiter=source.trailing_delimiter,
        ):
            rows.append(record)
            if len(rows) == ROWS_OF_A_BATCH or read > CHARACTERS_OF_A_BATCH:
                yield _batch(rows, number, fields, places)
                number, rows, read = number + len(rows), [], 0
        if rows:
            yield _batch(rows, number, fields, places)


def _batch(
    rows: Sequence[Record], number: int, fields: int, places: Sequence[int]
) -> pa.RecordBatch:
    nothing: list[str | None] = [None] * fields
    whole = [nothing if isinstance(row, str) else row for row in rows]
    problems = [row if isinstance(row, str) else None for row in rows]
    columns = [pa.array([row[place] for row in whole], pa.string()) for place in places]
    return pa.record_batch(
        {
            "row_number": pa.array(range(number, number + len(rows)), pa.int64()),
            "malformed": pa.array(problems, pa.string()),
            **{f"field_{i}": text_as_seen(column) for i, column in enumerate(columns)},
        }
    )
