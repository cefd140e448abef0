"""A store of its own for each test that wants one.

Making MLflow's database takes seconds, so it is made once and copied.
"""

import shutil
from pathlib import Path

import pytest

from cas_spark.indicators.catalogue import Catalogue, catalogue_of
from cas_spark.settings import Settings
from cas_spark.tracking.store import FOLDER, Store, open_store
from tests.tracking.weeks import PRIORITIES, settings_of


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("empty")
    open_store(settings_of(lake))
    return lake / FOLDER


@pytest.fixture
def settings(tmp_path: Path, empty_mlflow: Path) -> Settings:
    lake = tmp_path / "a lake"
    shutil.copytree(empty_mlflow, lake / FOLDER)
    return settings_of(lake)


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return catalogue_of(PRIORITIES)
