"""Reads extracts as they were delivered: the rows of one file, each at its place.

A file that cannot be read as a whole (missing column, broken gzip, no rows) is refused here, before
anything is made of it. A single row that cannot be read is marked and goes on.
"""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DecimalType, DoubleType, FloatType

from cas_spark.errors import CasError
from cas_spark.settings.extracts import Extracts
from cas_spark.settings.location import Location
from cas_spark.settings.texts import as_seen
from cas_spark.sources.coordinates import point_of_text
from cas_spark.sources.csv_files import csv_header, csv_rows
from cas_spark.sources.files import refusing
from cas_spark.sources.layer_files import GEOMETRY, layer_of, layer_rows
from cas_spark.sources.parquet_files import parquet_rows, parquet_types


def read_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame:
    """Return the rows of one extract, each at its place.

    CSV is read as RFC 4180 has it (quotes doubled inside quotes; see `records`), by the names in
    its header; empty lines are no rows. CSV and Parquet are read by one task. A file of places is
    read on the driver, by GDAL.

    Returns:
        `row_number` (long, from 1, without the header), `malformed` (text: what is wrong with a
        CSV record that cannot be split into the header's fields; null where nothing is), `given`
        (every mapped column under its own name: text from CSV, else the file's own type) and `x`,
        `y` (text or numbers in the source's CRS; a geometry that is no point has none). Text is
        as a person sees it (see `settings.texts`), and null where it is blank.

    Raises:
        CasError: a column or layer is missing, a compressed file is broken, a byte does not fit the
            encoding, there are no rows, or the file cannot be read at all.
    """
    readers = {"csv": _csv_rows, "parquet": _parquet_rows}
    with refusing(path):
        rows = readers.get(source.format, _layer_rows)(spark, source, path)
        if rows is None or rows.isEmpty():
            raise _empty(path)
    return _shaped(rows, source)


def _csv_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame | None:
    header = csv_header(spark, source, path)
    if not header:
        return None
    _check_columns(path, source.columns, header)
    return csv_rows(spark, source, path, header, source.columns)


def _parquet_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame:
    types = parquet_types(spark, path)
    names = _names_in_file(path, source.columns, [name for name, _ in types])
    return parquet_rows(spark, path, dict(types), names)


def _layer_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame | None:
    layer = layer_of(spark, source, path)
    geometry = source.location.geometry if source.location else None
    if geometry is not None:
        _check_columns(path, [geometry], [*layer.columns, layer.geometry, GEOMETRY])
    return layer_rows(spark, layer, _names_in_file(path, source.columns, layer.columns))


def _shaped(rows: DataFrame, source: Extracts) -> DataFrame:
    """Rows of any format in the shape that `read_rows` promises."""
    nothing = F.lit(None).cast("string")
    given = {name: F.col(f"field_{place}") for place, name in enumerate(source.columns)}
    x, y = _coordinates(source.location, given, source.decimal)
    return rows.select(
        F.col("row_number").cast("long").alias("row_number"),
        (F.col("malformed") if "malformed" in rows.columns else nothing).alias("malformed"),
        F.struct(*(value.alias(name) for name, value in given.items())).alias("given"),
        x.alias("x"),
        y.alias("y"),
    )


def _coordinates(
    location: Location | None, given: dict[str, Column], decimal: str
) -> tuple[Column, Column]:
    """The columns with x and y; nothing where the source has no place."""
    if location is None:
        return F.lit(None).cast("string"), F.lit(None).cast("string")
    if location.text is not None:
        return point_of_text(given[location.text].cast("string"), location, decimal)
    if location.x is None or location.y is None:
        return F.col("point_x"), F.col("point_y")
    return given[location.x], given[location.y]


def _names_in_file(path: str, columns: Sequence[str], there: Sequence[str]) -> list[str]:
    """The names that a file itself gives to the mapped columns, whose names are as a person sees.

    Raises:
        CasError: see `_check_columns`.
    """
    seen = [as_seen(name) for name in there]
    _check_columns(path, columns, seen)
    return [there[seen.index(name)] for name in columns]


def _check_columns(path: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in there]
    twice = [name for name in wanted if list(there).count(name) > 1]
    if missing:
        raise CasError(
            what=f"extract {path}",
            found=f"no column {', '.join(missing)} among {', '.join(there)}",
            expected=f"the mapped columns {', '.join(wanted)}",
            do="Give the columns their names in this file, or have it delivered again",
        )
    if twice:
        raise CasError(
            what=f"extract {path}",
            found=f"several columns of the name {', '.join(twice)}",
            expected="one column for each mapped name",
            do="Have it delivered with a name for each column, or give the source a `header` of "
            "names and skip the file's own by lines_before_header",
        )


def _empty(path: str) -> CasError:
    return CasError(
        what=f"extract {path}",
        found="no rows",
        expected="at least one row",
        do="Have it delivered again, or take the file away",
    )


def text_of(value: Column, kind: Any) -> Column:
    """Return a value of `read_rows` as text; a whole number has no decimals."""
    text = value.cast("string")
    if isinstance(kind, DoubleType | FloatType | DecimalType):
        is_whole = value == F.floor(value)
        text = F.when(is_whole, F.floor(value).cast("string")).otherwise(text)
    return text
