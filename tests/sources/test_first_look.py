"""How a file is written, and what its columns mean, is found out from the file itself."""

import gzip
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cas_spark.errors import CasError
from cas_spark.sources.column_guesses import (
    code_columns,
    codes_of,
    coordinates_of,
    counts_instead_of_incidents,
    key_column,
    known_columns,
    moment_columns,
    occurred_column,
)
from cas_spark.sources.first_look import FirstLook, look_at_file

NAMES = ["id", "offence", "occurred", "reported", "x", "y"]
ROWS = [
    [
        str(n),
        "Theft, other" if n % 3 else "Böse",
        f"{n}.1.2024 10:0{n % 10}",
        f"{n + 1}.1.2024 9:00",
    ]
    for n in range(1, 25)
]


def lines_of(delimiter: str, decimal: str = ".", end: str = "") -> list[str]:
    rows = [[*row, f"1000{n}{decimal}5", f"4000{n}{decimal}5"] for n, row in enumerate(ROWS)]
    quoted = [[f'"{v}"' if delimiter in v else v for v in row] for row in rows]
    return [delimiter.join(fields) + end for fields in [NAMES, *quoted]]


def look_at(folder: Path, text: str, encoding: str = "utf-8") -> FirstLook:
    path = folder / "extract.csv"
    path.write_bytes(text.encode(encoding))
    return look_at_file(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
def test_delimiter_and_encoding_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    look = look_at(tmp_path, "\r\n".join(lines_of(delimiter)), encoding)
    assert look.text is not None
    assert look.text.delimiter == delimiter
    assert look.text.encoding == encoding.removesuffix("-sig")
    assert look.text.is_encoding_sure == (encoding != "windows-1252")
    assert list(look.columns) == NAMES
    assert look.rows == 24
    assert set(look.columns["offence"]) == {"Theft, other", "Böse"}


def test_lines_before_the_header_and_a_trailing_delimiter_are_found(tmp_path: Path) -> None:
    preamble = ["Made on 2024-02-01", ""]
    look = look_at(tmp_path, "\n".join([*preamble, *lines_of(";", end=";")]))
    assert look.text is not None
    assert (look.text.lines_before_header, look.text.trailing_delimiter) == (2, True)
    assert (list(look.columns), look.rows) == (NAMES, 24)
    header, *rows = lines_of(";", end=";")
    only_rows = look_at(tmp_path, "\n".join([header.removesuffix(";"), *rows]))
    assert only_rows.text is not None
    assert (only_rows.text.lines_before_header, only_rows.text.trailing_delimiter) == (0, True)
    assert (list(only_rows.columns), only_rows.rows) == (NAMES, 24)


def test_a_file_without_a_header_gets_made_up_names(tmp_path: Path) -> None:
    look = look_at(tmp_path, "\n".join(lines_of(",")[1:]))
    assert look.text is not None
    assert not look.text.has_header
    assert list(look.columns)[:2] == ["column_1", "column_2"]
    assert look.rows == 24


def test_a_compressed_file_is_looked_into_and_a_missing_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "extract.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines_of(",")).encode()))
    assert look_at_file(path).rows == 24
    with pytest.raises(CasError, match="nothing there"):
        look_at_file(tmp_path / "other.csv")
    path.write_bytes(b"")
    with pytest.raises(CasError, match="no rows"):
        look_at_file(path)


def test_the_columns_are_told_apart(tmp_path: Path) -> None:
    look = look_at(tmp_path, "\n".join(lines_of(";", decimal=",")))
    moments = moment_columns(look)
    occurred = occurred_column(moments)
    assert occurred is not None
    assert occurred.name == "occurred"
    assert [m.name for m in known_columns(moments, [occurred])] == ["reported"]
    places = coordinates_of(look)
    assert places is not None
    assert (places.x, places.y, places.decimal, places.is_degrees) == ("x", "y", ",", False)
    taken = ["occurred", "reported", "x", "y"]
    assert key_column(look, taken) == "id"
    assert code_columns(look, [*taken, "id"]) == ["offence"]
    assert codes_of(look, "offence") == [("Theft, other", 16), ("Böse", 8)]


def test_parquet_and_layers_need_no_patterns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "nr": [1, 2, 3],
            "happened": pd.to_datetime(
                ["2024-01-05 10:00", "2024-01-06 11:30", "2024-01-07 12:00"]
            ),
            "code": ["a", "b", "a"],
        }
    )
    frame.to_parquet(tmp_path / "extract.parquet")
    points = gpd.GeoDataFrame(frame, geometry=[shapely.Point(1, 2)] * 3, crs="EPSG:28992")
    points.to_file(tmp_path / "extract.gpkg", layer="crimes")
    files = {
        "parquet": ("extract.parquet", "local time"),
        "geopackage": ("extract.gpkg", "instant"),
    }
    for form, (name, kind) in files.items():
        look = look_at_file(tmp_path / name)
        assert (look.format, look.rows, look.is_whole) == (form, 3, True)
        assert look.types == {"happened": kind}
        [moment] = moment_columns(look)
        assert (moment.name, moment.guess, moment.has_time) == ("happened", None, True)
        assert look.columns["nr"] == ["1", "2", "3"]
    look = look_at_file(tmp_path / "extract.gpkg")
    assert (look.layers, look.geometry, look.crs) == (("crimes",), "geom", "EPSG:28992")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Perioden,Wijk,Misdrijf,Aantal", "2023MM{m:02d},WK{n},inbraak,{c}"),
        ("month,district,count", "2023-{m:02d},D{n},{c}"),
        ("date,area,incidents", "2023-{m:02d}-01,A{n},{c}"),
        ("year,area,offence,total", "20{m:02d},A{n},theft,{c}"),
    ],
)
def test_counts_per_area_and_period_are_recognised(tmp_path: Path, header: str, row: str) -> None:
    rows = [row.format(m=m, n=n, c=m + n) for m in range(1, 13) for n in range(3)]
    look = look_at(tmp_path, "\n".join([header, *rows]))
    assert "per period" in str(counts_instead_of_incidents(look))


def test_periods_as_columns_are_counts_too(tmp_path: Path) -> None:
    text = "area,2023-01,2023-02,2023-03\na,1,2,3\nb,4,5,6\n"
    assert "2023-01 to 2023-03" in str(counts_instead_of_incidents(look_at(tmp_path, text)))


def test_incidents_are_no_counts(tmp_path: Path) -> None:
    assert counts_instead_of_incidents(look_at(tmp_path, "\n".join(lines_of(",")))) is None
    # One row each, by month, as data.police.uk has them; a count column that marks corrections.
    rows = [f"2023-{m:02d},-0.1{m},51.{m},theft" for m in range(1, 13)]
    text = "\n".join(["Month,Longitude,Latitude,Crime type", *rows])
    assert counts_instead_of_incidents(look_at(tmp_path, text)) is None
    rows = [f"2023-{m:02d},{m}/3/2023,1,B" for m in range(1, 13)]
    text = "\n".join(["coded_month,date_occurred,count,code", *rows])
    assert counts_instead_of_incidents(look_at(tmp_path, text)) is None
