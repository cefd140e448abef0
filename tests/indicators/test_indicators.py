from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas_spark.indicators import nearby, weights
from cas_spark.indicators.catalogue import catalogue_of
from cas_spark.indicators.kernels import distinct_rows
from cas_spark.indicators.snapshots import Plan, bases_of
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.knowledge.calendar import instant_of, polls_between
from cas_spark.knowledge.visibility import NEVER
from tests.indicators.slow import Polls, Version, axis_weight, value

ZONE = ZoneInfo("Europe/Amsterdam")
FIRST, LAST = date(2020, 1, 6), date(2024, 4, 8)  # 222 weeks, DST both ways
POLLS = polls_between(FIRST, LAST)
INSTANTS = {day: instant_of(day, ZONE) for day in POLLS}
CALENDAR = Polls(INSTANTS, FIRST, latitude=52.0)
PRIORITIES = ("burglary", "robbery")
CATALOGUE = catalogue_of(PRIORITIES)
CORNER = (1200, 3680)  # in the middle of the Netherlands, at a latitude of 52.0
CELLS = [(CORNER[0] + column, CORNER[1] + row) for column, row in [(0, 0), (1, 0), (3, 2), (-1, 5)]]
COMPUTED = tuple(POLLS[-4:])


def plan(polls: Sequence[date] = COMPUTED, until: date = LAST) -> Plan:
    days = [day for day in POLLS if day <= until]
    edges = np.array([int(INSTANTS[d].timestamp()) * 1_000_000 for d in days], dtype=np.int64)
    return Plan(
        CATALOGUE, PRIORITIES, "v1", "EPSG:28992", edges, tuple(polls), {}, "", "snapshots", 2**30
    )


def cells_table() -> pa.Table:
    ids = [(row + 500_000) * 1_000_000 + column + 500_000 for column, row in CELLS]
    table = pa.table(
        {"cell_id": ids, "column": [c for c, _ in CELLS], "row": [r for _, r in CELLS]}
    )
    return table.sort_by("cell_id")


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def facts_table(versions: Sequence[Version]) -> pa.Table:
    rows = [
        (
            v.priority,
            v.column,
            v.row,
            micros(v.counts_at),
            micros(v.known_at),
            micros(v.superseded_at) if v.superseded_at else NEVER,
        )
        for v in versions
    ]
    types = [pa.string(), *[pa.int64()] * 5]
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(types)]
    return pa.table(arrays, names=list(FACT_COLUMNS))


def snapshots_of(
    versions: Sequence[Version], polls: Sequence[date] = COMPUTED
) -> dict[date, pa.Table]:
    days = [day for day in POLLS if day <= polls[-1]]
    edges = plan(polls, polls[-1]).edges
    prepared = team_of(
        cells_table(), facts_table(versions), PRIORITIES, edges, CATALOGUE, "EPSG:28992"
    )
    return dict(prepared.snapshots(polls, days.index(polls[0])))


# Moments cluster around edges, where mistakes live: on a poll, just before it, in the DST weeks.
_edges = st.sampled_from([POLLS[0], *POLLS[-170:]]).map(lambda day: INSTANTS[day])
_nudges = st.sampled_from([timedelta(0), timedelta(seconds=-1), timedelta(seconds=1)])
_inside = st.integers(0, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
_moments = st.builds(lambda edge, nudge: edge + nudge, _edges, _nudges | _inside)
_delays = st.sampled_from([timedelta(0), timedelta(hours=3)]) | st.integers(0, 60).map(
    lambda days: timedelta(days=days)
)


@st.composite
def versions(draw: st.DrawFn) -> Version:
    counts_at = draw(_moments)
    known_at = counts_at + draw(_delays)
    superseded = draw(st.none() | st.integers(1, 200).map(lambda d: timedelta(days=d)))
    return Version(
        priority=draw(st.sampled_from(["burglary", "robbery"])),
        column=CORNER[0] + draw(st.integers(-15, 17)),
        row=CORNER[1] + draw(st.integers(-15, 19)),
        counts_at=counts_at,
        known_at=known_at,
        superseded_at=known_at + superseded if superseded else None,
    )


@settings(max_examples=10)
@given(st.lists(versions(), max_size=10), st.integers(1, 2**20))
def test_the_bound_of_memory_changes_the_blocks_and_no_value(
    facts: list[Version], bytes_at_most: int
) -> None:
    edges = plan(POLLS, POLLS[-1]).edges
    team = team_of(cells_table(), facts_table(facts), PRIORITIES, edges, CATALOGUE, "EPSG:28992")
    polls = POLLS[-20:]
    whole = [rows for _, rows in team.blocks(polls, len(POLLS) - 20)]
    parts = [rows for _, rows in team.blocks(polls, len(POLLS) - 20, bytes_at_most)]
    assert len(whole) == 1
    assert pa.concat_tables(parts).equals(whole[0])


@settings(max_examples=60)
@given(st.lists(versions(), max_size=25))
def test_every_indicator_equals_its_slow_implementation(facts: list[Version]) -> None:
    computed = snapshots_of(facts)
    places = {
        id_: (int(c), int(r)) for id_, c, r in zip(*cells_table().to_pydict().values(), strict=True)
    }
    for poll, rows in computed.items():
        for indicator in CATALOGUE.fast.indicators:
            expected = [
                np.float32(value(indicator, facts, places[cell], poll, CALENDAR, CELLS))
                for cell in rows["cell_id"].to_pylist()
            ]
            computed_values = rows[indicator.name].to_numpy()
            said = f"{indicator.name} at {poll}"
            if indicator.name == "daylight_hours":
                np.testing.assert_allclose(computed_values, expected, atol=0.1, err_msg=said)
            else:
                np.testing.assert_array_equal(computed_values, expected, err_msg=said)


@settings(max_examples=30)
@given(st.lists(versions(), max_size=25), st.randoms(use_true_random=False))
def test_incremental_equals_full_in_any_order_of_facts(
    facts: list[Version], random: object
) -> None:
    full = snapshots_of(facts)
    shuffled = list(facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for poll in COMPUTED:
        assert snapshots_of(shuffled, [poll])[poll].equals(full[poll])


LATE_BY = [timedelta(0), timedelta(days=1), timedelta(days=30)]


def _late(known_after: timedelta) -> Version:
    poll = INSTANTS[COMPUTED[0]]
    return Version("burglary", *CELLS[0], poll - timedelta(days=2), poll + known_after)


@pytest.mark.parametrize("known_after", LATE_BY)
def test_a_later_report_never_changes_the_past(known_after: timedelta) -> None:
    known = Version(
        "burglary", *CELLS[1], datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 4, tzinfo=UTC)
    )
    poll = COMPUTED[0]
    without, with_late = (
        snapshots_of([known])[poll],
        snapshots_of([known, _late(known_after)])[poll],
    )
    assert with_late.equals(without)


@pytest.mark.parametrize("known_after", LATE_BY)
def test_without_the_time_rule_the_test_above_fails(
    known_after: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything_was_always_known(
        known_at: np.ndarray, superseded_at: np.ndarray, edges: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(known_at), np.full_like(known_at, len(edges))

    monkeypatch.setattr("cas_spark.indicators.kernels.polls_that_see", everything_was_always_known)
    poll = COMPUTED[0]
    assert not snapshots_of([_late(known_after)])[poll].equals(snapshots_of([])[poll])


def test_an_incident_enters_at_the_first_poll_after_it_was_known_and_leaves_with_its_window() -> (
    None
):
    week = POLLS[-6]
    fact = Version("burglary", *CELLS[0], INSTANTS[week], INSTANTS[week] + timedelta(hours=1))
    rows = snapshots_of([fact], POLLS[-6:])
    counts = [
        rows[p].filter(pa.compute.equal(rows[p]["cell_id"], _id(*CELLS[0]))) for p in POLLS[-6:]
    ]
    assert [c["burglary_count_4w"][0].as_py() for c in counts] == [0, 1, 1, 1, 1, 0]
    assert [c["burglary_weeks_since"][0].as_py() for c in counts] == [260, 1, 2, 3, 4, 5]


def _id(column: int, row: int) -> int:
    return (row + 500_000) * 1_000_000 + column + 500_000


def test_the_basis_changes_from_the_first_poll_that_sees_a_new_fact_on() -> None:
    old = _late(timedelta(days=-1))
    new = Version("robbery", *CELLS[2], INSTANTS[COMPUTED[0]], INSTANTS[COMPUTED[2]])
    before = bases_of(cells_table(), facts_table([old]), plan())
    after = bases_of(cells_table(), facts_table([old, new]), plan())
    assert [before[poll] == after[poll] for poll in COMPUTED] == [True, True, True, False]


@given(st.lists(st.tuples(st.integers(-500_000, 499_999), st.integers(-9, 9)), max_size=20))
def test_different_rows_are_told_in_order_and_of_each_row_which_it_is(
    rows: list[tuple[int, int]],
) -> None:
    different, which = distinct_rows(np.array(rows, dtype=np.int64).reshape(-1, 2))
    assert [tuple(row) for row in different.tolist()] == sorted(set(rows))
    assert [tuple(row) for row in different[which].tolist()] == rows


def test_declared_weights_follow_their_formula() -> None:
    for bandwidth, declared in weights.GAUSSIAN.items():
        expected = [axis_weight(i, bandwidth) for i in range(len(declared) + 1)]
        assert [*declared, 0] == expected


def test_tiles_are_as_wide_as_the_halo() -> None:
    assert nearby.TILE_CELLS >= weights.HALO_CELLS


def test_weeks_between_polls_last_167_168_or_169_hours() -> None:
    hours = {(b - a) / timedelta(hours=1) for a, b in pairwise(INSTANTS.values())}
    assert hours == {167.0, 168.0, 169.0}
