"""Reads extracts as they were delivered: which files there are, and the rows of one file.

A file that cannot be read as a whole (missing column, broken gzip, no rows) is refused here, before
anything is made of it. A single row that cannot be read is marked and goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from py4j.protocol import Py4JJavaError
from pyogrio.errors import DataLayerError, DataSourceError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, FloatType, StringType, StructField, StructType

from cas_spark.errors import CasError
from cas_spark.settings.extracts import Extracts
from cas_spark.settings.location import Location
from cas_spark.sources.coordinates import point_of_text

LONGEST_VALUE = 1_000_000
"""Characters of a CSV value beyond which a quote must have been left open."""

_CSV_OPTIONS: dict[str, Any] = {
    "header": True,
    "multiLine": True,  # values may hold line ends; and one file is one task, so rows keep places
    "quote": '"',
    "escape": '"',
    "maxCharsPerColumn": LONGEST_VALUE,
}
_RECORD = "record"


def list_files(spark: SparkSession, source: Extracts) -> list[str]:
    """Paths of the extracts of a source, sorted by file name.

    Raises:
        CasError: no file matches, or the file system cannot be reached.
    """
    found = files_there(spark, source)
    if not found:
        raise CasError(
            what=f"files of {source.name}",
            found=f"no file {source.files}",
            expected="at least one extract",
            do=f"Give their place, or a pattern of it, as {source.kind}.{source.name}.files",
        )
    return found


def files_there(spark: SparkSession, source: Extracts) -> list[str]:
    """The same, none where no file matches.

    Raises:
        CasError: the file system cannot be reached.
    """
    with refusing(f"files of {source.name}, {source.files}"):
        path = _jvm(spark).org.apache.hadoop.fs.Path(source.files)
        system = path.getFileSystem(spark._jsc.hadoopConfiguration())  # noqa: SLF001
        found = [s.getPath() for s in (system.globStatus(path) or []) if s.isFile()]
    return sorted((path.toString() for path in found), key=lambda p: (p.rsplit("/", 1)[-1], p))


def sha256_of(spark: SparkSession, path: str) -> str:
    """The sha256 of a file's bytes, in hexadecimal.

    Raises:
        CasError: the file cannot be read.
    """
    with refusing(path), _opened(spark, path) as stream:
        return str(_jvm(spark).org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))


def read_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame:
    """The rows of one extract, each at its place.

    CSV is read as RFC 4180 has it (UTF-8, quotes doubled inside quotes), by the names in its
    header; empty lines are no rows. The rows of a GeoPackage are read on the driver, through OGR:
    Sedona's reader fails on a row without a geometry.

    Returns:
        `row_number` (long, from 1, without the header), `malformed` (text: what is wrong with a
        CSV record that has another number of fields than the header; null where nothing is),
        `given` (every mapped column under its own name: text from CSV, else the file's own type)
        and `x`, `y` (text or numbers in the source's CRS; a geometry that is no point has none).

    Raises:
        CasError: a column or layer is missing, a gzip file is broken, there are no rows, or the
            file cannot be read at all.
    """
    with refusing(path):
        if path.endswith(".gz"):
            _check_gzip(spark, path)
        if source.format == "csv":
            rows = _csv_rows(spark, source, path)
        elif source.format == "parquet":
            rows = _parquet_rows(spark, source, path)
        else:
            rows = _geopackage_rows(spark, source, path)
        if rows.isEmpty():
            raise _empty(path)
    return rows


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn what Spark, Hadoop or Arrow says about an unreadable file into an error that names it.

    Raises:
        CasError: the file `what` could not be read.
    """
    try:
        yield
    except (Py4JJavaError, PySparkException, pa.ArrowException, DataSourceError) as error:
        if isinstance(error, Py4JJavaError):
            found = _deepest_cause(error.java_exception)
        else:
            found = str(error).splitlines()[0]
        raise CasError(
            what=what,
            found=f"something that cannot be read ({found})",
            expected="a whole file of the format that the settings name",
            do="Have it delivered again, or mend its format in the settings; nothing was written",
        ) from error


def _csv_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame:
    options = {**_CSV_OPTIONS, "sep": source.delimiter}
    header = spark.read.options(**options).csv(path).columns
    if not header:
        raise _empty(path)
    # Fields are read by place under names of our own, since a header may hold any name twice.
    fields = {name.strip(): f"field_{place}" for place, name in enumerate(header)}
    _check_columns(path, source.columns, list(fields))
    names = [*(f"field_{place}" for place in range(len(header))), _RECORD]
    rows = (
        spark.read.options(**options, mode="PERMISSIVE", columnNameOfCorruptRecord=_RECORD)
        .schema(StructType([StructField(name, StringType()) for name in names]))
        .csv(path)
        .withColumn("row_number", F.monotonically_increasing_id() + 1)
    )
    given = {name: F.col(fields[name]) for name in source.columns}
    malformed = _what_is_malformed(F.col(_RECORD), source.delimiter, len(header))
    return _rows(source, given, malformed)(rows)


def _parquet_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame:
    rows = spark.read.parquet(path)
    _check_columns(path, source.columns, rows.columns)
    numbered = rows.withColumn("row_number", F.col("_metadata.row_index") + 1)
    given = {name: F.col(_quoted(name)) for name in source.columns}
    return _rows(source, given, F.lit(None).cast("string"))(numbered)


def _geopackage_rows(spark: SparkSession, source: Extracts, path: str) -> DataFrame:
    file = _local_file_or_bytes(spark, path)
    try:
        info = pyogrio.read_info(file, layer=source.layer)
    except DataLayerError as error:
        layers = ", ".join(str(name) for name, _ in pyogrio.list_layers(file))
        raise CasError(
            what=f"layer {source.layer} of {path}",
            found="no such layer",
            expected=f"one of its layers: {layers}",
            do=f"Give the name of one of these layers as {source.kind}.{source.name}.layer",
        ) from error
    geometry = str(info["geometry_name"])
    fields = [str(name) for name in info["fields"]]
    of_place = source.location.geometry if source.location else None
    wanted = [*source.columns, *([of_place] if of_place else [])]
    _check_columns(path, wanted, [*fields, geometry])
    columns = [name for name in fields if name in source.columns]
    _, table = pyogrio.read_arrow(file, layer=source.layer, columns=columns)
    if not table.num_rows:
        raise _empty(path)
    points = shapely.from_wkb(table.column(geometry).to_numpy(zero_copy_only=False))
    renamed = {
        "row_number": pa.array(np.arange(1, table.num_rows + 1)),
        "point_x": pa.array(_coordinate(shapely.get_x(points))),
        "point_y": pa.array(_coordinate(shapely.get_y(points))),
        **{f"field_{place}": table.column(name) for place, name in enumerate(columns)},
    }
    rows = spark.createDataFrame(pa.table(renamed))
    given = {name: F.col(f"field_{place}") for place, name in enumerate(columns)}
    return _rows(source, given, F.lit(None).cast("string"))(rows)


def _rows(
    source: Extracts, given: dict[str, Column], malformed: Column
) -> Callable[[DataFrame], DataFrame]:
    """A function that puts rows of any format into the shape that `read_rows` promises."""
    x, y = _coordinates(source.location, given)

    def shape(rows: DataFrame) -> DataFrame:
        return rows.select(
            F.col("row_number").cast("long").alias("row_number"),
            malformed.alias("malformed"),
            F.struct(*(value.alias(name) for name, value in given.items())).alias("given"),
            x.alias("x"),
            y.alias("y"),
        )

    return shape


def _coordinates(location: Location | None, given: dict[str, Column]) -> tuple[Column, Column]:
    """The columns with x and y; nothing where the source tells no place."""
    if location is None:
        return F.lit(None).cast("string"), F.lit(None).cast("string")
    if location.text is not None:
        return point_of_text(given[location.text].cast("string"), location)
    if location.x is None or location.y is None:
        return F.col("point_x"), F.col("point_y")
    return given[location.x], given[location.y]


def _what_is_malformed(record: Column, delimiter: str, expected: int) -> Column:
    """What is wrong with a record, without its content: that may hold personal data.

    Nothing (null) where there is no malformed record.
    """
    # A delimiter outside quotes has an even number of quotes after it.
    outside_quotes = rf'\Q{delimiter}\E(?=(?:[^"]*"[^"]*")*[^"]*$)'
    fields = F.size(F.split(record, outside_quotes)).cast("string")
    lines = F.size(F.split(record, "\n"))
    is_one_line = record.isNotNull() & (lines == 1)
    return F.when(is_one_line, F.concat(fields, F.lit(f" fields, not {expected}"))).when(
        lines > 1,
        F.concat(
            lines.cast("string"), F.lit(f" lines that are not {expected} fields: an open quote?")
        ),
    )


def _check_columns(path: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise CasError(
            what=f"extract {path}",
            found=f"no column {', '.join(missing)} among {', '.join(there)}",
            expected=f"the mapped columns {', '.join(wanted)}",
            do="Give the columns their names in this file, or have it delivered again",
        )


def _check_gzip(spark: SparkSession, path: str) -> None:
    """Read a gzip file to its end, where its checksum stands.

    Raises:
        CasError: it is cut off, damaged, or no gzip at all.
    """
    jvm = _jvm(spark)
    try:
        with _opened(spark, path) as stream:
            jvm.org.apache.commons.io.IOUtils.consume(jvm.java.util.zip.GZIPInputStream(stream))
    except Py4JJavaError as error:
        raise CasError(
            what=f"extract {path}",
            found=f"a broken gzip file ({_deepest_cause(error.java_exception)})",
            expected="a whole gzip file",
            do="Have it delivered again; nothing of it was used",
        ) from error


def _deepest_cause(exception: Any) -> str:
    while exception.getCause() is not None:
        exception = exception.getCause()
    return str(exception.toString()).splitlines()[0]


def _empty(path: str) -> CasError:
    return CasError(
        what=f"extract {path}",
        found="no rows",
        expected="at least one row",
        do="Have it delivered again, or take the file away",
    )


def _coordinate(values: Any) -> Any:
    """Numbers, null where there is none."""
    return np.ma.masked_invalid(np.asarray(values, np.float64))


def _jvm(spark: SparkSession) -> Any:
    return spark._jvm  # noqa: SLF001


@contextmanager
def _opened(spark: SparkSession, path: str) -> Iterator[Any]:
    """A stream of the file's bytes, wherever Hadoop finds it."""
    hadoop_path = _jvm(spark).org.apache.hadoop.fs.Path(path)
    configuration = spark._jsc.hadoopConfiguration()  # noqa: SLF001
    stream = hadoop_path.getFileSystem(configuration).open(hadoop_path)
    try:
        yield stream
    finally:
        stream.close()


def _local_file_or_bytes(spark: SparkSession, path: str) -> Path | bytes:
    """The file, or where only Hadoop can reach it, its bytes."""
    url = urlparse(path)
    if url.scheme in {"", "file"}:
        return Path(unquote(url.path)) if url.scheme else Path(path)
    found = spark.read.format("binaryFile").load(path).select("content").first()
    return bytes(found["content"]) if found else b""


def text_of(value: Column, kind: Any) -> Column:
    """A value as trimmed text, null where it is blank; a whole number has no decimals."""
    text = value.cast("string")
    if isinstance(kind, DoubleType | FloatType):
        is_whole = value == F.floor(value)
        text = F.when(is_whole, F.floor(value).cast("string")).otherwise(text)
    trimmed = F.trim(text)
    return F.when(trimmed != "", trimmed)


def _quoted(column: str) -> str:
    return "`" + column.replace("`", "``") + "`"
