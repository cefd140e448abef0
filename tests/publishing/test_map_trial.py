"""Maps and pictures can be made with any name, and what cannot is found before publication."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyogrio
import pytest
from pyspark.sql import Row

from cas_spark.errors import CasError
from cas_spark.publishing import map_trial, maps
from cas_spark.publishing.map_trial import try_maps
from cas_spark.publishing.maps import as_png, draw_map
from cas_spark.settings import Settings
from cas_spark.settings.texts import file_stems, one_line
from tests.nasty import NASTY
from tests.publishing.test_maps import POLL, cell, chosen_cell, id_at
from tests.toy import settings_of_toy

BOTH = pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)


def settings_with(text: str) -> Settings:
    """The toy's settings with a text wherever people may write one."""
    short = text[:500]
    return settings_of_toy(
        title=short,
        remarks=[short],
        priorities={
            "burglary": {"title": short, "title_nl": short},
            "robbery": {"title": "Robbery"},
        },
        forecast={"share": 0.03, "bands": [{"name": short, "up_to": 0.03}]},
    )


@BOTH
def test_a_map_holds_its_teams_name_as_it_is(tmp_path: Path, name: str) -> None:
    settings = settings_with(name)
    stem = tmp_path / file_stems([name])[name]
    row = map_trial._made_up(name, name, settings, POLL, id_at(0))
    maps.write_team(name, row, settings, POLL, stem)
    geojson = Path(f"{stem}.geojson")
    content = json.loads(geojson.read_text(encoding="utf-8"))
    assert content["team"] == name
    [feature] = content["features"]
    held = feature["properties"]
    assert (held["team"], held["team_name"]) == (name, name)
    assert held["priority_title"] == settings.priorities["burglary"].title
    frame = pyogrio.read_dataframe(f"{stem}.gpkg", layer="burglary_current")
    assert frame["team"].to_list() == [name]
    assert frame["band"].to_list() == [settings.forecast.bands[0].name]
    info = pyogrio.read_info(f"{stem}.gpkg", layer="burglary_current")
    assert one_line(settings.remarks[0]) in info["layer_metadata"]["LABELS"]


@BOTH
def test_a_picture_can_be_drawn_with_any_name(name: str) -> None:
    settings = settings_with(name)
    band = settings.forecast.bands[0].name
    team = {"team_id": name, "team_name": name}
    cells = [Row(**(cell(name, place) | team)) for place in range(10)]
    chosen = [Row(**(chosen_cell(name, "burglary", "current", 2, 1) | {"band": band}))]
    figure = draw_map(cells, chosen, settings, "burglary", "current")
    assert as_png(figure).startswith(b"\x89PNG")
    if len(name) < 30 and name.isprintable():
        assert name in figure.texts[0].get_text()


def test_only_unusual_names_are_tried_and_the_titles_always(toy_settings: Settings) -> None:
    teams = {"A": "Alfa", "日": None, "b": "a/b", "c-1": "Team 3"}
    assert try_maps(toy_settings, POLL, teams, id_at(0)) == ["日", "b"]
    assert try_maps(toy_settings, POLL, {"A": "Alfa", "b": None}, id_at(0)) == ["A"]


def test_a_name_that_breaks_a_map_is_told_before_publication(
    toy_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(team: str, rows: Any, settings: Settings, poll: date, stem: Path) -> None:
        raise OSError(f"cannot write {team}")

    monkeypatch.setattr(map_trial, "write_team", fail)
    with pytest.raises(
        CasError, match="the map of team 'a/b': found cannot write a/b.* nothing was"
    ):
        try_maps(toy_settings, POLL, {"A": None, "a/b": None}, id_at(0))
