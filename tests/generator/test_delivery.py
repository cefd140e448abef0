"""The made-up extracts: their faults, their files, and what they say of themselves."""

import gzip
import json
import time
from datetime import date
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest

from cas_spark.errors import CasError
from cas_spark.generator import generate
from cas_spark.generator.delivery import BROKEN, COLUMNS, deliver, extract_lines
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.generator import Faults
from tests.sources.towns import END, WINDOW, burglaries, written_country

DEMO = Path(__file__).parents[2] / "conf" / "demo.yaml"


@pytest.fixture(scope="module")
def demo_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return moved(load_settings(DEMO), tmp_path_factory.mktemp("demo") / "extracts")


@pytest.fixture(scope="module")
def demo(demo_settings: Settings) -> Path:
    generate(demo_settings)
    assert demo_settings.generator is not None
    return Path(demo_settings.generator.folder)


def moved(settings: Settings, folder: Path, **changes: object) -> Settings:
    """The settings with their extracts in another folder, and other changes to the generator."""
    assert settings.generator is not None
    generator = settings.generator.model_copy(update={"folder": str(folder), **changes})
    return settings.model_copy(update={"generator": generator})


def read_extract(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        fields = [line.rstrip("\n").split(",") for line in file][1:]
    sound = [row for row in fields if len(row) == len(COLUMNS)]
    return pd.DataFrame(sound, columns=list(COLUMNS))


RATES = Faults(
    late=0.05,
    duplicate=0.04,
    corrected=0.06,
    coordinates_zero=0.02,
    coordinates_missing=0.02,
    coordinates_swapped=0.02,
    coordinates_far=0.02,
    occurred_1900=0.02,
    occurred_after_registered=0.02,
    unknown_code=0.02,
    wrong_number_of_fields=0.02,
)


def delivered(faults: Faults) -> pd.DataFrame:
    return deliver(burglaries(), {"burglary": "A10"}, faults, end=END, seed=1)


def test_faults_occur_at_the_declared_rates() -> None:
    rows = delivered(RATES)
    new = rows[rows["record_type"] == "new"].drop_duplicates("incident_number")
    for kind in BROKEN:
        assert (new["fault"] == kind).mean() == pytest.approx(getattr(RATES, kind), abs=0.006)
    again = rows[rows["record_type"] == "new"]["incident_number"].duplicated()
    assert again.sum() / len(new) == pytest.approx(RATES.duplicate, abs=0.008)
    corrections = rows[rows["record_type"] == "correction"]
    assert len(corrections) / len(new) == pytest.approx(RATES.corrected, abs=0.012)
    # Some of the late ones are registered after the end, or break in another way as well.
    assert (new["fault"] == "late").mean() == pytest.approx(RATES.late * 0.75, abs=0.02)


def test_without_faults_every_incident_known_before_the_end_is_delivered_once() -> None:
    rows = delivered(Faults(**dict.fromkeys(Faults.model_fields, 0.0)))
    known = burglaries()["known_at"] < pd.Timestamp(END)
    assert len(rows) == known.sum()
    assert rows["incident_number"].is_unique
    assert (rows["fault"] == "").all()


def test_late_rows_come_in_a_later_extract() -> None:
    rows = delivered(RATES)
    late = rows[rows["fault"] == "late"]
    assert (late["extract_year"] == late["registered_at"].dt.year).all()
    assert (late["extract_year"] > late["occurred_until"].dt.year).sum() > 50


def test_a_correction_names_an_earlier_row_and_comes_after_it() -> None:
    rows = delivered(RATES)
    new = rows[rows["record_type"] == "new"].drop_duplicates("incident_number")
    corrections = rows[rows["record_type"] == "correction"]
    both = corrections.merge(new, on="incident_number", suffixes=("", "_new"))
    assert len(both) == len(corrections) > 0
    assert (both["registered_at"] >= both["registered_at_new"]).all()
    assert (both["registered_at"] < pd.Timestamp(END)).all()
    assert set(both["correction_reason"]) == {"withdrawn", "unfounded"}


def test_broken_lines_have_too_few_or_too_many_fields() -> None:
    rows = delivered(RATES)
    fields = [line.count(",") + 1 for line in extract_lines(rows)]
    wrong = sum(count != len(COLUMNS) for count in fields)
    assert fields[0] == len(COLUMNS)
    assert wrong == (rows["fault"] == "wrong_number_of_fields").sum()
    assert min(fields) < len(COLUMNS) < max(fields)


def test_the_demo_holds_every_fault(demo: Path, demo_settings: Settings) -> None:
    rows = pd.concat([read_extract(path) for path in sorted(demo.glob("incidents_*.csv.gz"))])
    x, y = pd.to_numeric(rows["x"]), pd.to_numeric(rows["y"])
    assert (x == 0).any()
    assert x.isna().any()
    assert ((x > 500_000) & (y < 30_000)).any()
    assert ((x > 600_000) & (y > 1_000_000)).any()
    assert rows["occurred_from"].str.startswith("1900-01-01").any()
    assert ((rows["occurred_from"] > rows["registered_at"]) & (x > 0)).any()
    assert demo_settings.generator is not None
    codes = {offence.code for offence in demo_settings.generator.offences.values()}
    assert (~rows["offence_code"].isin(codes)).any()
    assert rows[rows["record_type"] == "new"]["incident_number"].duplicated().any()
    assert (rows["record_type"] == "correction").any()
    lines = [
        line
        for path in demo.glob("incidents_*.csv.gz")
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    assert any(line.count(",") + 1 != len(COLUMNS) for line in lines)


def test_rows_stand_in_the_extract_of_the_year_in_which_they_became_known(demo: Path) -> None:
    for path in demo.glob("incidents_*.csv.gz"):
        year = path.name.removeprefix("incidents_").removesuffix(".csv.gz")
        registered = read_extract(path)["registered_at"].str[:4]
        assert (registered == year).mean() > 0.98
        # What is delivered a second time may be of the year before.
        assert registered.isin([year, str(int(year) - 1)]).all()


def test_the_same_settings_give_the_same_bytes(
    demo: Path, demo_settings: Settings, tmp_path: Path
) -> None:
    files = generate(moved(demo_settings, tmp_path / "again"))
    names = {path.name for path in demo.iterdir()}
    assert names == {path.name for path in (tmp_path / "again").iterdir()}
    for name in names:
        assert (demo / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    assert {file.path.name for file in files} == names - {"README.txt", "generated.json"}


def test_another_seed_gives_other_bytes(
    demo: Path, demo_settings: Settings, tmp_path: Path
) -> None:
    generate(moved(demo_settings, tmp_path / "other", seed=7))
    for path in [*demo.glob("*.csv.gz"), demo / "teams.gpkg"]:
        assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes()


def test_the_demo_takes_less_than_15_seconds(demo_settings: Settings, tmp_path: Path) -> None:
    start = time.monotonic()
    generate(moved(demo_settings, tmp_path / "timed"))
    assert time.monotonic() - start < 15


def test_rows_are_counted_and_an_untouched_folder_is_left_alone(
    demo: Path, demo_settings: Settings
) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.iterdir()}
    files = generate(demo_settings)
    assert before == {path: path.stat().st_mtime_ns for path in demo.iterdir()}
    for file in files:
        if file.path.name.endswith(".csv.gz"):
            lines = gzip.decompress(file.path.read_bytes()).decode().splitlines()
            assert file.rows == len(lines) - 1


def test_an_older_folder_is_replaced_and_a_file_that_is_gone_is_made_again(
    demo_settings: Settings, tmp_path: Path
) -> None:
    settings = moved(demo_settings, tmp_path / "extracts", end=date(2020, 1, 1))
    files = generate(settings)
    files[0].path.unlink()
    assert generate(settings) == files
    assert files[0].path.exists()
    assert len(generate(moved(settings, tmp_path / "extracts", end=date(2021, 1, 1)))) > len(files)
    assert [path.name for path in tmp_path.iterdir()] == ["extracts"]


@pytest.mark.parametrize(
    "name", ["photo.jpg", "folder/notes.txt", "teams.gpkg-wal", "teams.gpkg", "README.txt"]
)
def test_a_folder_that_somebody_touched_is_never_replaced(
    demo_settings: Settings, tmp_path: Path, name: str
) -> None:
    settings = moved(demo_settings, tmp_path / "extracts", end=date(2020, 1, 1))
    generate(settings)
    touched = tmp_path / "extracts" / name
    touched.parent.mkdir(exist_ok=True)
    touched.write_bytes(b"mine")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "extracts").rglob("*")}
    for other in (settings, moved(settings, tmp_path / "extracts", seed=7)):
        with pytest.raises(CasError, match=name.partition("/")[0]):
            generate(other)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "extracts").rglob("*")}


def test_files_of_others_are_never_replaced(demo_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "precious.csv").write_text("mine")
    with pytest.raises(CasError, match="not generated"):
        generate(moved(demo_settings, tmp_path))
    assert (tmp_path / "precious.csv").read_text() == "mine"
    (tmp_path / "generated.json").write_text("{}")
    with pytest.raises(CasError, match=r"generated\.json, precious\.csv"):
        generate(moved(demo_settings, tmp_path))


def test_a_place_that_cannot_hold_a_folder_is_refused(
    demo_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CasError, match="can be written"):
        generate(moved(demo_settings, tmp_path / "file" / "extracts"))


def test_nothing_is_left_when_it_fails(demo_settings: Settings, tmp_path: Path) -> None:
    country = written_country(tmp_path / "files")
    gone = tmp_path / "files" / "areas.gpkg"
    gone.unlink()
    with pytest.raises(CasError, match=r"areas\.gpkg"):
        generate(moved(demo_settings, tmp_path / "made" / "extracts", country=country))
    assert list((tmp_path / "made").iterdir()) == []


def test_settings_that_are_not_of_generated_data_are_refused(demo_settings: Settings) -> None:
    with pytest.raises(CasError, match="is_generated"):
        generate(demo_settings.model_copy(update={"is_generated": False}))
    with pytest.raises(CasError, match="no generator"):
        generate(demo_settings.model_copy(update={"generator": None}))


def test_polygons_and_totals_of_a_real_country_serve_as_well(
    demo_settings: Settings, tmp_path: Path
) -> None:
    assert demo_settings.generator is not None
    burglary = demo_settings.generator.offences["burglary"]
    files = generate(
        moved(
            demo_settings,
            tmp_path / "extracts",
            country=written_country(tmp_path),
            offences={"burglary": burglary.model_copy(update={"figure": "burglaries"})},
            start=WINDOW[0],
            end=WINDOW[1],
        )
    )
    names = {file.path.name for file in files}
    assert {"incidents_2020.csv.gz", "incidents_2022.csv.gz"} <= names
    assert not any(name.endswith(".gpkg") for name in names)
    rows = sum(file.rows for file in files if file.path.name.startswith("incidents"))
    assert rows == pytest.approx(900, rel=0.05)


def test_everything_says_that_it_is_generated(demo: Path) -> None:
    assert "Generated data" in (demo / "README.txt").read_text()
    assert json.loads((demo / "generated.json").read_text())["is_generated"] is True
    for path in demo.glob("*.csv.gz"):
        table = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert table[0].endswith("origin")
        assert table[1].endswith("generated")
    for path in demo.glob("*.gpkg"):
        for layer in gpd.list_layers(path)["name"]:
            assert (gpd.read_file(path, layer=layer)["origin"] == "generated").all()
