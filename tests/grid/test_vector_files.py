"""Layers of any format, name and path are found, and copied into GeoPackages."""

from pathlib import Path
from typing import Any

import geopandas
import pyarrow as pa
import pytest
import shapely
from pyproj import CRS

from cas_spark.cli import run_cli
from cas_spark.errors import CasError
from cas_spark.grid.definition import file_digests, grid_definition, layer_paths
from cas_spark.grid.vector_files import open_layer, read_table
from cas_spark.settings.geography import Grid

SQUARE, NEXT = shapely.box(4, 52, 4.1, 52.1), shapely.box(4.1, 52, 4.2, 52.1)
DRIVERS = {
    "gpkg": "GPKG",
    "geojson": "GeoJSON",
    "shp": "ESRI Shapefile",
    "fgb": "FlatGeobuf",
}


def frame(**columns: list[Any]) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(
        {"code": ["a", "b"], "number": [1.5, None], **columns},
        geometry=[SQUARE, NEXT],
        crs="EPSG:4326",
    )


def write(path: Path, layer: str = "places", **columns: Any) -> Path:
    kind = path.suffix[1:]
    rows = frame(**columns)
    made = path.with_name(f"new.{kind}") if kind != "shp" else path
    rows.to_file(made, driver=DRIVERS[kind], **({"layer": layer} if kind != "shp" else {}))
    return made.rename(path)


def rows_of(table: pa.Table, shapes: Any) -> list[tuple[Any, ...]]:
    """Code, number and bounds; FlatGeobuf puts rows in an order of its own."""
    columns = (table.column("code").to_pylist(), table.column("number").to_pylist())
    return sorted(zip(*columns, (shape.bounds for shape in shapes), strict=True))


@pytest.mark.parametrize("kind", DRIVERS)
def test_every_format_is_read_without_the_name_of_its_only_layer(tmp_path: Path, kind: str) -> None:
    layer = open_layer(str(write(tmp_path / f"places.{kind}")), None)
    assert layer.crs == CRS("EPSG:4326")
    table, shapes = read_table(layer, ["number", "code"])
    assert rows_of(table, shapes) == [("a", 1.5, SQUARE.bounds), ("b", None, NEXT.bounds)]


@pytest.mark.parametrize(
    "name",
    ["a b", "a:b", "2024-05-01T12:00:00", "a#b", "a?b", "a%20b", "a[1]", "a!b", "ü€", "a'b", "{a}"],
)
def test_any_name_of_a_file_and_layer_is_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    made = write(tmp_path / "made.gpkg", layer=f"select {name}")  # GDAL's writer takes no "!"
    path = str(made.rename(folder / f"{name}.gpkg"))
    layer = open_layer(path, f"select {name}")
    assert read_table(layer, ["code"])[0].to_pydict() == {"code": ["a", "b"]}
    assert open_layer(Path(path).as_uri(), None).name == f"select {name}"


def test_heights_are_left_out(tmp_path: Path) -> None:
    rows = frame()
    rows.geometry = shapely.force_3d(rows.geometry, 7.0)
    rows.to_file(tmp_path / "high.gpkg", layer="high")
    _, shapes = read_table(open_layer(str(tmp_path / "high.gpkg"), "high"), [])
    assert not shapely.has_z(shapes).any()


def test_curves_become_lines(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    circle = "CURVEPOLYGON (CIRCULARSTRING (0 0, 1 1, 2 0, 1 -1, 0 0))"
    path.write_text(f'id,WKT\n1,"{circle}"\n')
    _, [shape] = read_table(open_layer(str(path), None), ["id"])
    assert shape.area == pytest.approx(3.1416, abs=0.01)


def test_one_of_several_layers_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for layer in ("order", "two words"):
        frame().to_file(path, layer=layer)
    with pytest.raises(CasError, match="found 2 layers: order, two words"):
        open_layer(str(path), None)
    assert open_layer(str(path), "order").features == 2


def grid_of(path: Path, **teams: Any) -> Grid:
    content = {
        "version": "v1",
        "valid_from": "2024-01-01",
        "crs": "EPSG:28992",
        "teams": {"path": str(path), "layer": "teams", "id": "code", **teams},
    }
    return Grid.model_validate(content)


def test_settings_that_say_what_is_usual_change_no_definition(tmp_path: Path) -> None:
    path = tmp_path / "teams.gpkg"
    digests = {str(path): "f00d"}
    usual = grid_definition(grid_of(path), digests)
    assert usual == grid_definition(grid_of(path, overlaps="refuse", operation=None), digests)
    # What a lake of the version before holds.
    assert usual == "68f9bbe1f9bb01b9fddeed4bc0fe0f81e1a42c5b87ff773a9672515645e8cf3c"
    for other in ({"overlaps": "smallest"}, {"operation": "EPSG:4833"}):
        assert usual != grid_definition(grid_of(path, **other), digests)


def test_a_shapefile_is_another_where_any_of_its_parts_is(tmp_path: Path) -> None:
    path = write(tmp_path / "teams.shp")
    [name] = layer_paths(grid_of(path))
    before = file_digests(None, [name])  # type: ignore[arg-type]  # a local file needs no session
    (tmp_path / "teams.txt").write_text("a note")
    assert file_digests(None, [name]) == before  # type: ignore[arg-type]
    (tmp_path / "teams.prj").write_bytes(b"")
    assert file_digests(None, [name]) != before  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["shp", "geojson", "fgb", "gpkg"])
def test_a_layer_of_any_format_is_copied_into_a_geopackage(tmp_path: Path, kind: str) -> None:
    columns: dict[str, Any] = (
        {} if kind == "gpkg" else {"fid": [7, 7]}
    )  # a name that GeoPackage keeps for itself
    source = write(tmp_path / f"in put.{kind}", **columns)
    target = tmp_path / "out.gpkg"
    assert run_cli(["layers", str(source), str(target)]) == 0
    copied = open_layer(str(target), None)
    assert copied.crs == CRS("EPSG:4326")
    table, shapes = read_table(copied, ["code", "number"])
    assert rows_of(table, shapes) == [("a", 1.5, SQUARE.bounds), ("b", None, NEXT.bounds)]
    assert sorted(tmp_path.glob("out*")) == [target]


def test_a_copy_gets_the_crs_that_its_source_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = write(tmp_path / "in.shp"), tmp_path / "out.gpkg"
    (tmp_path / "in.prj").unlink()
    assert run_cli(["layers", str(source), str(target)]) == 1
    assert "give it as --crs CODE" in " ".join(capsys.readouterr().err.split())
    assert run_cli(["layers", str(source), str(target), "--crs", "EPSG:4258"]) == 0
    assert open_layer(str(target), "in").crs == CRS("EPSG:4258")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("there.gpkg", [], "no file is written over"),
        ("out.shp", [], "which ends in .gpkg"),
        ("out.gpkg", ["--crs", "EPSG:28992"], "Leave --crs out"),
        ("out.gpkg", ["--crs", "nonsense"], "nothing that PROJ knows"),
        ("out.gpkg", ["--layer", "other"], "no such layer"),
    ],
)
def test_a_copy_that_would_lose_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, options: list[str], message: str
) -> None:
    source = write(tmp_path / "in.geojson")
    (tmp_path / "there.gpkg").write_bytes(b"mine")
    before = sorted(tmp_path.iterdir())
    assert run_cli(["layers", str(source), str(tmp_path / name), *options]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.gpkg").read_bytes() == b"mine"


def test_ids_of_areas_are_as_a_person_sees_them(tmp_path: Path) -> None:
    path = tmp_path / "areas.geojson"
    names = ["A\u00a0", "\ufeffe\u0301", "\u200b"]
    shapes = [shapely.box(i, 0, i + 1, 1) for i in range(3)]
    geopandas.GeoDataFrame({"id": names}, geometry=shapes, crs="EPSG:4326").to_file(path)
    table, _ = read_table(open_layer(str(path), None), ["id"])
    assert table.column("id").to_pylist() == ["A", "é", None]
