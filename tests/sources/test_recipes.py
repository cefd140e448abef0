"""Each recipe of docs/recipes.md reads its own rows to what its own table says."""

import csv
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from pyproj import Transformer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.grid.cells import cell_ids
from cas_spark.settings import Settings, load_settings
from cas_spark.sources.coordinates import Land
from cas_spark.sources.incidents import Delivery
from tests.sources.deliveries import delivered

pytestmark = pytest.mark.spark

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = {
    title: (rows, yaml.safe_load(settings), outcomes)
    for title, rows, settings, outcomes in re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?```csv\n(.*?)```\n\n```yaml\n(.*?)```\n\n(\|.*?)\n\n",
        PAGE,
        flags=re.DOTALL | re.MULTILINE,
    )
}
PROVENANCE = {"source": "made up", "purpose": "tests", "legal_basis": "none needed"}


def test_the_page_has_the_recipes_that_it_names() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    assert [*RECIPES, "What cannot be mapped"] == headings
    assert len(RECIPES) >= 9


def settings_in(folder: Path, recipe: dict[str, Any]) -> Settings:
    content = {
        "name": "recipe",
        "title": "Recipe",
        "timezone": recipe["timezone"],
        "lake": "lake",
        "priorities": {"burglary": {"title": "Burglary"}},
        "grid": {
            "version": "v1",
            "valid_from": "2025-01-06",
            "crs": recipe["grid"]["crs"],
            "teams": {"path": "teams.gpkg", "layer": "teams", "id": "id"},
        },
        "incidents": {
            "crimes": {"files": "rows.csv", "provenance": PROVENANCE, **recipe["source"]}
        },
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_settings(path)


def land_around(spark: SparkSession, settings: Settings, rows: str) -> Land:
    """Land of ten kilometres around the place of the recipe's first row."""
    [source] = settings.incidents
    location = source.location
    lines = list(csv.reader(rows.splitlines(), delimiter=source.delimiter))
    widest = max(map(len, lines))
    lines = [line for line in lines if len(line) == widest]
    header, first = lines[0], lines[1 + source.lines_after_header]
    if location.text is not None:
        texts = re.findall(r"-?[\d.]+", first[header.index(location.text)])
    else:
        texts = [first[header.index(str(name))] for name in (location.x, location.y)]
    to_grid = Transformer.from_crs(location.crs, settings.grid.crs, always_xy=True)
    x, y = (float(text.replace(",", ".")) for text in texts)
    east, north = to_grid.transform(x, y)
    span = np.arange(-80, 81)
    ids = [int(cell_ids(east // 125 + i, north // 125 + j)) for i in span for j in span]
    return Land.of(spark.createDataFrame([(cell_id,) for cell_id in ids], "cell_id long"))


def outcomes_of(delivery: Delivery, zone: ZoneInfo) -> dict[int, tuple[str, str, str]]:
    """Row number -> what it became, when it happened and when it became known, in local time."""

    def local(frame: DataFrame, *names: str) -> DataFrame:
        return frame.withColumns(
            {
                name: F.date_format(F.from_utc_timestamp(name, zone.key), "yyyy-MM-dd HH:mm")
                for name in names
            }
        )

    found = {}
    for row in local(
        delivery.accepted, "occurred_from_at", "occurred_until_at", "known_at"
    ).collect():
        start, until = row["occurred_from_at"], row["occurred_until_at"]
        happened = start if start == until else f"{start} to {until}"
        found[row["row_number"]] = (row["priority"], happened, row["known_at"])
    for row in delivery.revisions.collect():
        found[row["row_number"]] = ("revision", "", "")
    for row in delivery.rejected.collect():
        found[row["row_number"]] = (row["reason"], "", "")
    return dict(sorted(found.items()))


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_reads_its_rows_as_it_says(
    spark: SparkSession, tmp_path: Path, title: str
) -> None:
    rows, recipe, table = RECIPES[title]
    (tmp_path / "rows.csv").write_bytes(rows.encode(recipe.get("file_encoding", "utf-8")))
    settings = settings_in(tmp_path, recipe)
    land = land_around(spark, settings, rows)
    delivery = delivered(spark, settings, tmp_path / "rows.csv", land=land)
    expected = {}
    for line in table.strip().splitlines()[2:]:
        number, becomes, happened, known = (cell.strip() for cell in line.strip("|").split("|"))
        expected[int(number)] = (becomes, happened, known)
    assert outcomes_of(delivery, settings.zone) == expected
