"""A poll sees the newest edition published before it; the column and the array agree on which."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.knowledge.editions import editions_by_turn, places_of_turns, turn_of, turns_between
from cas_spark.settings.geography import Grid

FIRST = date(2024, 1, 1)  # a Monday
DAY = timedelta(days=1)
MONDAY = 0


def source(name: str, *published: date, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "area": "id",
        "figures": [
            {"name": "n", "column": "n", "kind": "share_out", "unit": "number", "meaning": "n"}
        ],
        "editions": [{"path": "/a", "layer": "a", "published_on": str(day)} for day in published],
        **changes,
    }


def grid(*sources: dict[str, Any], **changes: Any) -> Grid:
    return Grid.model_validate(
        {
            "version": "v1",
            "valid_from": str(FIRST),
            "crs": "EPSG:28992",
            "teams": {"path": "/t", "layer": "t", "id": "id"},
            "area_statistics": list(sources),
            **changes,
        }
    )


def seen(*sources: dict[str, Any]) -> dict[date, dict[str, date]]:
    turns = editions_by_turn(grid(*sources), MONDAY)
    return {turn: {s: e.published_on for s, e in of.items()} for turn, of in turns.items()}


def test_an_edition_published_on_a_polls_own_date_is_first_seen_by_the_next_poll() -> None:
    before, poll = FIRST - DAY, FIRST + timedelta(weeks=5)
    for published, turn in (
        (poll - timedelta(days=7), poll),  # on the poll before
        (poll - DAY, poll),
        (poll, poll + timedelta(weeks=1)),
        (poll + DAY, poll + timedelta(weeks=1)),
    ):
        assert seen(source("a", published, before)) == {
            FIRST: {"a": before},
            turn: {"a": published},
        }


def test_of_editions_that_the_same_poll_sees_first_only_the_newest_counts() -> None:
    long_ago, before = FIRST - timedelta(days=400), FIRST - DAY
    tuesday, friday = FIRST + DAY, FIRST + timedelta(days=4)
    assert seen(source("a", long_ago, friday, before, tuesday)) == {
        FIRST: {"a": before},
        FIRST + timedelta(weeks=1): {"a": friday},
    }


def test_each_source_keeps_its_newest_edition_where_another_has_a_new_one() -> None:
    before, later = FIRST - DAY, FIRST + timedelta(days=30)
    assert seen(source("a", before, later), source("b", before)) == {
        FIRST: {"a": before, "b": before},
        date(2024, 2, 5): {"a": later, "b": before},
    }
    assert seen() == {FIRST: {}}


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ([source("a", FIRST)], "no edition published before valid_from 2024-01-01"),
        ([source("a", FIRST - DAY), source("a", FIRST - DAY)], "the same name twice"),
        ([source("a", FIRST - DAY, FIRST - DAY)], "published on the same day"),
        ([source("a_b", FIRST - DAY, figures=2 * source("x", FIRST)["figures"])], "the same name"),
        (
            [source("a", FIRST - DAY, editions=[_ | {"renamed": {"m": "x"}}])
             for _ in source("a", FIRST - DAY)["editions"]],
            r"renamed names \['m'\]; columns: \['id', 'n'\]",
        ),
    ],
)  # fmt: skip
def test_area_statistics_that_cannot_be_are_refused(
    sources: list[dict[str, Any]], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        grid(*sources)


def test_area_statistics_and_surroundings_do_not_share_a_name() -> None:
    near = {"name": "a", "path": "/a", "layer": "a", "published_on": "2020-01-01"}
    with pytest.raises(ValidationError, match="the same name twice"):
        grid(source("a", FIRST - DAY), surroundings=[near])


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(0, 40), min_size=1, max_size=9),
)
def test_a_poll_reads_the_newest_rows_that_are_not_after_it(
    turns: list[int], polls: list[int]
) -> None:
    weeks = [FIRST + timedelta(weeks=w) for w in sorted(turns)]
    asked = [max(weeks[0], FIRST + timedelta(weeks=w)) for w in polls]
    places = places_of_turns(weeks, asked)
    newest = [max(turn for turn in weeks if turn <= poll) for poll in asked]
    assert [weeks[i] for i in places] == newest
    in_order = sorted(asked)
    between = turns_between(weeks, in_order[0], in_order[-1])
    assert set(newest) <= set(between)
    assert between[0] == min(newest)
    assert between[-1] == max(newest)


def test_a_poll_before_the_first_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="poll 2023-12-25 comes before 2024-01-01"):
        places_of_turns([FIRST], [FIRST, FIRST - timedelta(weeks=1)])


@pytest.mark.spark
def test_a_column_of_polls_reads_the_same_rows(spark: SparkSession) -> None:
    turns = [FIRST, FIRST + timedelta(weeks=3), FIRST + timedelta(weeks=4)]
    polls = [FIRST + timedelta(weeks=w) for w in range(7)]
    frame = spark.createDataFrame([(poll,) for poll in polls], "poll_on date")
    rows = frame.select("poll_on", turn_of(F.col("poll_on"), turns).alias("turn")).collect()
    found = {row["poll_on"]: row["turn"] for row in rows}
    assert [found[poll] for poll in polls] == [turns[i] for i in places_of_turns(turns, polls)]
