"""How files are written is checked when the settings load, and codes may stand in a file."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cas_spark.settings.codes import PriorityCodes
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.settings.paths import local_files
from cas_spark.settings.texts import as_seen
from tests.sources.deliveries import source_of


def source(**changes: Any) -> IncidentExtracts:
    return IncidentExtracts.model_validate({"name": "register", **source_of(**changes)})


@pytest.mark.parametrize("given", ["\t", r"\t", "tab"])
def test_a_tab_is_a_delimiter_however_it_is_written(given: str) -> None:
    assert source(delimiter=given).delimiter == "\t"


@pytest.mark.parametrize("given", ["", '"', "\n", ',"'])
def test_a_delimiter_is_no_quote_and_no_line_end(given: str) -> None:
    with pytest.raises(ValidationError, match="none of them a quote or a line end"):
        source(delimiter=given)


@pytest.mark.parametrize("given", ["utf-9", "hex", "rot13", "undefined"])
def test_an_encoding_is_one_of_text(given: str) -> None:
    with pytest.raises(ValidationError, match="encod"):
        source(encoding=given)


@pytest.mark.parametrize("given", ["Excel", "xlsx", "ods"])
def test_a_workbook_is_refused_by_name_with_the_remedy(given: str) -> None:
    with pytest.raises(ValidationError, match=f"{given}: workbooks are not read.*save the sheet"):
        source(format=given)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": "parquet", "delimiter": ";"}, "delimiter is for csv, not parquet"),
        ({"format": "geojson", "comment": "#"}, "comment is for csv, not geojson"),
        ({"format": "parquet", "encoding": "latin-1"}, "encoding is for csv and shapefile"),
        ({"layer": "x"}, "layer is for files of places, not csv"),
        ({"header": ["a", "a"]}, "header has a name twice"),
        ({"header": ["a"], "lines_after_header": 1}, "files that have a header line"),
    ],
)
def test_a_key_that_does_not_belong_to_the_format_is_refused(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        source(**changes)


def test_text_of_settings_is_as_a_person_sees_it_but_for_paths_and_signs() -> None:
    codes = {"column": "\ufeffcode", "codes": {"burglary": ["B\u00a0", "e\u0301*"]}}
    found = source(priority=codes, comment=" #")
    assert found.priority.column == ["code"]
    assert found.priority.codes == {"burglary": ["B", "é*"]}
    assert found.comment == " #"
    assert as_seen("\u200f a \u0000") == "a"


def codes_of(folder: Path, text: str, **changes: Any) -> PriorityCodes:
    (folder / "codes.csv").write_text(text, encoding="utf-8")
    file = {"path": "codes.csv", "code": "code", "priority": "kind"}
    content = {"column": "c", "codes_file": file, **changes}
    return PriorityCodes.model_validate(content, context={"folder": folder})


def test_codes_of_a_file_stand_beside_those_of_the_settings(tmp_path: Path) -> None:
    found = codes_of(
        tmp_path, "code,kind\n31*,robbery\n5?,burglary\n9,\n", codes={"robbery": ["X"]}
    )
    assert found.codes == {"robbery": ["X", "31*"], "burglary": ["5?"]}
    assert (found.other, found.codes_file) == (["9"], None)
    # What a lake records is read back without the file.
    (tmp_path / "codes.csv").unlink()
    assert PriorityCodes.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kode,kind\n1,robbery\n", r"no column \['code'\] among \['kode', 'kind'\]"),
        ("code,kind\n1,robbery\n1,burglary\n", "robbery 1 and burglary 1"),
        ("code,kind\n1*,robbery\n12,burglary\n", r"robbery 1\* and burglary 12"),
    ],
)
def test_a_file_of_codes_is_checked_as_the_settings_are(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        codes_of(tmp_path, text)


def test_a_source_of_one_priority_needs_no_code() -> None:
    found = source(priority={"all_rows": "burglary"})
    assert found.priority.priorities == ["burglary"]
    assert "code" not in found.columns
    for wrong in ({"all_rows": "burglary", "column": "code"}, {"column": "code"}, {}):
        with pytest.raises(ValidationError, match=r"all_rows"):
            source(priority=wrong)


def test_several_columns_make_a_code_together() -> None:
    found = source(priority={"column": ["code", "note"], "codes": {"burglary": ["B1 | *"]}})
    assert [name for name in found.columns if name in {"code", "note"}] == ["code", "note"]


def test_a_path_that_exists_is_meant_as_it_stands(tmp_path: Path) -> None:
    for name in ("crimes[1].csv", "crimes1.csv", "crimes_2024-05-01T12:00:00.csv", "a b#%?.csv"):
        (tmp_path / name).write_text("x")
    assert local_files(f"{tmp_path}/crimes[1].csv") == [f"{tmp_path}/crimes[1].csv"]
    assert len(local_files(f"{tmp_path}/crimes*.csv")) == 3
    assert local_files(f"{tmp_path}/a b#%?.csv") == [f"{tmp_path}/a b#%?.csv"]
    assert local_files(f"{tmp_path}/none*") == []


@pytest.mark.parametrize("name", ["[2024]", "a*b", "a?b"])
def test_a_folder_that_exists_is_meant_as_it_stands(tmp_path: Path, name: str) -> None:
    for folder in (name, "2", "axb"):  # the others fit the name as a pattern
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "crimes.csv").touch()
    assert local_files(f"{tmp_path}/{name}/crimes*.csv") == [f"{tmp_path}/{name}/crimes.csv"]
