"""Files for people are replaced only where a list proves that the program made them."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.outputs import Outputs
from cas_spark.lake.removing import is_of_spark
from cas_spark.platform import storage

pytestmark = pytest.mark.spark


@pytest.fixture
def outputs(spark: SparkSession, tmp_path: Path) -> Outputs:
    return Outputs(
        spark,
        str(tmp_path),
        ("model", "model.json"),
        lambda path: path == "model.json" or is_of_spark(path.removeprefix("model/")),
    )


def make(outputs: Outputs, *names: str, ends: bool = True) -> None:
    outputs.check()
    outputs.begin()
    for name in names:
        path = Path(outputs.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    if ends:
        outputs.end()


def there(outputs: Outputs) -> list[str]:
    folder = Path(outputs.folder)
    files = (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return sorted(name for name in files if not name.endswith(".crc"))


def test_what_an_earlier_command_made_is_replaced(outputs: Outputs) -> None:
    make(outputs, "model/part-00000", "model.json")
    make(outputs, "model/part-00001", "model.json")
    assert there(outputs) == ["model.files.json", "model.json", "model/part-00001"]


@pytest.mark.parametrize("name", ["model/photo.jpg", "model/deep/part-00000", "model.json"])
def test_a_person_s_file_is_refused_by_name(outputs: Outputs, name: str) -> None:
    Path(outputs.folder, name).parent.mkdir(exist_ok=True, parents=True)
    Path(outputs.folder, name).write_text("mine")
    with pytest.raises(CasError, match=f"found {name}") as error:
        make(outputs, "model/part-00000")
    assert "Move these files away, or name another folder" in error.value.do
    assert there(outputs) == [name]


def test_a_file_beside_the_output_is_left_alone(outputs: Outputs) -> None:
    Path(outputs.folder, "notes.txt").write_text("mine")
    make(outputs, "model/part-00000")
    make(outputs, "model/part-00000")
    assert there(outputs) == ["model.files.json", "model/part-00000", "notes.txt"]


@pytest.mark.parametrize(
    "change",
    ["a file more", "a file changed", "a file of Hadoop changed", "no list", "cut off", "nested"],
)
def test_an_output_that_somebody_touched_is_refused(outputs: Outputs, change: str) -> None:
    make(outputs, "model/part-00000", "model.json", ends=False)
    folder = Path(outputs.folder)
    storage.write_text(outputs.spark, f"{folder}/model/part-00009", "with Hadoop's checksum")
    outputs.end()
    outputs.check()
    if change == "a file more":
        (folder / "model" / "part-00001").write_text("mine")
    elif change == "a file changed":
        (folder / "model.json").write_text("mine too")
    elif change == "a file of Hadoop changed":
        (folder / "model" / "part-00009").write_text("mine too")
    elif change == "no list":
        (folder / "model.files.json").unlink()
    else:
        (folder / "model.files.json").write_text("{" if change == "cut off" else "[" * 100_000)
    before = there(outputs)
    with pytest.raises(CasError, match="model"):
        make(outputs, "model/part-00002")
    assert there(outputs) == before


def test_a_file_that_is_gone_stops_nothing(outputs: Outputs) -> None:
    make(outputs, "model/part-00000", "model.json")
    Path(outputs.folder, "model.json").unlink()
    make(outputs, "model.json")
    assert there(outputs) == ["model.files.json", "model.json"]


def test_what_a_killed_command_left_is_replaced_and_a_person_s_file_in_it_refused(
    outputs: Outputs,
) -> None:
    make(outputs, "model/part-00000", "model/_temporary/0/part-00001", ends=False)
    make(outputs, "model/part-00002", ends=False)
    assert there(outputs) == ["model.writing.json", "model/part-00002"]
    Path(outputs.folder, "model", "photo.jpg").write_text("mine")
    with pytest.raises(CasError, match=r"found model/photo\.jpg"):
        make(outputs, "model/part-00003")
    Path(outputs.folder, "model", "photo.jpg").unlink()
    make(outputs, "model/part-00003")
    assert there(outputs) == ["model.files.json", "model/part-00003"]


def test_without_a_check_a_person_s_file_gets_another_name_or_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    maps = Outputs(spark, str(tmp_path), ("2024-01-08",))
    for _ in range(2):
        maps.begin(["2024-01-08/a.gpkg"])
        (tmp_path / "2024-01-08").mkdir(exist_ok=True)
        (tmp_path / "2024-01-08" / "a.gpkg").write_text("ours")
        maps.end()
        (tmp_path / "2024-01-08" / "a.gpkg").write_text("edited")
        (tmp_path / "2024-01-08" / "own.gpkg").write_text("mine")
    maps.begin(["2024-01-08/a.gpkg"])
    held = {p.name: p.read_text() for p in (tmp_path / "2024-01-08").iterdir()}
    held = {name: text for name, text in held.items() if not name.endswith(".crc")}
    assert held == {
        "a (kept 1).gpkg": "edited",
        "a (kept 2).gpkg": "edited",
        "own.gpkg": "mine",
    }


def test_a_removal_takes_what_was_listed_and_leaves_the_rest(
    spark: SparkSession, tmp_path: Path
) -> None:
    maps = Outputs(spark, str(tmp_path), ("2024-01-08",))
    folder = tmp_path / "2024-01-08"
    assert maps.removable() == []
    maps.begin(["2024-01-08/a.gpkg"])
    folder.mkdir()
    for name in ("a.gpkg", "own.gpkg"):
        (folder / name).write_text(name)
    maps.end({"2024-01-08/a.gpkg": "0"})
    assert maps.removable() == ["2024-01-08/a.gpkg"]
    assert maps.remove() == ["2024-01-08/own.gpkg"]
    assert maps.removable() is None
    assert maps.removable(["2024-01-08/own.gpkg"]) == ["2024-01-08/own.gpkg"]
    assert maps.remove(["2024-01-08/own.gpkg"]) == []
    assert not folder.exists()
