"""Layers of a GeoPackage in the grid's CRS: the teams' polygons, and what lies around a cell.

What a file holds (its layers, columns and CRS) is looked up before Spark reads it, so that a wrong
name or a missing CRS is said at once and in full.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyogrio
from pyogrio.errors import DataSourceError
from pyproj import CRS
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.settings.places import Layer, TeamLayer

POLYGONS = 3
"""ST_CollectionExtract's number for polygons."""
ROW_NUMBER = "number of the row"
TRANSFORMED_DECIMALS = 3
"""Sines differ in their last bits between processors, so transformed places are kept to the mm."""


@dataclass(frozen=True)
class _Contents:
    """What a layer holds: its columns, those of the row's number and of the geometry, its CRS."""

    columns: tuple[str, ...]
    row_number: str
    geometry: str
    crs: CRS


def read_layer(
    spark: SparkSession, layer: Layer, crs: str, columns: Sequence[str] = ()
) -> DataFrame:
    """Read a layer of a GeoPackage and put it on the grid's plane.

    Args:
        spark: a session with Sedona.
        layer: the file (any Hadoop path) and the name of its layer.
        crs: the grid's CRS, an authority code or WKT.
        columns: attribute columns to read besides the geometry.

    Returns:
        The asked columns as the file has them, and `geometry`: x and y in the units of `crs`. Where
        the layer has another CRS its geometries are made valid and transformed, and their
        coordinates rounded to a thousandth.

    Raises:
        CasError: no such file or layer, a column that the layer lacks, no rows, rows without a
            geometry, or a layer that does not tell its CRS.
    """
    contents = _contents(spark, layer)
    missing = [column for column in columns if column not in contents.columns]
    if missing:
        raise CasError(
            what=f"layer {layer.layer} of {layer.path}",
            found=f"no column {', '.join(missing)}",
            expected=f"one of its columns: {', '.join(contents.columns)}",
            do="Give the name of one of these columns in the settings",
        )
    source, target = contents.crs, CRS.from_user_input(crs)
    geometry = F.col(_quoted(contents.geometry))
    if not source.equals(target, ignore_axis_order=True):
        geometry = _transformed(geometry, source, target)
    rows = spark.read.format("geopackage").option("tableName", layer.layer).load(layer.path)
    if not columns:
        return rows.select(geometry.alias("geometry"))
    row_number = F.col(_quoted(contents.row_number)).cast("long").alias(ROW_NUMBER)
    attributes = _attributes(spark, layer, contents, columns)
    return (
        rows.select(row_number, geometry.alias("geometry"))
        .join(F.broadcast(attributes), ROW_NUMBER, "inner")
        .select(*(F.col(_quoted(column)) for column in columns), "geometry")
    )


def _attributes(
    spark: SparkSession, layer: Layer, contents: _Contents, columns: Sequence[str]
) -> DataFrame:
    """The rows' numbers and the asked columns; Sedona's reader gives 0 for a missing number."""
    fields = [column for column in columns if column != contents.row_number]
    _, table = pyogrio.read_arrow(
        _local_file_or_bytes(spark, layer.path),
        layer=layer.layer,
        columns=fields,
        read_geometry=False,
        return_fids=True,
    )
    numbers = table.column(contents.row_number)
    if contents.row_number not in columns:
        table = table.drop_columns(contents.row_number)
    return spark.createDataFrame(table.append_column(ROW_NUMBER, numbers))


def read_teams(spark: SparkSession, layer: TeamLayer, crs: str) -> DataFrame:
    """Read the polygons of the teams, one row per team.

    Rows of the same team are dissolved into one; invalid polygons are made valid.

    Args:
        spark: a session with Sedona.
        layer: the file, its layer and the columns with the teams' id, name and region.
        crs: the grid's CRS, an authority code or WKT.

    Returns:
        team_id (string), team_name and region (string; null where the settings name no column) and
        geometry (polygons in the units of `crs`).

    Raises:
        CasError: as `read_layer`; or rows without an id, rows without an area, or a team with more
            than one name or region.
    """
    asked = {"team_id": layer.id, "team_name": layer.name, "region": layer.region}
    columns = sorted({column for column in asked.values() if column is not None})
    rows = read_layer(spark, layer, crs, columns)
    types = dict(rows.dtypes)
    pieces = rows.select(
        *(
            (_text(column, types[column]) if column else F.lit(None).cast("string")).alias(name)
            for name, column in asked.items()
        ),
        F.call_function(
            "ST_CollectionExtract", _made_valid(F.col("geometry")), F.lit(POLYGONS)
        ).alias("geometry"),
    )
    _check_teams(pieces, layer)
    # Sorted, so that the union does not depend on the order in which rows arrive.
    outlines = F.array_sort(F.collect_list(F.call_function("ST_AsBinary", F.col("geometry"))))
    union = F.call_function(
        "ST_Union", F.transform("outlines", lambda wkb: F.call_function("ST_GeomFromWKB", wkb))
    )
    teams = pieces.groupBy("team_id").agg(
        F.min("team_name").alias("team_name"),
        F.min("region").alias("region"),
        outlines.alias("outlines"),
    )
    # Exploding an array of one keeps Spark from computing the union once per use.
    return teams.select(
        "team_id", "team_name", "region", F.explode(F.array(union)).alias("geometry")
    )


def read_areas(
    spark: SparkSession, layer: Layer, area: str, figures: Mapping[str, str], crs: str
) -> DataFrame:
    """Read the polygons of areas and their figures, one row per area.

    Args:
        spark: a session with Sedona.
        layer: the file and its layer.
        area: column with the area's id.
        figures: name -> column.
        crs: the grid's CRS, an authority code or WKT.

    Returns:
        area_id (string), figures (struct of name -> what the file holds, as trimmed text, null
        where blank) and geometry (polygons in the units of `crs`, made valid).

    Raises:
        CasError: as `read_layer`; or rows without an id, rows without an area, or an id that
            several rows have. It runs a job.
    """
    rows = read_layer(spark, layer, crs, sorted({area, *figures.values()}))
    told = [
        F.nullif(F.trim(F.col(_quoted(column)).cast("string")), F.lit("")).alias(name)
        for name, column in figures.items()
    ]
    areas = rows.select(
        _text(area, dict(rows.dtypes)[area]).alias("area_id"),
        F.struct(*told).alias("figures"),
        F.call_function(
            "ST_CollectionExtract", _made_valid(F.col("geometry")), F.lit(POLYGONS)
        ).alias("geometry"),
    )
    problems = _rows_without(areas, "area_id", area)
    again = areas.groupBy("area_id").count().where("count > 1 AND area_id IS NOT NULL")
    repeated = again.orderBy("area_id").limit(3).collect()
    problems += [f"area {row['area_id']} in {row['count']} rows" for row in repeated]
    if problems:
        raise CasError(
            what=f"areas in layer {layer.layer} of {layer.path}",
            found="; ".join(problems),
            expected="polygons, each with an id of its own",
            do="Mend these rows in the file, or name another column in the settings",
        )
    return areas


def _rows_without(polygons: DataFrame, name: str, column: str) -> list[str]:
    """How many rows lack an id (called `name` here, `column` in the file) or an area, in words."""
    area = F.call_function("ST_Area", F.col("geometry"))
    found = polygons.select(
        F.count_if(F.col(name).isNull()).alias("without_id"),
        F.count_if(area <= 0).alias("without_area"),
    ).first()
    if found is None:
        return []
    missing = (
        (found.without_id, f"an id in {column}"),
        (found.without_area, "a polygon that has an area"),
    )
    return [f"{number} rows without {what}" for number, what in missing if number]


def _check_teams(pieces: DataFrame, layer: TeamLayer) -> None:
    problems = _rows_without(pieces, "team_id", layer.id)
    names = (
        pieces.groupBy("team_id")
        .agg(
            F.sort_array(F.collect_set("team_name")).alias("name"),
            F.sort_array(F.collect_set("region")).alias("region"),
        )
        .where((F.size("name") > 1) | (F.size("region") > 1))
        .orderBy("team_id")
        .limit(3)
    )
    problems += [
        f"team {row.team_id} with {what}s {', '.join(values)}"
        for row in names.collect()
        for what, values in (("name", row["name"]), ("region", row["region"]))
        if len(values) > 1
    ]
    if problems:
        raise CasError(
            what=f"teams in layer {layer.layer} of {layer.path}",
            found="; ".join(problems),
            expected="polygons, each with the id of its team, and one name and region per team",
            do="Mend these rows in the file, or name other columns in the settings",
        )


def _contents(spark: SparkSession, layer: Layer) -> _Contents:
    source = _local_file_or_bytes(spark, layer.path)
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(source)]
    except DataSourceError as error:
        raise CasError(
            what=f"file {layer.path}",
            found="something that cannot be opened",
            expected="a GeoPackage",
            do="Name a .gpkg file in the settings; ogr2ogr turns other formats into one",
        ) from error
    what = f"layer {layer.layer} of {layer.path}"
    if layer.layer not in layers:
        raise CasError(
            what=what,
            found="no such layer",
            expected=f"one of its layers: {', '.join(layers)}",
            do="Give the name of one of these layers in the settings",
        )
    info = pyogrio.read_info(source, layer=layer.layer, force_feature_count=True)
    if not info["geometry_name"]:
        raise CasError(
            what=what,
            found="a table without geometry",
            expected="a layer of polygons, lines or points",
            do="Name another layer in the settings",
        )
    if info["features"] == 0:
        raise CasError(
            what=what,
            found="no rows",
            expected="at least one",
            do="Name another layer in the settings, or leave it out",
        )
    if not info["fid_column"]:
        raise CasError(
            what=what,
            found="no column that numbers its rows",
            expected="an integer primary key, as GeoPackage asks of every layer",
            do="Write the layer anew, as with ogr2ogr new.gpkg old.gpkg",
        )
    # Sedona's reader fails on these without saying where.
    is_null = '"' + info["geometry_name"].replace('"', '""') + '" IS NULL'
    without = pyogrio.read_dataframe(
        source, layer=layer.layer, columns=[], where=is_null, read_geometry=False, fid_as_index=True
    )
    if len(without):
        raise CasError(
            what=what,
            found=f"{len(without)} of {info['features']} rows without a geometry",
            expected="a geometry in each row",
            do="Delete these rows from the file or give them a place",
        )
    return _Contents(
        columns=tuple(str(column) for column in (info["fid_column"], *info["fields"])),
        row_number=str(info["fid_column"]),
        geometry=str(info["geometry_name"]),
        crs=_known_crs(info["crs"], what),
    )


def _known_crs(crs: str | None, what: str) -> CRS:
    # GeoPackage's codes -1 and 0, "undefined", come back as CRSs with such a name.
    known = CRS.from_user_input(crs) if crs else None
    if known is None or known.name.startswith("Undefined"):
        raise CasError(
            what=what,
            found="a CRS that is not told",
            expected="the CRS of its coordinates in the file",
            do="Write it into the file, as with ogr2ogr -a_srs EPSG:28992",
        )
    return known


def _local_file_or_bytes(spark: SparkSession, path: str) -> Path | bytes:
    """The file, or where only Hadoop can reach it, its bytes."""
    url = urlparse(path)
    if url.scheme in {"", "file"}:
        file = Path(unquote(url.path)) if url.scheme else Path(path)
        if file.is_file():
            return file
    else:
        try:
            found = spark.read.format("binaryFile").load(path).select("content").first()
        except AnalysisException:
            found = None
        if found:
            return bytes(found.content)
    raise missing_file(path)


def missing_file(path: str) -> CasError:
    """The error that a file of the settings does not exist."""
    return CasError(
        what=f"file {path}",
        found="nothing there",
        expected="a file",
        do="Give its place in the settings; relative places are meant from the settings file",
    )


def _transformed(geometry: Column, source: CRS, target: CRS) -> Column:
    moved = F.call_function(
        "ST_Transform",
        _made_valid(geometry),
        F.lit(_for_sedona(source)),
        F.lit(_for_sedona(target)),
    )
    return F.call_function("ST_ReducePrecision", moved, F.lit(TRANSFORMED_DECIMALS))


def _for_sedona(crs: CRS) -> str:
    """A CRS as Sedona reads it: its EPSG code, or the older WKT where it has none."""
    code = crs.to_epsg(min_confidence=100)
    return f"EPSG:{code}" if code else crs.to_wkt("WKT1_GDAL")


def _made_valid(geometry: Column) -> Column:
    is_valid = F.call_function("ST_IsValid", geometry)
    return F.when(is_valid, geometry).when(~is_valid, F.call_function("ST_MakeValid", geometry))


def _text(column: str, column_type: str) -> Column:
    """A column as text, a whole number without decimals; null where it is blank."""
    value = F.col(_quoted(column))
    text = value.cast("string")
    if column_type in {"double", "float"}:
        text = F.when(value == F.floor(value), F.floor(value).cast("string")).otherwise(text)
    return F.when(F.trim(text) != "", text)


def _quoted(column: str) -> str:
    return "`" + column.replace("`", "``") + "`"
