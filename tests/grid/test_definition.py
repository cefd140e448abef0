"""Another definition has another digest; another place or name of the same has not."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.grid.definition import file_digests, grid_definition, layer_paths
from cas_spark.settings.geography import Grid

GRID: dict[str, Any] = {
    "version": "v1",
    "valid_from": "2016-01-04",
    "crs": "EPSG:28992",
    "teams": {"path": "/data/teams.gpkg", "layer": "teams", "id": "team_id"},
    "removal": [{"reason": "water", "all": [{"measure": "land_share", "below": 0.1}]}],
    "surroundings": [
        {
            "path": "/data/near.gpkg",
            "layer": "rail",
            "name": "rail",
            "published_on": "2015-01-01",
        }
    ],
}
DIGESTS = {"/data/teams.gpkg": "aa", "/data/near.gpkg": "bb", "/data/areas.gpkg": "cc"}
AREAS: dict[str, Any] = {
    "name": "areas",
    "area": "id",
    "figures": [
        {
            "name": "people",
            "column": "n",
            "kind": "share_out",
            "unit": "people",
            "meaning": "people",
        }
    ],
    "editions": [{"path": "/data/areas.gpkg", "layer": "areas", "published_on": "2015-06-01"}],
}
FIRST = grid_definition(Grid.model_validate(GRID), DIGESTS)


def definition(digests: dict[str, str] = DIGESTS, **changed: Any) -> str:
    return grid_definition(Grid.model_validate({**GRID, **changed}), digests)


def test_the_same_definition_keeps_its_digest() -> None:
    assert definition(version="v2") == FIRST
    moved = {"path": "/elsewhere/teams.gpkg", "layer": "teams", "id": "team_id"}
    assert definition({**DIGESTS, "/elsewhere/teams.gpkg": "aa"}, teams=moved) == FIRST
    assert len(FIRST) == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"valid_from": "2016-01-11"},
        {"crs": "EPSG:28991"},
        {"removal": []},
        {"surroundings": []},
        {"teams": {**GRID["teams"], "id": "other"}},
        {"teams": {**GRID["teams"], "region": "region"}},
        {"digests": {**DIGESTS, "/data/near.gpkg": "cc"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_changed_definition_has_another_digest(changed: dict[str, Any]) -> None:
    assert definition(**changed) != FIRST


def test_every_file_is_named_once() -> None:
    assert layer_paths(Grid.model_validate(GRID)) == ["/data/near.gpkg", "/data/teams.gpkg"]


@pytest.mark.spark
def test_a_files_digest_is_that_of_its_bytes(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "teams.gpkg"
    file.write_bytes(b"polygons")
    path, url = str(file), file.as_uri()
    digest = hashlib.sha256(b"polygons").hexdigest()
    assert file_digests(spark, [path, url]) == {path: digest, url: digest}
    for missing in (tmp_path / "none.gpkg", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(CasError, match=f"file {missing}"):
            file_digests(spark, [str(missing)])


def test_area_statistics_are_part_of_the_definition_and_none_change_nothing() -> None:
    assert definition(area_statistics=[]) == FIRST
    areas = definition(area_statistics=[AREAS])
    [edition] = AREAS["editions"]
    moved = AREAS | {"editions": [edition | {"path": "/elsewhere"}]}
    assert definition({**DIGESTS, "/elsewhere": "cc"}, area_statistics=[moved]) == areas
    others = {
        definition({**DIGESTS, "/data/areas.gpkg": "dd"}, area_statistics=[AREAS]),
        definition(area_statistics=[AREAS | {"missing": [-1]}]),
        definition(
            area_statistics=[AREAS | {"editions": [edition | {"published_on": "2015-06-02"}]}]
        ),
    }
    assert len(others | {FIRST, areas}) == 5
    assert layer_paths(Grid.model_validate({**GRID, "area_statistics": [AREAS]})) == sorted(DIGESTS)
