"""Patterns that match nothing, and names that would make one column twice, are refused."""

from pathlib import Path
from typing import Any

import pytest

from cas_spark.indicators.checks import problems_of_indicators
from cas_spark.settings import Settings
from tests.toy import content_of_toy, settings_of_toy


@pytest.mark.parametrize(
    ("patterns", "problems"),
    [
        ([], []),
        (["*_density_*", "any_ever"], []),
        (["*_densty_*"], ["the pattern '*_densty_*' matches no indicator; names are "]),
        (["burglary_counts_4w"], ["names are burglary_count_4w, "]),
        (["", "Burglary_*"], None),
        (["x", "any_ever", "y"], ["the pattern 'x'", "the pattern 'y'"]),
        (["*"], ["leaves out every indicator of burglary", "every indicator of robbery"]),
    ],
)
def test_each_pattern_matches_an_indicator_and_leaves_some(
    patterns: list[str], problems: list[str] | None
) -> None:
    if problems is None:
        with pytest.raises(ValueError, match="at least 1 character"):
            settings_of_toy(indicators={"leave_out": patterns})
        return
    found = problems_of_indicators(settings_of_toy(indicators={"leave_out": patterns}))
    assert len(found) == len(problems)
    for problem, expected in zip(found, problems, strict=True):
        assert problem.startswith("indicators.leave_out: ")
        assert expected in problem


def test_the_nearest_names_are_named() -> None:
    [problem] = problems_of_indicators(settings_of_toy(indicators={"leave_out": ["*_densty_*"]}))
    assert "_density_" in problem


def with_figure(source: str, figure: str) -> Settings:
    content: dict[str, Any] = content_of_toy(Path("/nowhere"))
    told = {"name": figure, "column": "c", "kind": "average", "unit": "u", "meaning": "m"}
    edition = {"path": "x", "layer": "y", "published_on": "2020-01-01"}
    content["grid"]["area_statistics"] = [
        {"name": source, "area": "a", "figures": [told], "editions": [edition]}
    ]
    return Settings.model_validate(content)


@pytest.mark.parametrize(
    ("source", "figure"),
    [
        ("land", "share"),
        ("season", "sin"),
        ("cell", "id"),
        ("team", "id"),
        ("poll", "on"),
        ("grid", "version"),
        ("valid", "from_on"),
        ("burglary", "count_4w"),
        ("any", "ever"),
    ],
)
def test_a_figure_takes_no_name_that_is_taken(source: str, figure: str) -> None:
    [problem] = problems_of_indicators(with_figure(source, figure))
    assert f"grid.area_statistics.{source}.figures.{figure}: makes the indicator" in problem
    assert problems_of_indicators(with_figure(source, f"{figure}_x")) == []


def test_a_priority_is_not_called_as_all_of_them_are() -> None:
    content: dict[str, Any] = content_of_toy(Path("/nowhere"))
    content["priorities"]["any"] = {"title": "Any"}
    content["incidents"]["register"]["priority"]["codes"]["any"] = ["A"]
    [problem] = problems_of_indicators(Settings.model_validate(content))
    assert "priorities.any: stands for all priorities together" in problem
