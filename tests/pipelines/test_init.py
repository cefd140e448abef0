"""Init writes what it found and leaves the rest to a person, who fills it in and can go on."""

import re
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
import yaml

from cas_spark.cli import run_cli
from cas_spark.errors import CasError
from cas_spark.pipelines.first_settings.area import look_at_teams, plane_of
from cas_spark.pipelines.first_settings.draft import quoted
from cas_spark.pipelines.first_settings.write import init_settings, plain_name
from cas_spark.settings import check_inputs, load_settings
from cas_spark.settings.unfilled import unfilled

HEADER = "Nr;Datum;Gemeldet;Straftat;X;Y"
ROWS = [
    f"{n};{n:02d}.03.2024 19:{n:02d};{n + 1:02d}.03.2024 01:30;"
    f"{'Einbruch [schwer]' if n % 2 else 'Körperverletzung'};1000{n:02d},5;4000{n:02d},25"
    for n in range(1, 30)
]


def write_town(folder: Path, name: str = "teams.gpkg") -> Path:
    halves = [shapely.box(100_000, 400_000, 100_250, 400_500)]
    halves.append(shapely.box(100_250, 400_000, 100_500, 400_500))
    frame = gpd.GeoDataFrame({"district": ["a", "b"], "same": 1}, geometry=halves, crs="EPSG:28992")
    path = folder / name
    frame.to_file(path, layer="districts" if path.suffix == ".gpkg" else None)
    return path


def write_extract(folder: Path) -> Path:
    path = folder / "Delikte 2024.csv"
    path.write_bytes("\n".join([HEADER, *ROWS]).encode("windows-1252"))
    return path


def filled_in(path: Path) -> None:
    """Give what a person would."""
    text = path.read_text()
    text = text.replace("'FILL IN: move the codes of this priority here from other'", "Einbruch*")
    text = re.sub(r"timezone: 'FILL IN[^']*'", "timezone: Europe/Amsterdam", text)
    path.write_text(re.sub(r"'FILL IN: [^']*'", "given", text))


def test_a_first_settings_file_works_once_it_is_filled_in(tmp_path: Path) -> None:
    report = init_settings(tmp_path / "town", write_extract(tmp_path), write_town(tmp_path))
    path = tmp_path / "town" / "settings.yaml"
    open_values = unfilled(path)
    assert len(open_values) == 7
    assert all(any(value in line for line in report.lines) for value in open_values)
    filled_in(path)
    settings = load_settings(path)
    check_inputs(path, settings)
    [source] = settings.incidents
    assert source.name == "delikte_2024"
    assert (source.delimiter, source.encoding, source.decimal) == (";", "windows-1252", ",")
    assert source.key == ["Nr"]
    assert (source.occurred.start, source.occurred.formats) == ("Datum", ["d.M.yyyy H:mm"])
    assert (source.known.column, source.known.formats) == ("Gemeldet", ["d.M.yyyy H:mm"])
    assert source.known.rule == "as_given"
    assert (source.location.x, source.location.y) == ("X", "Y")
    assert source.location.crs == settings.grid.crs == "EPSG:28992"
    assert source.priority.column == ["Straftat"]
    assert source.priority.codes == {"priority_1": ["Einbruch*"]}
    assert source.priority.other == ["Einbruch ?schwer?", "Körperverletzung"]
    assert (str(source.complete_from), str(settings.grid.valid_from)) == (
        "2024-03-01",
        "2024-03-04",
    )
    assert (settings.grid.teams.layer, settings.grid.teams.id) == ("districts", "district")
    assert settings.lake == str(tmp_path / "town" / "lake")
    assert not Path(settings.lake).exists()


def test_what_is_not_found_is_left_to_a_person(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("a,b\n" + "\n".join(f"x{n},y" for n in range(20)))
    init_settings(tmp_path / "town", path, None)
    open_values = "\n".join(unfilled(tmp_path / "town" / "settings.yaml"))
    for place in (
        "timezone",
        "grid.valid_from",
        "grid.crs",
        "grid.teams.path",
        "incidents.odd.occurred.start",
        "incidents.odd.occurred.formats[1]",
        "incidents.odd.known.column",
        "incidents.odd.location.x",
        "incidents.odd.priority.column",
    ):
        assert f"{place}: still to fill in: " in open_values


def test_days_and_months_get_their_rules_and_a_choice_is_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "days.csv"
    rows = [f"{n},0{n}/0{n + 1}/2024,0{n}/0{n + 2}/2024,1{n}05,-87.{n},41.{n}" for n in range(1, 8)]
    header = "id,date occ,date rptd,time occ,lon,lat"
    path.write_text("\n".join([header, *rows]))
    init_settings(tmp_path / "town", path, None)
    text = (tmp_path / "town" / "settings.yaml").read_text()
    assert "formats: [d/M/yyyy]" in text
    assert "# formats: [M/d/yyyy]" in text
    assert "time: time occ, time_formats: [clock_number]" in text
    assert "rule: next_day" in text
    assert "crs: EPSG:4326" in text
    assert "crs: EPSG:32616" in text  # UTM zone 16 north
    assert "longitude -87.4 is -6 h from UTC" in text


def test_a_settings_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("mine")
    with pytest.raises(CasError, match="there already"):
        init_settings(tmp_path, write_extract(tmp_path), None)
    assert path.read_text() == "mine"


def test_counts_in_place_of_incidents_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "counts.csv"
    rows = [f"2023MM{m:02d},WK{n},{m + n}" for m in range(1, 13) for n in range(3)]
    path.write_text("\n".join(["Perioden,Wijk,Aantal", *rows]))
    assert run_cli(["init", str(tmp_path / "town"), "--extract", str(path)]) == 1
    assert "no weekly labels can be made of counts" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "town").exists()


def test_typed_files_and_odd_names_are_written_as_yaml(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "case: nr #": ["1", "2", "3", "4"],
            "occurred": pd.to_datetime(["2024-01-05 10:00", "2024-01-06 11:30"] * 2),
            "offence": ["- a: 'b'", "# c", "- a: 'b'", "# c"],
        }
    )
    points = gpd.GeoDataFrame(frame, geometry=[shapely.Point(1, 2)] * 4, crs="EPSG:28992")
    path = tmp_path / "crimes #1 [new].gpkg"
    points.to_file(path, layer="crimes: new")
    init_settings(tmp_path / "town", path, None)
    content = yaml.safe_load((tmp_path / "town" / "settings.yaml").read_text())
    [source] = content["incidents"].values()
    assert (tmp_path / "town" / source["files"]).resolve() == path
    assert source["layer"] == "crimes: new"
    assert source["key"] == ["case: nr #"]
    assert "formats" not in source["occurred"]
    assert source["location"] == {"geometry": "geom", "crs": "EPSG:28992"}
    assert sorted(source["priority"]["other"]) == ["# c", "- a: 'b'"]


@pytest.mark.parametrize(
    "value", ["a: b", "# x", "'", '"', "[a", "é\u00a0", "yes", "1.0", "", "- x"]
)
def test_any_value_is_quoted_so_that_yaml_reads_it_back(value: str) -> None:
    assert yaml.safe_load(f"key: {quoted(value)}  # comment") == {"key": value}


def test_the_plane_is_that_of_the_teams_or_a_zone_of_utm(tmp_path: Path) -> None:
    teams = look_at_teams(write_town(tmp_path))
    assert (teams.id, teams.crs, plane_of(teams, None)) == ("district", "EPSG:28992", "EPSG:28992")
    degrees = gpd.read_file(tmp_path / "teams.gpkg").to_crs("EPSG:4326")
    degrees.to_file(tmp_path / "degrees.geojson")
    there = look_at_teams(tmp_path / "degrees.geojson")
    assert (there.is_geopackage, plane_of(there, None)) == (False, "EPSG:32631")
    assert plane_of(None, (-70.7, -33.5, -70.6, -33.4)) == "EPSG:32719"
    assert plane_of(None, (179.0, -17.5, -179.5, -17.0)) == "EPSG:32760"
    assert plane_of(None, (-179.5, -17.5, 178.0, -17.0)) == "EPSG:32760"
    assert plane_of(None, None) is None


def test_teams_without_ground_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "teams.gpkg"
    gpd.GeoDataFrame({"id": ["a"]}, geometry=[shapely.Polygon()], crs="EPSG:4326").to_file(path)
    with pytest.raises(CasError, match="only empty polygons.*--teams"):
        look_at_teams(path)


def test_teams_in_a_crs_tied_to_no_place_have_no_degrees(tmp_path: Path) -> None:
    path = tmp_path / "teams.gpkg"
    local = 'LOCAL_CS["here",UNIT["metre",1]]'
    gpd.GeoDataFrame({"id": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=local).to_file(path)
    teams = look_at_teams(path)
    assert (teams.degrees, plane_of(teams, None)) == (None, None)


def test_names_that_no_file_can_have_are_refused(tmp_path: Path) -> None:
    extract = tmp_path / "crimes.csv"
    extract.write_text("id,x\n1,2\n")
    for folder, file in ((tmp_path / ("x" * 300), extract), (tmp_path, tmp_path / ("x" * 300))):
        with pytest.raises(CasError):
            init_settings(folder, file, None)
    with pytest.raises(CasError, match="found a folder"):
        init_settings(tmp_path, tmp_path, None)


def test_plain_names_are_names_of_settings() -> None:
    names = {"Crimes 2024-01": "crimes_2024_01", "2024": "crimes_2024", "délits": "delits"}
    assert {text: plain_name(text, "crimes") for text in names} == names
    assert plain_name("犯罪", "crimes") == "crimes"
