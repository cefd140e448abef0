"""How a file is written: its format, and of text files delimiter, encoding, header and comments."""

import codecs
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cas_spark.settings.section import Section

SPREADSHEETS = {"excel", "xls", "xlsx", "xlsm", "ods"}


def _no_spreadsheet(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in SPREADSHEETS:
        message = (
            f"{value}: workbooks are not read, since they show dates and codes otherwise than they "
            "hold them; save the sheet as CSV (in Excel: Save as, CSV UTF-8) and give csv"
        )
        raise ValueError(message)
    return value


FileFormat = Annotated[
    Literal["csv", "parquet", "geopackage", "geojson", "shapefile", "flatgeobuf"],
    BeforeValidator(_no_spreadsheet),
]

_DELIMITERS = {r"\t": "\t", "tab": "\t"}


def _plain_delimiter(value: str) -> str:
    value = _DELIMITERS.get(value, value)
    if not value or set(value) & set('"\r\n'):
        message = f"{value!r}: expected one or more characters, none of them a quote or a line end"
        raise ValueError(message)
    return value


def _known_encoding(value: str) -> str:
    try:
        known = codecs.lookup(value)
        known.incrementaldecoder(errors="strict").decode(b"")
    except (LookupError, TypeError, ValueError) as error:
        message = f"{value!r} is not an encoding: give a name such as utf-8, windows-1252 or utf-16"
        raise ValueError(message) from error
    if not known._is_text_encoding:  # noqa: SLF001  # Python has no public name for it
        message = f"{value!r} does not encode text: give a name such as utf-8 or windows-1252"
        raise ValueError(message)
    return value


class FileForm(Section):
    """How the files of a source are written."""

    format: FileFormat
    layer: str | None = Field(
        default=None, description="layer of a file of places; default: its only one"
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = Field(
        default=None,
        description="of CSV (default utf-8) or a Shapefile (default: what it says itself), such as "
        "windows-1252; a byte that does not fit is refused",
    )
    delimiter: Annotated[str, AfterValidator(_plain_delimiter)] = Field(
        default=",", description=r"of CSV; `tab` or `\t` for a tab"
    )
    decimal: Literal[".", ","] = Field(
        default=".", description="the sign between the whole and the decimals of coordinates"
    )
    header: list[str] | None = Field(
        default=None,
        min_length=1,
        description="names of the columns of a CSV file that has no header line",
    )
    lines_before_header: int = Field(
        default=0, ge=0, le=1_000, description="lines of a CSV file that come before its header"
    )
    lines_after_header: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="lines after the header that are no rows, such as a second header line",
    )
    comment: str | None = Field(
        default=None, min_length=1, description="how a line of CSV begins that is no row"
    )
    trailing_delimiter: bool = Field(
        default=False, description="whether rows of CSV may end in one more delimiter"
    )

    @model_validator(mode="after")
    def _keys_belong_to_format(self) -> Self:
        of_text = {
            "delimiter",
            "header",
            "lines_before_header",
            "lines_after_header",
            "comment",
            "trailing_delimiter",
        }
        problems = []
        if self.format != "csv":
            given = {name for name in of_text if getattr(self, name) != _default_of(name)}
            problems += [f"{name} is for csv, not {self.format}" for name in sorted(given)]
        if self.format in {"csv", "parquet"} and self.layer is not None:
            problems.append(f"layer is for files of places, not {self.format}")
        if self.format not in {"csv", "shapefile"} and self.encoding is not None:
            problems.append(f"encoding is for csv and shapefile, not {self.format}")
        if self.header is not None and self.lines_after_header:
            problems.append("lines_after_header is for files that have a header line")
        if self.header is not None and len(set(self.header)) < len(self.header):
            problems.append(f"header has a name twice: {self.header}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def text_encoding(self) -> str:
        """The encoding of a CSV file."""
        return self.encoding or "utf-8"


def _default_of(name: str) -> Any:
    return FileForm.model_fields[name].default
