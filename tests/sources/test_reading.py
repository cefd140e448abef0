"""A file is read whole or refused by name; a broken row is marked and the others go on."""

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.sources.files import list_files, sha256_of
from cas_spark.sources.reading import read_rows
from tests.sources.deliveries import HEADER, delivered, row, settings_of, write

pytestmark = pytest.mark.spark


def source_in(folder: Path, **changes: Any) -> IncidentExtracts:
    return settings_of(folder, **changes).incidents[0]


def gpkg_source(folder: Path, **changes: Any) -> IncidentExtracts:
    place = {"geometry": "geom", "crs": "EPSG:28992"}
    return source_in(folder, format="geopackage", layer="incidents", location=place, **changes)


def write_gpkg(path: Path) -> None:
    frame = pd.DataFrame([row(number=str(i)) for i in range(3)], columns=list(HEADER))
    places = [shapely.Point(1.5, 2.5), None, shapely.box(0, 0, 1, 1)]
    gpd.GeoDataFrame(frame, geometry=places, crs="EPSG:28992").to_file(
        path, layer="incidents", driver="GPKG"
    )


def test_files_are_listed_by_name_and_none_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("b_2.csv", "b_1.csv.gz", "a.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "b_0.csv").mkdir()
    source = source_in(tmp_path, files="b_*")
    names = [path.rsplit("/", 1)[-1] for path in list_files(spark, source)]
    assert names == ["b_1.csv.gz", "b_2.csv"]
    with pytest.raises(CasError, match="no file .*/c_.*"):
        list_files(spark, source_in(tmp_path, files="c_*"))


def test_the_sha256_is_that_of_the_bytes(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a b.csv").write_bytes(b"\x00\xff" * 70_000)
    source = source_in(tmp_path, files="a b.csv")
    [path] = list_files(spark, source)
    assert sha256_of(spark, path) == hashlib.sha256(b"\x00\xff" * 70_000).hexdigest()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_csv_is_read_by_its_header_and_rows_keep_their_places(
    spark: SparkSession, tmp_path: Path, suffix: str
) -> None:
    backwards = list(reversed(HEADER))
    lines = [
        "\ufeffextra, " + ",".join(backwards),
        "e," + ",".join(reversed(row(number="1"))),
        "e,too,few",
        "",
        "e," + ",".join(reversed(row(number='"2, ""two""\nlines"'))),
        "e," + ",".join(reversed(row(number="3"))) + ",too many",
        "e," + ",".join(reversed(row(number="4"))),
    ]
    path = tmp_path / f"extract{suffix}"
    content = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    rows = read_rows(spark, source_in(tmp_path), str(path))
    found = rows.selectExpr("row_number", "given.number", "x", "malformed").collect()
    assert [tuple(r) for r in found if r["malformed"] is None] == [
        (1, "1", "100010", None),
        (3, '2, "two"\nlines', "100010", None),
        (5, "4", "100010", None),
    ]
    assert [(r["row_number"], r["malformed"]) for r in found if r["malformed"]] == [
        (2, "3 fields, not 12"),
        (4, "13 fields, not 12"),
    ]


def test_another_delimiter_counts_fields_outside_quotes(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "extract.csv"
    path.write_text("|".join(HEADER) + '\n"a|b"|c\n' + "|".join(row()) + "\n")
    rows = read_rows(spark, source_in(tmp_path, delimiter="|"), str(path))
    assert [r["malformed"] for r in rows.collect()] == ["2 fields, not 11", None]


def test_an_open_quote_costs_its_own_row_and_no_other(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path / "extract.csv", [row(), row(number='"8'), row(), row(note='"fine"')])
    rows = read_rows(spark, source_in(tmp_path), str(path))
    assert [(r["row_number"], r["malformed"]) for r in rows.collect()] == [
        (1, None),
        (2, "a quote that is not followed by a delimiter or the end of the line"),
        (3, None),
        (4, None),
    ]


def test_a_missing_column_is_named_beside_those_there_are(
    spark: SparkSession, tmp_path: Path
) -> None:
    header = ["start" if name == "began" else name for name in HEADER]
    path = write(tmp_path / "extract.csv", [row()], header)
    with pytest.raises(CasError, match="no column began among number, case, code, start, ended"):
        read_rows(spark, source_in(tmp_path), str(path))


@pytest.mark.parametrize("content", ["", ",".join(HEADER), ",".join(HEADER) + "\n\n"])
def test_an_empty_extract_is_refused(spark: SparkSession, tmp_path: Path, content: str) -> None:
    path = tmp_path / "extract.csv"
    path.write_text(content)
    with pytest.raises(CasError, match="extract.csv: found no rows"):
        read_rows(spark, source_in(tmp_path), str(path))


def test_a_broken_gzip_is_refused_whole(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path / "extract.csv", [row(number=str(i)) for i in range(9999)])
    whole = gzip.compress(path.read_bytes())
    for broken in (whole[: len(whole) // 2], whole[:-8] + b"\x00" * 8):
        path.write_bytes(broken)
        with pytest.raises(CasError, match="extract .*: found a broken compressed file"):
            delivered(spark, settings_of(tmp_path), path)


def test_parquet_keeps_its_types_and_places(spark: SparkSession, tmp_path: Path) -> None:
    frame = pd.DataFrame([row(number=str(i)) for i in range(3)], columns=list(HEADER))
    frame["x"] = frame["x"].astype(float)
    frame["known"] = pd.to_datetime(frame["known"]).dt.tz_localize(UTC)
    frame.to_parquet(tmp_path / "extract.parquet", index=False)
    source = source_in(tmp_path, format="parquet")
    rows = read_rows(spark, source, str(tmp_path / "extract.parquet"))
    found = rows.selectExpr("row_number", "given.number", "given.known", "x").collect()
    known = datetime(2020, 1, 6, 9)  # noqa: DTZ001  # Spark hands out instants as naive UTC
    assert [tuple(r) for r in found] == [
        (1, "0", known, 100010.0),
        (2, "1", known, 100010.0),
        (3, "2", known, 100010.0),
    ]


@pytest.mark.parametrize("form", ["parquet", "geopackage"])
def test_a_file_of_another_format_is_refused(
    spark: SparkSession, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "extract"
    path.write_bytes(b"neither of them" * 99)
    source = gpkg_source(tmp_path) if form == "geopackage" else source_in(tmp_path, format=form)
    with pytest.raises(CasError, match="extract: found something that cannot be (read|opened)"):
        read_rows(spark, source, str(path))


def test_a_geopackage_gives_points_and_no_place_for_anything_else(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = tmp_path / "extract.gpkg"
    write_gpkg(path)
    rows = read_rows(spark, gpkg_source(tmp_path), f"file://{path}")
    found = rows.selectExpr("row_number", "given.number", "x", "y").orderBy("row_number").collect()
    assert [tuple(r) for r in found] == [
        (1, "0", 1.5, 2.5),
        (2, "1", None, None),
        (3, "2", None, None),
    ]


def test_a_missing_layer_is_named_beside_those_there_are(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_gpkg(tmp_path / "extract.gpkg")
    source = gpkg_source(tmp_path).model_copy(update={"layer": "crimes"})
    with pytest.raises(CasError, match="layer crimes .* no such layer; .* layers: incidents"):
        read_rows(spark, source, str(tmp_path / "extract.gpkg"))


@pytest.mark.parametrize(
    ("form", "ending", "driver"),
    [("geojson", "geojson", "GeoJSON"), ("shapefile", "shp", "ESRI Shapefile")],
)
def test_places_are_read_from_every_format(
    spark: SparkSession, tmp_path: Path, form: str, ending: str, driver: str
) -> None:
    path = tmp_path / f"crimes [1] 12:00.{ending}"
    plain = tmp_path / f"crimes.{ending}"
    frame = pd.DataFrame([row(number="Bé\u00a0", code="B1")], columns=list(HEADER))
    places = gpd.GeoDataFrame(frame, geometry=[shapely.Point(1.5, 2.5)], crs="EPSG:28992")
    places.to_file(plain, driver=driver)
    if form == "geojson":
        plain.rename(path)
    else:
        path = plain
    place = {"geometry": "geometry", "crs": "EPSG:28992"}
    rows = read_rows(spark, source_in(tmp_path, format=form, location=place), str(path))
    found = rows.selectExpr("row_number", "given.number", "given.code", "x", "y").collect()
    assert [tuple(r) for r in found] == [(1, "Bé", "B1", 1.5, 2.5)]


def test_a_crs_that_contradicts_the_file_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    write_gpkg(tmp_path / "extract.gpkg")
    place = {"geometry": "geom", "crs": "EPSG:32631"}
    source = source_in(tmp_path, format="geopackage", layer="incidents", location=place)
    with pytest.raises(CasError, match="geometry in EPSG:28992 .* expected EPSG:32631"):
        read_rows(spark, source, str(tmp_path / "extract.gpkg"))


def test_a_column_of_lists_is_refused_by_name(spark: SparkSession, tmp_path: Path) -> None:
    frame = pd.DataFrame([row()], columns=list(HEADER))
    frame["code"] = pd.Series([["B1", "B2"]])
    frame.to_parquet(tmp_path / "extract.parquet", index=False)
    source = source_in(tmp_path, format="parquet")
    with pytest.raises(CasError, match=r"column code \(list<.*> ?\).* expected mapped columns"):
        read_rows(spark, source, str(tmp_path / "extract.parquet"))


def test_two_columns_of_one_name_in_parquet_are_refused_where_mapped(
    spark: SparkSession, tmp_path: Path
) -> None:
    table = pa.Table.from_pandas(pd.DataFrame([row()], columns=list(HEADER)))
    path = tmp_path / "extract.parquet"
    for twice, message in ((HEADER[0], f"several columns of the name {HEADER[0]}"), ("memo", None)):
        unmapped = table.append_column("memo", pa.array(["a"]))
        pq.write_table(unmapped.append_column(twice, pa.array(["b"])), path)
        source = source_in(tmp_path, format="parquet")
        if message is None:
            assert read_rows(spark, source, str(path)).count() == 1
            continue
        with pytest.raises(CasError, match=message):
            read_rows(spark, source, str(path))
