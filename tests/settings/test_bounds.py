"""Every value has bounds, every name stands for something, and an error names both."""

from datetime import date
from pathlib import Path
from typing import Any, get_args, get_origin

import annotated_types
import pytest
import yaml
from pydantic.fields import FieldInfo

from cas_spark.errors import SettingsError
from cas_spark.settings import Settings, load_settings
from cas_spark.settings.codes import PriorityCodes
from cas_spark.settings.problems import sections_in
from cas_spark.settings.section import Section
from tests.toy import content_of_toy

EXTRACT = ("incidents", "register")


def problems_with(folder: Path, place: tuple[str, ...], value: Any) -> tuple[str, ...]:
    """What is wrong with the toy's settings once a value stands at a place; nothing: ()."""
    content: Any = content_of_toy(folder)
    inside = content
    for key in place[:-1]:
        inside = inside[int(key)] if isinstance(inside, list) else inside.setdefault(key, {})
    inside[place[-1]] = value
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    try:
        load_settings(path)
    except SettingsError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "nan", "1e999", True])
@pytest.mark.parametrize(
    "place",
    [
        "training.reg_param",
        "training.tolerance",
        "training.maximum_failed_share",
        "forecast.share",
        "polls.settling.share",
        "grid.removal.0.all.0.below",
        "grid.removal.0.all.0.within_m",
    ],
)
def test_a_number_is_finite_and_no_truth(tmp_path: Path, place: str, value: Any) -> None:
    [problem] = problems_with(tmp_path, tuple(place.split(".")), value)
    assert problem.startswith(
        place.replace("removal.0.all.0", "removal.nothing_ever_happens.all.1")
    )
    assert "finite number" in problem or "less than" in problem or "found yes" in problem


@pytest.mark.parametrize(
    ("place", "wrong", "right"),
    [
        ("training.reg_param", [-1e-9, 1e7], [0, 1e-3, 100]),
        ("training.tolerance", [0, 1], [1e-9, 0.5]),
        ("training.max_iterations", [0, 10**9], [1]),
        ("training.minimum_positives", [0, 10**12], [1]),
        ("training.pooled_rows", [0, 10**12], [1_000]),
        ("training.maximum_failed_share", [-0.1, 2.0], [0, 1]),
        ("polls.count", [1, 1_041, 1_000_000_000, 10**30], [2, 1_040]),
        ("polls.settling.share", [0, 1, 2.0, -1.0], [0.5]),
        ("polls.settling.days", [-1, 10**9], [0]),
        ("evaluation.tuning_weeks", [0, 10**9], [1]),
        ("evaluation.shares", [[], [0], [2.0], [-1.0], [0.03, 0.03], [0.03, 0.030000001]], [[1.0]]),
        ("resources.task_memory_mb", [0, 10**12], [1]),
        ("retention.incidents", [0, 10**9], [1, 36_525]),
        ("retention.exports", [0, 10**9], [1]),
        ("horizons", [{}, {"a": -1}, {"a": 105}, {"a": 10**30}, {"A": 1}], [{"a": 104}]),
        ("incidents.register.complete_from", ["1899-12-31", 20200101, 0.5], ["2020-01-01"]),
        ("incidents.register.occurred.earliest", ["0001-01-01", "9999-12-31"], ["1900-01-01"]),
        ("incidents.register.key", [[""]], [[], ["a"]]),
        ("incidents.register.known.column", ["", " "], ["a"]),
        ("grid.removal.0.all.0.within_m", [-1, 1e6], [0, 10_000]),
        ("grid.valid_from", ["0001-01-01", "9999-12-27"], ["2023-01-02"]),
        ("name", ["", "a" * 64, "A", "é", "a-b"], ["a" * 63]),
        ("title", ["", "x" * 501], ["[/b] $x$ \u202e 日本 '\"`;--"]),
        ("remarks", [[""]], [["日本"]]),
    ],
)  # fmt: skip
def test_a_value_keeps_to_its_bounds(
    tmp_path: Path, place: str, wrong: list[Any], right: list[Any]
) -> None:
    parts = tuple(place.split("."))
    for value in wrong:
        assert problems_with(tmp_path, parts, value), value
    for value in right:
        assert problems_with(tmp_path, parts, value) == (), value


@pytest.mark.parametrize(
    ("bands", "problem"),
    [
        ([("a", 0.01), ("a", 0.03)], "two bands have the same name"),
        ([("a", 0.03), ("b", 0.03)], "bands must grow"),
        ([("a", 0.02), ("b", 0.01)], "bands must grow"),
        ([("a", 0.01)], "end at the chosen share"),
        ([("a", 2.0)], "must be less than or equal to 1, found 2.0"),
        ([("a", -1.0)], "must be greater than 0, found -1.0"),
        ([], "at least 1 item"),
    ],
)
def test_bands_are_distinct_and_rise_to_the_share(
    tmp_path: Path, bands: list[tuple[str, float]], problem: str
) -> None:
    content = [{"name": name, "up_to": up_to} for name, up_to in bands]
    assert problem in " ".join(problems_with(tmp_path, ("forecast", "bands"), content))


def test_every_number_and_date_of_every_section_has_bounds() -> None:
    unbounded = [
        f"{section.__name__}.{name}"
        for section in _all_sections(Settings)
        for name, field in section.model_fields.items()
        if not _is_bounded(field.annotation, field.metadata)
    ]
    assert unbounded == []


def _all_sections(section: type[Section]) -> set[type[Section]]:
    inner = {s for f in section.model_fields.values() for s in sections_in(f.annotation)}
    return {section}.union(*(_all_sections(part) for part in inner))


def _is_bounded(annotation: Any, metadata: list[Any]) -> bool:
    metadata = [
        m for part in metadata for m in (part.metadata if isinstance(part, FieldInfo) else [part])
    ]
    if annotation in (int, float):
        lower = any(isinstance(m, annotated_types.Ge | annotated_types.Gt) for m in metadata)
        return lower and any(
            isinstance(m, annotated_types.Le | annotated_types.Lt) for m in metadata
        )
    if annotation is date:
        return any("_within_calendars" in str(m) for m in metadata)
    inner = [part for part in get_args(annotation) if not isinstance(part, str)]
    if hasattr(annotation, "__metadata__"):
        return _is_bounded(inner[0], list(annotation.__metadata__))
    if get_origin(annotation) in (list, dict):
        return all(_is_bounded(part, []) for part in inner)
    return all(
        _is_bounded(part, metadata) for part in inner if isinstance(part, type) or get_args(part)
    )


def test_an_error_names_the_source_and_the_value(tmp_path: Path) -> None:
    content = content_of_toy(tmp_path)
    police = content["incidents"].pop("register")
    police["priority"]["codes"]["burglary"] = [11, "B*"]
    police["known"]["rul"] = "as_given"
    content["incidents"] = [{"name": "police", **police}]
    statistics = {
        "name": "people",
        "area": "a",
        "figures": [{"name": "income", "column": "c", "kind": "mean", "unit": "u", "meaning": "m"}],
        "editions": [{"path": "x", "layer": "y", "published_on": date(1800, 1, 1)}],
    }
    content["grid"]["area_statistics"] = [statistics]
    content["grid"]["surroundings"] = [
        {"name": "stations", "path": "x", "layer": 3, "published_on": date(2020, 1, 1)}
    ]
    content["trainings"] = {}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    expected = """\
grid.area_statistics.people.editions.1800-01-01.published_on: must be a date from 1900-01-01 to \
2200-12-31, found 1800-01-01
grid.area_statistics.people.figures.income.kind: must be 'share_out' or 'average', found 'mean'
grid.surroundings.stations.layer: must be a text, found 3; put it in quotes to make it a text
incidents.police.known.rul: no such setting; did you mean rule?
incidents.police.priority.codes.burglary.1: must be a text, found 11; put it in quotes to make it \
a text
trainings: no such setting; did you mean training?"""
    assert sorted(raised.value.problems) == expected.splitlines()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("tracking", "uri"), ["postgresql://me:secret@host"]),
        (("tracking", "url"), "postgresql://me:secret@host"),
        (("tracking",), "postgresql://me:secret@host"),
        (("tracking", "uri"), "foo://me:secret@host"),
        (("tracking", "uri"), "postgresql+nothing://me:secret@host"),
        (("pseudonym_key",), "secret"),
        (("pseudonym_key", "file"), 5),
        (("pseudonym_kye",), "secret"),
        (("lake",), "s3a://me:secret@host/lake"),
        (("timezone",), "http://me:secret@host"),
    ],
)
def test_an_error_shows_no_secret(tmp_path: Path, place: tuple[str, ...], value: Any) -> None:
    problems = problems_with(tmp_path, place, value)
    assert problems
    assert not any("secret" in problem for problem in problems)


def test_a_long_value_is_shortened(tmp_path: Path) -> None:
    [problem] = problems_with(tmp_path, ("polls", "count"), "9" * 1_000)
    assert len(problem) < 300


def test_thousands_of_codes_are_compared_in_no_time() -> None:
    codes = {name: [f"{name}{number}" for number in range(5_000)] for name in ("a", "b")}
    PriorityCodes.model_validate({"column": "c", "codes": codes})
    codes["b"].append("a17")
    with pytest.raises(ValueError, match="some match a a17 and b a17"):
        PriorityCodes.model_validate({"column": "c", "codes": codes})
    codes["b"][-1] = "a17*"
    with pytest.raises(ValueError, match=r"b a17\* and a a17;.* and 91 more"):
        PriorityCodes.model_validate({"column": "c", "codes": codes})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("lake",), "s3a:/me:s3cret@bucket/lake"),
        (("tracking", "uri"), "http:/me:s3cret@host"),
        (("timezone",), "http://me:s3/cr et@host"),
        (("name",), "http://host?token=s3;cret"),
        (("incidents", "register", "complete_from"), "http://host?password=s3cret"),
        (("postgresql://me:s3/cret@host",), 1),
    ],
)
def test_no_secret_of_an_address_at_a_wrong_place_is_told(
    tmp_path: Path, place: tuple[str, ...], value: Any
) -> None:
    [problem] = problems_with(tmp_path, place, value)
    assert not any(part in problem for part in ("cret", "s3/", "et@"))
