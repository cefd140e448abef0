"""Folders for the program's own files hold no others: settings that name such are refused."""

from pathlib import Path

import pytest

from cas_spark.errors import SettingsError
from cas_spark.settings import load_settings
from tests.toy import write_settings


@pytest.mark.parametrize(
    "lake", ["", "  ", "/", "//", ".", "./", "..", "../..", "lake/..", "file:///", "{folder}"]
)
def test_a_lake_around_the_settings_file_is_refused(tmp_path: Path, lake: str) -> None:
    path = write_settings(tmp_path, lake=lake.format(folder=tmp_path))
    with pytest.raises(SettingsError, match=r"lake: .*(expected a (path|folder)|white space)"):
        load_settings(path)


def test_a_lake_around_the_settings_file_is_refused_as_a_uri(tmp_path: Path) -> None:
    path = write_settings(tmp_path / "conf", lake=tmp_path.as_uri())
    with pytest.raises(SettingsError, match="the settings file lies in it"):
        load_settings(path)


@pytest.mark.parametrize("lake", ["lake", "../lake", "a b/#1"])
def test_a_lake_beside_the_settings_file_is_one(tmp_path: Path, lake: str) -> None:
    path = write_settings(tmp_path / "conf", lake=lake)
    assert load_settings(path).lake == str((tmp_path / "conf" / lake).resolve())


@pytest.mark.parametrize("lake", ["s3a://bucket", "hdfs://host/lake"])
def test_a_lake_on_other_storage_is_no_folder_around_the_settings(
    tmp_path: Path, lake: str
) -> None:
    own = {"storage_access": "spark"}
    path = write_settings(
        tmp_path / "conf", lake=lake, resources=own, tracking={"uri": "http://mlflow"}
    )
    assert load_settings(path).lake == lake
