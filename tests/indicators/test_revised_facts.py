"""What a purge, and a revision from when it is known, mean for snapshots: two worlds compared."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cas_spark.indicators.snapshots import bases_of
from cas_spark.indicators.team import FACT_COLUMNS, team_of
from cas_spark.knowledge.versions import Change, Version, versions_of
from cas_spark.knowledge.visibility import NEVER
from cas_spark.settings.effects import OF_INCIDENTS, TAKING_BACK
from tests.indicators.test_indicators import (
    CATALOGUE,
    CORNER,
    INSTANTS,
    POLLS,
    PRIORITIES,
    cells_table,
    plan,
)

# Around both changes of the clock, where a week lasts 167 or 169 hours.
SPRING = date(2024, 3, 25)
AUTUMN = date(2023, 10, 23)
COMPUTED = [day for day in POLLS if AUTUMN <= day <= SPRING + timedelta(weeks=2)]
MICRO = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICRO


def cell_id(column: int, row: int) -> int:
    return (row + 500_000) * 1_000_000 + column + 500_000


def facts_table(versions: Sequence[Version]) -> pa.Table:
    """The versions that a run may use, as tasks see them."""
    usable = [version for version in versions if version.purged_at is None]
    rows = [
        (
            v.priority,
            v.cell_id % 1_000_000 - 500_000,
            v.cell_id // 1_000_000 - 500_000,
            (v.occurred_from + v.occurred_until) // 2,
            v.known_at,
            NEVER if v.superseded_at is None else v.superseded_at,
        )
        for v in usable
    ]
    types = [pa.string(), *[pa.int64()] * 5]
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(types)]
    return pa.table(arrays, names=list(FACT_COLUMNS))


def snapshots_of(
    versions: Sequence[Version], polls: Sequence[date] = COMPUTED
) -> dict[date, tuple[str, pa.Table]]:
    """Basis and rows of each poll."""
    of = plan(polls, polls[-1])
    facts = facts_table(versions).sort_by([(name, "ascending") for name in FACT_COLUMNS])
    bases = bases_of(cells_table(), facts, of)
    team = team_of(cells_table(), facts, PRIORITIES, of.edges, CATALOGUE, "EPSG:28992")
    rows = dict(team.snapshots(polls, of.first_poll))
    return {poll: (bases[poll], rows[poll]) for poll in polls}


def are_same(one: tuple[str, pa.Table], other: tuple[str, pa.Table]) -> bool:
    return one[0] == other[0] and bool(one[1].equals(other[1]))


_around = st.sampled_from(
    [AUTUMN, AUTUMN + timedelta(weeks=1), SPRING, SPRING + timedelta(weeks=1)]
)
_nudges = st.integers(-3, 3).map(lambda hours: timedelta(hours=hours)) | st.sampled_from(
    [MICRO, -MICRO, timedelta(days=2), timedelta(days=-3)]
)
_moments = st.builds(lambda day, nudge: micros(INSTANTS[day] + nudge), _around, _nudges)
_cells = st.builds(
    cell_id,
    st.integers(CORNER[0] - 12, CORNER[0] + 12),
    st.integers(CORNER[1] - 12, CORNER[1] + 12),
)


@st.composite
def incidents(draw: st.DrawFn) -> Version:
    known_at = draw(_moments)
    start = known_at - draw(st.integers(1, 40)) * 24 * 3_600_000_000
    priority = draw(st.sampled_from(["burglary", "robbery"]))
    return Version(known_at, start, start + 3_600_000_000, "code", priority, draw(_cells))


@st.composite
def changes(draw: st.DrawFn, kinds: Sequence[str], effects: Sequence[str]) -> Change:
    start = draw(_moments) - 60 * 24 * 3_600_000_000
    return Change(
        str(draw(st.uuids())),
        draw(_moments),
        draw(st.sampled_from(kinds)),
        draw(st.sampled_from(effects)),
        code="code",
        priority=draw(st.sampled_from(["burglary", "robbery", None])),
        occurred_from=start,
        occurred_until=start + 3_600_000_000,
        cell_id=draw(st.none() | _cells),
    )


def revised(delivered: Version, told: Sequence[Change]) -> list[Version]:
    """A revision holds from when both are known."""
    effective = [
        Change(**vars(c) | {"effective_at": max(c.effective_at, delivered.known_at)}) for c in told
    ]
    return versions_of(delivered, effective)


histories = st.lists(
    st.tuples(incidents(), st.lists(changes(OF_INCIDENTS, ["from_known", "purge"]), max_size=2)),
    max_size=8,
)
purges = st.lists(st.tuples(incidents(), changes(TAKING_BACK, ["purge"])), min_size=1, max_size=4)


@settings(max_examples=25)
@given(histories, purges)
def test_a_purge_is_a_world_in_which_the_object_never_was(
    others: list[tuple[Version, list[Change]]], purged: list[tuple[Version, Change]]
) -> None:
    without = [version for fact, told in others for version in revised(fact, told)]
    taken = [version for fact, change in purged for version in revised(fact, [change])]
    found, expected = snapshots_of([*without, *taken]), snapshots_of(without)
    assert all(are_same(found[poll], expected[poll]) for poll in COMPUTED)


@settings(max_examples=25)
@given(histories, st.lists(changes(OF_INCIDENTS, ["from_known"]), min_size=1, max_size=8))
def test_from_known_leaves_every_earlier_poll_untouched(
    facts: list[tuple[Version, list[Change]]], later: list[Change]
) -> None:
    before = [version for fact, told in facts for version in revised(fact, told)]
    after, known = [], NEVER
    for place, (fact, told) in enumerate(facts):
        more = [change for i, change in enumerate(later) if i % len(facts) == place]
        known = min([known, *(change.effective_at for change in more)])
        after += revised(fact, [*told, *more])
    found, expected = snapshots_of(after), snapshots_of(before)
    for poll in COMPUTED:
        if micros(INSTANTS[poll]) <= known:
            assert are_same(found[poll], expected[poll])


@settings(max_examples=15)
@given(histories)
def test_week_by_week_equals_all_weeks_at_once(
    facts: list[tuple[Version, list[Change]]],
) -> None:
    versions = [version for fact, told in facts for version in revised(fact, told)]
    full = snapshots_of(versions)
    for poll in COMPUTED:
        assert are_same(snapshots_of(versions, [poll])[poll], full[poll])
