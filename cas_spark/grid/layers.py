"""Layers on the grid's plane: the teams' polygons, areas, and what lies around a cell.

The driver reads a layer through GDAL and moves it by PROJ, so that a wrong name or a missing CRS is
said at once and in full; layers are small beside the cells. Spark gets them as WKB.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS, Transformer
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.operations import Operations
from cas_spark.grid.overlaps import POLYGONS, Polygons, side_by_side
from cas_spark.grid.projection import TRANSFORMED_DECIMALS, Bounds, agree, short_name_of
from cas_spark.grid.vector_files import VectorLayer, open_layer, read_table
from cas_spark.platform import storage
from cas_spark.platform.spread import shuffle_partitions
from cas_spark.settings.geography import Layer, Overlaps, TeamLayer
from cas_spark.settings.texts import as_seen


def read_layer(
    spark: SparkSession,
    layer: Layer,
    crs: str,
    columns: Sequence[str] = (),
    operations: Operations | None = None,
    what: str = "layer",
) -> DataFrame:
    """Read a layer and put it on the grid's plane.

    Args:
        spark: a session with Sedona.
        layer: the file (any Hadoop path) and the name of its layer.
        crs: the grid's CRS, an authority code or WKT.
        columns: attribute columns to read besides the geometry.
        operations: how layers come to the grid's CRS; None to choose for this once.
        what: the layer is, such as grid.teams: its operation is kept under this name.

    Returns:
        The asked columns as the file has them, and `geometry`: x and y in the units of `crs`. Where
        the layer has another CRS its geometries are moved and made valid, and their coordinates
        rounded to a thousandth.

    Raises:
        CasError: no such file or layer, a column that the layer lacks, no rows, rows without a
            geometry or out of reach, a layer without a CRS, or one that no operation
            brings to the grid's CRS well enough.
    """
    opened = open_layer(layer.path, layer.layer, lambda path: _bytes_of(spark, path))
    in_file = _names_in_file(opened, columns)
    source = _known_crs(opened, crs)
    table, shapes = read_table(opened, in_file)
    _check_rows(opened, shapes)
    is_moved = not agree(source, CRS.from_user_input(crs))
    if is_moved:
        operations = operations or Operations({}, crs, "")
        shapes = _moved(opened, shapes, source, layer.operation, operations, what)
    names = [f"column_{place}" for place in range(len(columns))]
    wkb = pa.array(shapely.to_wkb(shapes), pa.binary())
    rows = spark.createDataFrame(pa.table([*table.columns, wkb], names=[*names, "wkb"]))
    geometry = F.call_function("ST_GeomFromWKB", F.col("wkb"))
    if is_moved:
        geometry = F.call_function(
            "ST_ReducePrecision", _made_valid(geometry), F.lit(TRANSFORMED_DECIMALS)
        )
    attributes = [F.col(name).alias(column) for name, column in zip(names, columns, strict=True)]
    # Spread, so that not the driver alone works on what it has read.
    spread = rows.repartition(shuffle_partitions(spark))
    return spread.select(*attributes, geometry.alias("geometry"))


def _moved(
    opened: VectorLayer,
    shapes: Polygons,
    source: CRS,
    named: str | None,
    operations: Operations,
    what: str,
) -> Polygons:
    """The geometries in the grid's CRS, by the operation that is chosen for their own extent."""
    places = shapely.get_coordinates(shapes)
    roughly = Transformer.from_crs(source, operations.grid_crs, always_xy=True)
    x, y = (np.asarray(part) for part in roughly.transform(places[:, 0], places[:, 1]))
    is_there = np.isfinite(x) & np.isfinite(y)
    if not is_there.any():
        raise _out_of_reach(opened, len(shapes), operations.grid_crs)
    x, y = x[is_there], y[is_there]
    extent = Bounds(float(x.min()), float(y.min()), float(x.max()), float(y.max()))
    operation = operations.of(what, source, extent, named)
    if operation is None:
        return shapes
    moved = shapely.set_coordinates(
        shapes.copy(), np.stack(operation.moved(places[:, 0], places[:, 1]), axis=1)
    )
    is_lost = ~np.isfinite(shapely.bounds(moved)).all(axis=1) & ~shapely.is_empty(moved)
    if is_lost.any():
        raise _out_of_reach(opened, int(is_lost.sum()), operations.grid_crs)
    return moved


def _out_of_reach(opened: VectorLayer, number: int, crs: str) -> CasError:
    return CasError(
        what=opened.what,
        found=f"{number} of {opened.features} rows with a geometry that {crs} does not reach",
        expected="geometries around the land of the grid",
        do="Cut the layer to the land, or mend the CRS that the file names",
    )


def _names_in_file(opened: VectorLayer, columns: Sequence[str]) -> list[str]:
    """The names that the file itself gives to columns that look as the settings name them."""
    found = {
        column: [name for name in opened.columns if as_seen(name) == as_seen(column)]
        for column in columns
    }
    missing = [column for column, names in found.items() if not names]
    twice = [column for column, names in found.items() if len(names) > 1]
    if missing:
        raise CasError(
            what=opened.what,
            found=f"no column {', '.join(missing)}",
            expected=f"one of its columns: {', '.join(opened.columns)}",
            do="Give the name of one of these columns in the settings",
        )
    if twice:
        raise CasError(
            what=opened.what,
            found=f"several columns that look like {', '.join(twice)}",
            expected="one column of each name in the settings",
            do="Give these columns of the file other names",
        )
    return [found[column][0] for column in columns]


def _check_rows(opened: VectorLayer, shapes: Polygons) -> None:
    if len(shapes) == 0:
        raise CasError(
            what=opened.what,
            found="no rows",
            expected="at least one",
            do="Name another layer in the settings, or leave it out",
        )
    without = int(shapely.is_missing(shapes).sum())
    if without:
        raise CasError(
            what=opened.what,
            found=f"{without} of {len(shapes)} rows without a geometry",
            expected="a geometry in each row",
            do="Delete these rows from the file or give them a place",
        )


def _known_crs(opened: VectorLayer, grid_crs: str) -> CRS:
    if opened.crs is not None:
        return opened.crs
    grid = short_name_of(CRS.from_user_input(grid_crs))
    raise CasError(
        what=opened.what,
        found="no CRS",
        expected="the CRS of its coordinates in the file",
        do=f"Find out which CRS its coordinates have, and write it into a copy: `cas-spark layers "
        f"IN OUT.gpkg --crs CODE`, where CODE is {grid} if they are in the grid's CRS",
    )


def _bytes_of(spark: SparkSession, path: str) -> bytes | None:
    """The bytes of a file that only Hadoop can reach; None where there is none."""
    try:
        found = storage.contents(spark, path).select("content").first()
    except AnalysisException:
        return None
    return bytes(found.content) if found else None


def read_teams(
    spark: SparkSession, layer: TeamLayer, crs: str, operations: Operations | None = None
) -> DataFrame:
    """Read the polygons of the teams, one row per team.

    Rows of the same team are dissolved into one; invalid polygons are made valid. Where teams
    overlap by more than slivers, the smallest gets the ground if the settings say so.

    Args:
        spark: a session with Sedona.
        layer: the file, its layer and the columns with the teams' id, name and region.
        crs: the grid's CRS, an authority code or WKT.
        operations: how layers come to the grid's CRS; None to choose for this once.

    Returns:
        team_id (string), team_name and region (string; null where the settings name no column) and
        geometry (polygons in the units of `crs`).

    Raises:
        CasError: as `read_layer`; or rows without an id, rows without an area, a team with more
            than one name or region, or teams that overlap. It runs jobs.
    """
    asked = {"team_id": layer.id, "team_name": layer.name, "region": layer.region}
    columns = sorted({column for column in asked.values() if column is not None})
    rows = read_layer(spark, layer, crs, columns, operations, "grid.teams")
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
    dissolved = teams.select(
        "team_id", "team_name", "region", F.explode(F.array(union)).alias("geometry")
    )
    what = f"teams in {_place_of(layer)}"
    return side_by_side(dissolved, "team_id", what, "grid.teams.overlaps", layer.overlaps)


def read_areas(
    spark: SparkSession,
    layer: Layer,
    area: str,
    figures: Mapping[str, str],
    crs: str,
    operations: Operations | None = None,
    what: str = "areas",
    overlaps: Overlaps = "refuse",
) -> DataFrame:
    """Read the polygons of areas and their figures, one row per area.

    Args:
        spark: a session with Sedona.
        layer: the file and its layer.
        area: column with the area's id.
        figures: name -> column.
        crs: the grid's CRS, an authority code or WKT.
        operations: how layers come to the grid's CRS; None to choose for this once.
        what: the layer is: its operation is kept under this name.
        overlaps: whether ground that areas share is refused, or is the smallest one's.

    Returns:
        area_id (string), figures (struct of name -> what the file holds, as trimmed text, null
        where blank) and geometry (polygons in the units of `crs`, made valid).

    Raises:
        CasError: as `read_layer`; or rows without an id, rows without an area, an id that several
            rows have, or areas that overlap. It runs jobs.
    """
    columns = sorted({area, *figures.values()})
    rows = read_layer(spark, layer, crs, columns, operations, what)
    fields = [
        F.nullif(F.trim(F.col(_quoted(column)).cast("string")), F.lit("")).alias(name)
        for name, column in figures.items()
    ]
    areas = rows.select(
        _text(area, dict(rows.dtypes)[area]).alias("area_id"),
        F.struct(*fields).alias("figures"),
        F.call_function(
            "ST_CollectionExtract", _made_valid(F.col("geometry")), F.lit(POLYGONS)
        ).alias("geometry"),
    ).localCheckpoint()
    problems = _rows_without(areas, "area_id", area)
    again = areas.groupBy("area_id").count().where("count > 1 AND area_id IS NOT NULL")
    repeated = again.orderBy("area_id").limit(3).collect()
    problems += [f"area {row['area_id']} in {row['count']} rows" for row in repeated]
    if problems:
        raise CasError(
            what=f"areas in {_place_of(layer)}",
            found="; ".join(problems),
            expected="polygons, each with an id of its own",
            do="Mend these rows in the file, or name another column in the settings",
        )
    setting = f"{what.rsplit('.', 1)[0]}.overlaps"
    return side_by_side(areas, "area_id", f"areas in {_place_of(layer)}", setting, overlaps)


def _place_of(layer: Layer) -> str:
    return f"layer {layer.layer} of {layer.path}" if layer.layer else f"file {layer.path}"


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
            what=f"teams in {_place_of(layer)}",
            found="; ".join(problems),
            expected="polygons, each with the id of its team, and one name and region per team",
            do="Mend these rows in the file, or name other columns in the settings",
        )


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
