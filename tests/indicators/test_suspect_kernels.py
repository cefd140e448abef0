"""Where suspects live: each counts once, from when it was known, and nothing tells who."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas_spark.indicators.catalogue import Catalogue, catalogue_of
from cas_spark.indicators.snapshots import Plan, bases_of
from cas_spark.indicators.suspect_kernels import SUSPECT_COLUMNS
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.knowledge.calendar import instant_of, polls_between
from cas_spark.knowledge.visibility import NEVER
from tests.indicators.slow import Link, value_of_suspects

POLLS = polls_between(date(2024, 1, 1), date(2024, 4, 8))  # the clock changes on 31 March
INSTANTS = {day: instant_of(day, ZoneInfo("Europe/Amsterdam")) for day in POLLS}
PRIORITIES = ("burglary", "robbery")
CATALOGUE = Catalogue(
    tuple(
        i
        for i in catalogue_of(PRIORITIES, has_suspects=True).indicators
        if i.group in ("suspects", "calendar")
    )
)
SUSPECTS = [i for i in CATALOGUE.indicators if i.group == "suspects"]
LEFT, BOTTOM = 1200, 3680
CELLS = [(LEFT + column, BOTTOM + row) for column, row in [(0, 0), (1, 0), (3, 2), (-1, 5)]]
COMPUTED = tuple(POLLS[-6:])


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def id_of(column: int, row: int) -> int:
    return (row + 500_000) * 1_000_000 + column + 500_000


def cells_table() -> pa.Table:
    columns = {
        "cell_id": [id_of(*cell) for cell in CELLS],
        "column": [column for column, _ in CELLS],
        "row": [row for _, row in CELLS],
    }
    return pa.table(columns).sort_by("cell_id")


def links_table(links: Sequence[Link]) -> pa.Table:
    rows = [
        (
            link.priority,
            link.person,
            link.column,
            link.row,
            micros(link.known_at),
            micros(link.superseded_at) if link.superseded_at else NEVER,
        )
        for link in links
    ]
    types = [pa.string(), pa.string(), *[pa.int64()] * 4]
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(types)]
    return pa.table(arrays, names=list(SUSPECT_COLUMNS))


def no_incidents() -> pa.Table:
    types = [pa.string(), *[pa.int64()] * 5]
    return pa.table([pa.array([], kind) for kind in types], names=list(FACT_COLUMNS))


def edges_until(poll: date) -> np.ndarray:
    return np.array([micros(INSTANTS[day]) for day in POLLS if day <= poll], dtype=np.int64)


def snapshots_of(links: pa.Table | None, polls: Sequence[date] = COMPUTED) -> dict[date, pa.Table]:
    edges = edges_until(polls[-1])
    team = team_of(cells_table(), no_incidents(), PRIORITIES, edges, CATALOGUE, "EPSG:28992", links)
    return dict(team.snapshots(polls, POLLS.index(polls[0])))


def value_in(rows: pa.Table, name: str, cell: tuple[int, int]) -> float:
    [place] = np.flatnonzero(rows["cell_id"].to_numpy() == id_of(*cell))
    return float(rows[name][int(place)].as_py())


# Moments cluster around polls and homes around the edges of the radii, where mistakes live.
_moments = st.builds(
    lambda day, nudge: INSTANTS[day] + nudge,
    st.sampled_from(POLLS),
    st.sampled_from([timedelta(0), timedelta(seconds=-1), timedelta(seconds=1), timedelta(days=3)]),
)
_steps = st.integers(-15, 15) | st.sampled_from([-13, -8, -4, 0, 4, 8, 13])


@st.composite
def links_of_suspects(draw: st.DrawFn) -> Link:
    known_at = draw(_moments)
    superseded = draw(st.none() | st.integers(1, 60).map(lambda days: timedelta(days=days)))
    return Link(
        priority=draw(st.sampled_from(PRIORITIES)),
        person=draw(st.sampled_from("abcd")),
        column=LEFT + draw(_steps),
        row=BOTTOM + draw(_steps),
        known_at=known_at,
        superseded_at=known_at + superseded if superseded else None,
    )


@settings(max_examples=150)
@given(st.lists(links_of_suspects(), max_size=20))
def test_suspects_equal_their_slow_implementation(links: list[Link]) -> None:
    computed = snapshots_of(links_table(links))
    places = {id_of(*cell): cell for cell in CELLS}
    for poll, rows in computed.items():
        for indicator in SUSPECTS:
            expected = [
                np.float32(value_of_suspects(indicator, links, places[cell], INSTANTS[poll]))
                for cell in rows["cell_id"].to_pylist()
            ]
            said = f"{indicator.name} at {poll}"
            np.testing.assert_array_equal(rows[indicator.name].to_numpy(), expected, err_msg=said)


@settings(max_examples=25)
@given(st.lists(links_of_suspects(), max_size=20), st.randoms(use_true_random=False))
def test_incremental_equals_full_in_any_order_of_links(links: list[Link], random: object) -> None:
    full = snapshots_of(links_table(links))
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for poll in COMPUTED:
        assert snapshots_of(links_table(shuffled), [poll])[poll].equals(full[poll])


KNOWN = INSTANTS[POLLS[0]]


def test_a_person_counts_once_whatever_their_homes_and_links() -> None:
    near = (LEFT + 2, BOTTOM)
    links = [
        Link("burglary", "a", *near, KNOWN),
        Link("burglary", "a", *near, KNOWN + timedelta(days=9)),
        Link("burglary", "a", LEFT - 3, BOTTOM, KNOWN),
        Link("burglary", "b", *near, KNOWN),
        Link("robbery", "a", *near, KNOWN),
    ]
    rows = snapshots_of(links_table(links))[COMPUTED[0]]
    assert value_in(rows, "burglary_suspects_within_500m", CELLS[0]) == 2
    assert value_in(rows, "robbery_suspects_within_500m", CELLS[0]) == 1


@pytest.mark.parametrize(
    ("steps", "nearest", "within_500", "within_1000"),
    [
        ((0, 0), 0, 1, 1),
        ((4, 0), 500, 1, 1),
        ((3, 3), 530.328125, 0, 1),
        ((0, -8), 1000, 0, 1),
        ((8, 1), 1007.78125, 0, 0),
        ((5, 12), 1625, 0, 0),
        ((13, 1), 1625, 0, 0),
        ((15, 15), 1625, 0, 0),
    ],
)
def test_distances_are_between_centres_and_capped_at_the_halo(
    steps: tuple[int, int], nearest: float, within_500: int, within_1000: int
) -> None:
    link = Link("burglary", "a", LEFT + steps[0], BOTTOM + steps[1], KNOWN)
    rows = snapshots_of(links_table([link]))[COMPUTED[0]]
    assert value_in(rows, "burglary_suspect_nearest_m", CELLS[0]) == nearest
    assert value_in(rows, "burglary_suspects_within_500m", CELLS[0]) == within_500
    assert value_in(rows, "burglary_suspects_within_1000m", CELLS[0]) == within_1000


def test_without_any_link_nobody_lives_near() -> None:
    for links in (None, links_table([])):
        rows = snapshots_of(links)[COMPUTED[0]]
        assert set(rows["robbery_suspect_nearest_m"].to_pylist()) == {1625.0}
        assert set(rows["robbery_suspects_within_1000m"].to_pylist()) == {0.0}


LATE_BY = [timedelta(0), timedelta(seconds=1), timedelta(days=30)]


def late(known_after: timedelta) -> Link:
    return Link("burglary", "z", *CELLS[0], INSTANTS[COMPUTED[0]] + known_after)


@pytest.mark.parametrize("known_after", LATE_BY)
def test_a_link_known_later_never_changes_the_past_and_without_the_time_rule_it_would(
    known_after: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Link("burglary", "a", *CELLS[1], KNOWN)
    poll = COMPUTED[0]
    without = snapshots_of(links_table([known]))[poll]
    assert snapshots_of(links_table([known, late(known_after)]))[poll].equals(without)

    def everything_was_always_known(
        known_at: np.ndarray, superseded_at: np.ndarray, edges: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(known_at), np.full_like(known_at, len(edges))

    monkeypatch.setattr(
        "cas_spark.indicators.suspect_kernels.polls_that_see", everything_was_always_known
    )
    assert not snapshots_of(links_table([known, late(known_after)]))[poll].equals(without)


def test_a_superseded_home_is_left_when_the_later_became_known() -> None:
    moved = INSTANTS[COMPUTED[2]] + timedelta(hours=1)
    links = [
        Link("burglary", "a", *CELLS[0], KNOWN, moved),
        Link("burglary", "a", LEFT + 4, BOTTOM, moved),
    ]
    rows = snapshots_of(links_table(links))
    nearest = [value_in(rows[day], "burglary_suspect_nearest_m", CELLS[0]) for day in COMPUTED]
    assert nearest == [0, 0, 0, 500, 500, 500]


def plan() -> Plan:
    edges = edges_until(COMPUTED[-1])
    return Plan(
        CATALOGUE, PRIORITIES, "v1", "EPSG:28992", edges, COMPUTED, {}, "", "snapshots", 2**30
    )


def test_the_basis_changes_from_the_first_poll_that_sees_a_new_link_on() -> None:
    known = Link("burglary", "a", *CELLS[1], KNOWN)
    new = Link("robbery", "b", *CELLS[2], INSTANTS[COMPUTED[2]])
    cells, incidents = cells_table(), no_incidents()
    off = bases_of(cells, incidents, plan())
    nobody = bases_of(cells, incidents, plan(), links_table([]))
    before = bases_of(cells, incidents, plan(), links_table([known]))
    after = bases_of(cells, incidents, plan(), links_table([known, new]))
    assert nobody == off
    assert not [poll for poll in COMPUTED if before[poll] == off[poll]]
    assert [before[poll] == after[poll] for poll in COMPUTED] == [True] * 3 + [False] * 3


def test_a_later_end_of_a_link_changes_the_basis_only_of_polls_that_saw_it_end() -> None:
    ended = INSTANTS[COMPUTED[2]]
    bases = [
        bases_of(
            cells_table(),
            no_incidents(),
            plan(),
            links_table([Link("burglary", "a", *CELLS[1], KNOWN, superseded_at)]),
        )
        for superseded_at in (None, ended)
    ]
    assert [bases[0][poll] == bases[1][poll] for poll in COMPUTED] == [True] * 3 + [False] * 3


def test_the_basis_without_suspects_is_what_it_always_was() -> None:
    """Snapshots of a lake without suspects are not computed anew by a newer program."""
    fact = [["burglary"], [LEFT], [BOTTOM], *[[micros(KNOWN)]] * 2, [NEVER]]
    incidents = pa.table(fact, names=list(FACT_COLUMNS))
    calendar = Catalogue(tuple(i for i in CATALOGUE.indicators if i.group == "calendar"))
    edges = edges_until(COMPUTED[-1])
    of_calendar = Plan(
        calendar, PRIORITIES, "v1", "EPSG:28992", edges, COMPUTED, {}, "", "snapshots", 2**30
    )
    found = bases_of(cells_table(), incidents, of_calendar)[COMPUTED[-1]]
    assert found == "cc123a15580e3d3dea99d5c3b084b990d6a0a4c873ada26e0db5f865f1d10a8f"
