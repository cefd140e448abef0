"""A first look at a file about which nothing is known yet: its form, its columns, its first values.

The project's own reader splits the records (see `records`), so that what is found here holds when
the file is read.
"""

import codecs
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio

from cas_spark.errors import CasError
from cas_spark.settings.texts import as_seen
from cas_spark.sources.date_guesses import guess_patterns
from cas_spark.sources.files import refusing
from cas_spark.sources.layer_files import GEOMETRY
from cas_spark.sources.records import records_of
from cas_spark.sources.text_files import Open, decompressed, lines_of

ROWS_LOOKED_AT = 20_000
DELIMITERS = (",", ";", "\t", "|")
LINES_TRIED = 300
"""Lines on which delimiters are tried."""
MOST = 0.9
"""Share of the records that must have as many fields as the header."""
MOST_LINES_BEFORE = 20
PERIOD = re.compile(r"(19|20)\d{2}([-_/ ]?(0[1-9]|1[0-2])|MM\d{2}|JJ00|KW\d{2}|[-_ ]?Q[1-4])?")
"""A year, a quarter or a month, also as Statistics Netherlands writes them."""
_BYTES_TRIED = 1 << 22
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_OTHERWISE = "windows-1252"
_FORMATS = {
    ".gpkg": "geopackage",
    ".geojson": "geojson",
    ".json": "geojson",
    ".shp": "shapefile",
    ".fgb": "flatgeobuf",
}


@dataclass(frozen=True)
class TextForm:
    """How a text file is written.

    Attributes:
        encoding: as Python names it.
        is_encoding_sure: whether the bytes prove it; else it is the likeliest.
        delimiter: between the fields.
        lines_before_header: lines that come before the header.
        header: names of the columns, as a person sees them.
        has_header: whether the file names its columns; else their names are made up.
        trailing_delimiter: whether rows end in one more delimiter.
    """

    encoding: str
    is_encoding_sure: bool
    delimiter: str
    lines_before_header: int
    header: tuple[str, ...]
    has_header: bool
    trailing_delimiter: bool = False


@dataclass(frozen=True)
class FirstLook:
    """What a file holds, as far as its first rows show.

    Attributes:
        format: as the settings name it.
        columns: name -> the values of the first rows as text, None where blank.
        rows: how many rows were looked at.
        is_whole: whether these are all.
        types: name -> `date`, `instant` or `local time`, of columns that need no patterns.
        text: how a text file is written; None for other files.
        layers: of a file of places.
        geometry: name of the column with the geometry; None without one.
        crs: of the geometry, as the file says.
    """

    format: str
    columns: Mapping[str, Sequence[str | None]]
    rows: int
    is_whole: bool
    types: Mapping[str, str] = field(default_factory=dict)
    text: TextForm | None = None
    layers: tuple[str, ...] = ()
    geometry: str | None = None
    crs: str | None = None

    def given(self, column: str) -> list[str]:
        """The values of a column, without blank ones."""
        return [value for value in self.columns[column] if value is not None]


def look_at_file(path: Path, layer: str | None = None) -> FirstLook:
    """Return what a local file holds.

    Args:
        path: of the file.
        layer: of a file of places; None for its first.

    Raises:
        CasError: the file is missing, empty, a workbook, or cannot be read.
    """
    if not os.path.isfile(path):  # noqa: PTH113  # unlike Path, it takes a name that is too long
        raise CasError(
            what=f"file {path}",
            found="a folder" if os.path.isdir(path) else "nothing there",  # noqa: PTH112
            expected="an extract",
            do="Give the place of a file as it was delivered",
        )
    with refusing(f"extract {path}"):
        found = _looked_at(path, layer)
    if not found.columns or not found.rows:
        raise CasError(
            what=f"extract {path}",
            found="no rows",
            expected="a header and at least one row",
            do="Have it delivered again",
        )
    return found


def _looked_at(path: Path, layer: str | None) -> FirstLook:
    with path.open("rb") as file:
        first = file.read(16)
    if first.startswith(b"PAR1"):
        return _of_parquet(path)
    if first.startswith(b"SQLite format 3\0") or path.suffix.lower() in _FORMATS:
        return _of_layer(path, _FORMATS.get(path.suffix.lower(), "geopackage"), layer)
    return first_rows_of_text(lambda: path.open("rb"), f"extract {path}")


def form_of_text(open_file: Open, what: str) -> TextForm | None:
    """Return how a text file is written; None where it has no line.

    Args:
        open_file: opens it.
        what: the file, for messages.

    Raises:
        CasError: it is a workbook, or its compression is broken.
    """
    encoding, is_sure = _encoding_of(open_file, what)
    with lines_of(open_file, encoding, what) as lines:
        first = [line for line in islice(lines, LINES_TRIED) if isinstance(line, str)]
    if not any(first):
        return None
    tried = [(_trial(first, delimiter), delimiter) for delimiter in DELIMITERS]
    (_, _, before), delimiter = max(tried, key=lambda pair: pair[0][:2])
    if before and _ends_in_one_more(first, delimiter, before):
        before -= 1
    records = [r for r in records_of(iter(first[before:]), delimiter) if not isinstance(r, str)]
    names = tuple(as_seen(name) for name in records[0]) if records else ()
    ends = [record[-1] for record in records[1:]]
    is_trailing = bool(ends) and not any(ends) and (len(records[1]) > len(names) or not names[-1])
    names = names[:-1] if is_trailing and not names[-1] else names
    has_header = _is_header(names)
    if not has_header:
        names = tuple(f"column_{place}" for place in range(1, len(names) + 1))
    return TextForm(encoding, is_sure, delimiter, before, names, has_header, is_trailing)


def _ends_in_one_more(lines: Sequence[str], delimiter: str, before: int) -> bool:
    """Whether the line before the rows is their header, and rows end in one more delimiter."""
    header, row = _fields(lines[before - 1], delimiter), _fields(lines[before], delimiter)
    return row == header + 1 > 2 and lines[before].endswith(delimiter)  # noqa: PLR2004


def _trial(lines: Sequence[str], delimiter: str) -> tuple[bool, int, int]:
    """Whether a delimiter divides the lines evenly, into how many fields, after how many lines."""
    records = list(records_of(iter(lines), delimiter))
    sizes = [0 if isinstance(record, str) else len(record) for record in records]
    counted = Counter(size for size in sizes if size)
    if not counted:
        return False, 0, 0
    fields, often = max(counted.items(), key=lambda pair: (pair[1], pair[0]))
    before = sizes.index(fields)
    if before > MOST_LINES_BEFORE:
        return False, 0, 0
    is_even = fields > 1 and often >= MOST * (len(sizes) - before)
    # Lines before the header are counted in the file, where empty ones count too.
    if before:
        before = lines.index(next(line for line in lines if _fields(line, delimiter) == fields))
    return is_even, fields, before


def _fields(line: str, delimiter: str) -> int:
    first = next(records_of(iter([line]), delimiter), "")
    return 0 if isinstance(first, str) else len(first)


def _is_header(names: Sequence[str]) -> bool:
    """Whether the fields of a first record are names: no numbers, no moments, none twice."""
    given = [name for name in names if name]
    if not given or len(set(given)) < len(given):
        return False
    # Tables of counts have a column for each period.
    names = [name for name in given if not PERIOD.fullmatch(name)]
    return bool(names) and not any(_is_number(name) or guess_patterns([name]) for name in names)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _encoding_of(open_file: Open, what: str) -> tuple[str, bool]:
    """The encoding of a text file, and whether its bytes prove it."""
    with decompressed(open_file, what) as stream:
        first = stream.read(_BYTES_TRIED)
    for mark, name in _MARKS:
        if first.startswith(mark):
            return name, True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return _OTHERWISE, False
    return "utf-8", True


def first_rows_of_text(open_file: Open, what: str) -> FirstLook:
    """Return what a text file holds.

    Args:
        open_file: opens it.
        what: the file, for messages.

    Raises:
        CasError: it is a workbook, or its compression is broken.
    """
    form = form_of_text(open_file, what)
    if form is None:
        return FirstLook("csv", {}, 0, is_whole=True)
    try:
        return _rows_of_text(open_file, what, form)
    except CasError:
        if form.encoding != "utf-8":
            raise
        # Bytes further on were not UTF-8 after all.
        otherwise = replace(form, encoding=_OTHERWISE, is_encoding_sure=False)
        return _rows_of_text(open_file, what, otherwise)


def _rows_of_text(open_file: Open, what: str, form: TextForm) -> FirstLook:
    with lines_of(open_file, form.encoding, what) as lines:
        there = islice(lines, form.lines_before_header, None)
        if form.has_header:
            next(records_of(there, form.delimiter), None)
        records = records_of(
            there,
            form.delimiter,
            len(form.header),
            trailing_delimiter=form.trailing_delimiter,
        )
        first = list(islice(records, ROWS_LOOKED_AT + 1))
    whole = [record for record in first[:ROWS_LOOKED_AT] if not isinstance(record, str)]
    columns = {
        name: [as_seen(record[place]) or None for record in whole]
        for place, name in enumerate(form.header)
        if name
    }
    return FirstLook("csv", columns, len(whole), len(first) <= ROWS_LOOKED_AT, text=form)


def _of_parquet(path: Path) -> FirstLook:
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(ROWS_LOOKED_AT), None)
        total = file.metadata.num_rows
    if batch is None:
        return FirstLook("parquet", {}, 0, is_whole=True)
    table = pa.Table.from_batches([batch])
    columns, types = _columns_of(table)
    return FirstLook("parquet", columns, table.num_rows, total <= table.num_rows, types)


def _of_layer(path: Path, form: str, layer: str | None) -> FirstLook:
    layers = tuple(str(name) for name, _ in pyogrio.list_layers(path))
    chosen = layer or layers[0]
    info = pyogrio.read_info(path, layer=chosen)
    _, table = pyogrio.read_arrow(
        path, layer=chosen, max_features=ROWS_LOOKED_AT + 1, read_geometry=False
    )
    columns, types = _columns_of(table.slice(0, ROWS_LOOKED_AT))
    return FirstLook(
        form,
        columns,
        min(table.num_rows, ROWS_LOOKED_AT),
        table.num_rows <= ROWS_LOOKED_AT,
        types,
        layers=(chosen, *(name for name in layers if name != chosen)),
        geometry=str(info["geometry_name"] or GEOMETRY),
        crs=info["crs"],
    )


def _columns_of(table: pa.Table) -> tuple[dict[str, list[str | None]], dict[str, str]]:
    """The columns of a table as text, and the types of those that hold moments."""
    columns, types = dict[str, list[str | None]](), dict[str, str]()
    for name in table.column_names:
        values = table.column(name)
        kind = values.type
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            continue
        if pa.types.is_date(kind):
            types[as_seen(name)] = "date"
        elif pa.types.is_timestamp(kind):
            types[as_seen(name)] = "instant" if kind.tz else "local time"
        columns[as_seen(name)] = [_text(value) for value in values.to_pylist()]
    return columns, types


def _text(value: Any) -> str | None:
    """A value as text, a whole number without decimals; None where it is blank."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return as_seen(str(value)) or None
