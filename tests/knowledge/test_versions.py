"""What revisions make of an incident: the world they describe, moment after moment."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cas_spark.knowledge.versions import Change, Version, versions_of
from cas_spark.settings.effects import OF_INCIDENTS

DELIVERED = Version(10, 1, 2, "51", "burglary", 7)


def change(kind: str, effective_at: int = 20, effect: str = "from_known", **told: object) -> Change:
    return replace(Change("r", effective_at, kind, effect), **told)  # type: ignore[arg-type]


def test_taking_back_ends_it_and_nothing_follows() -> None:
    assert versions_of(DELIVERED, [change("unfounded")]) == [replace(DELIVERED, superseded_at=20)]


def test_a_change_ends_it_and_the_next_version_bears_what_is_right() -> None:
    found = versions_of(
        DELIVERED,
        [
            change("retimed", 40, occurred_from=3, occurred_until=4),
            change("relocated", 20, cell_id=9),
            change("reclassified", 30, code="31", priority="robbery"),
        ],
    )
    assert [(v.known_at, v.superseded_at) for v in found] == [
        (10, 20),
        (20, 30),
        (30, 40),
        (40, None),
    ]
    assert found[-1] == Version(40, 3, 4, "31", "robbery", 9, revision_id="r")


def test_a_change_into_nothing_that_may_be_used_takes_back() -> None:
    for into in (change("relocated", cell_id=None), change("reclassified", code="Z9")):
        assert versions_of(DELIVERED, [into]) == [replace(DELIVERED, superseded_at=20)]


def test_a_purge_after_the_end_still_purges() -> None:
    found = versions_of(DELIVERED, [change("withdrawn", 20), change("unlawful", 30, "purge")])
    assert found == [replace(DELIVERED, superseded_at=20, purged_at=30)]


def test_a_purged_place_leaves_the_right_one() -> None:
    wrong, right = versions_of(DELIVERED, [change("relocated", 20, "purge", cell_id=9)])
    assert (wrong.purged_at, right.purged_at, right.cell_id) == (20, None, 9)


changes = st.builds(
    Change,
    st.uuids().map(str),
    st.integers(10, 16),
    st.sampled_from(OF_INCIDENTS),
    st.sampled_from(["purge", "from_known"]),
    code=st.just("31"),
    priority=st.sampled_from([None, "robbery", "burglary"]),
    occurred_from=st.just(3),
    occurred_until=st.just(4),
    cell_id=st.sampled_from([None, 7, 9]),
)


def seen_at(moment: int, told: list[Change]) -> tuple[object, ...] | None:
    """What somebody knows at a moment who has heard everything that was said before it."""
    if moment <= DELIVERED.known_at:
        return None
    what = {"priority": "burglary", "code": "51", "cell": 7, "from": 1, "until": 2}
    for c in sorted(told, key=lambda c: (c.effective_at, c.revision_id)):
        if c.effective_at >= moment:
            continue
        if c.kind == "reclassified" and c.priority is not None:
            what |= {"priority": c.priority, "code": c.code}
        elif c.kind == "relocated" and c.cell_id is not None:
            what |= {"cell": c.cell_id}
        elif c.kind == "retimed":
            what |= {"from": c.occurred_from, "until": c.occurred_until}
        else:
            return None
    return tuple(what.values())


def visible(version: Version, moment: int) -> bool:
    is_over = version.superseded_at is not None and version.superseded_at < moment
    return version.known_at < moment and not is_over


def told(version: Version) -> tuple[object, ...]:
    return (
        *(version.priority, version.code, version.cell_id),
        *(version.occurred_from, version.occurred_until),
    )


@given(st.lists(changes, max_size=5), st.integers(9, 18))
def test_a_moment_sees_what_was_said_before_it_and_never_two_versions(
    told_changes: list[Change], moment: int
) -> None:
    seen = [told(v) for v in versions_of(DELIVERED, told_changes) if visible(v, moment)]
    expected = seen_at(moment, told_changes)
    assert seen == ([] if expected is None else [expected])


@given(st.lists(changes, max_size=5), st.integers(9, 18))
def test_what_is_said_later_changes_no_earlier_moment_but_by_a_purge(
    told_changes: list[Change], moment: int
) -> None:
    before = versions_of(DELIVERED, [c for c in told_changes if c.effective_at < moment])
    after = versions_of(DELIVERED, told_changes)
    purging = [c.effective_at for c in told_changes if c.effect == "purge"]
    for then in range(9, moment + 1):
        seen = [told(v) for v in after if visible(v, then)]
        assert seen == [told(v) for v in before if visible(v, then)]
    for version in after:  # what a purge reaches is what was known until it, and only that
        reached = [p for p in purging if p >= version.known_at and version.revision_id is None]
        if version.revision_id is None:
            assert version.purged_at == min(reached, default=None)


@given(st.lists(changes, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_delivery_means_nothing(told_changes: list[Change], random: object) -> None:
    shuffled = list(told_changes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert versions_of(DELIVERED, shuffled) == versions_of(DELIVERED, told_changes)
