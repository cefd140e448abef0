"""Which record a revision is about: one that fits, never a guess, never changed afterwards."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.knowledge.linking import LAST, Link, Record, Revision, link

HERE, THERE = (1_000, 7), (2_000, 7)


def record(name: str, known_at: int = 10, code: str = "51", case: str | None = None) -> Record:
    return Record(name, known_at, code, case, HERE)


def correction(
    known_at: int = 20, code: str = "51", case: str | None = None, name: str = "r"
) -> Revision:
    return Revision(name, known_at, None, code, case, HERE)


def only(corrections: list[Revision], records: list[Record]) -> Link:
    [found] = link(corrections, records)
    return found


def test_by_case_and_code_wherever_it_says_that_it_happened() -> None:
    found = only([replace(correction(case="c"), place=THERE)], [record("a", case="c")])
    assert found == Link("r", "linked", "withdrawn", None, "a", 20)


def test_by_its_name_whatever_else_it_says() -> None:
    named = replace(correction(code="41", case="c"), named_id="a", place=None)
    assert only([named], [record("a"), record("b", code="41", case="c")]).fact_id == "a"
    assert only([named], [record("b", code="41", case="c")]).status == "pending"


def test_else_by_code_time_and_place() -> None:
    assert only([correction()], [record("a")]).fact_id == "a"
    assert only([correction(case="c")], [record("a")]).fact_id == "a"


def test_several_of_a_case_are_told_apart_by_time_and_place() -> None:
    records = [record("a", case="c"), replace(record("b", case="c"), place=THERE)]
    assert only([correction(case="c")], records).fact_id == "a"


def test_a_record_of_another_case_is_not_meant() -> None:
    assert only([correction(case="c")], [record("a", case="d")]).status == "pending"


def test_several_that_fit_are_ambiguous() -> None:
    found = only([correction()], [record("a"), record("b")])
    assert (found.status, found.reason, found.fact_id) == ("rejected", "ambiguous", None)


def test_a_record_is_taken_back_once() -> None:
    found = link([correction(20, name="r"), correction(30, name="s")], [record("a")])
    assert [(f.revision_id, f.status) for f in found] == [("r", "linked"), ("s", "pending")]


def test_a_record_that_is_named_is_found_whatever_became_of_it() -> None:
    taking_back, later = correction(20, name="r"), correction(30, name="s")
    named = [replace(r, named_id="a") for r in (taking_back, later)]
    found = link(named, [record("a")])
    assert [(f.status, f.effective_at) for f in found] == [("linked", 20), ("linked", 30)]
    assert link([named[0], later], [record("a")])[1].status == "pending"


def test_what_only_changes_a_record_leaves_it_to_be_taken_back() -> None:
    changing = replace(correction(20, name="r"), named_id="a", is_taking_back=False)
    found = link([changing, correction(30, name="s")], [record("a")])
    assert [f.status for f in found] == ["linked", "linked"]


def test_a_correction_before_its_record_waits_and_holds_from_when_both_are_known() -> None:
    assert only([correction(20)], []).status == "pending"
    assert only([correction(20)], [record("a", known_at=40)]).effective_at == 40


def test_a_record_that_comes_later_does_not_make_a_link_ambiguous() -> None:
    assert only([correction(20)], [record("a"), record("b", known_at=40)]).fact_id == "a"


@pytest.mark.parametrize(("code", "kind"), [("41", "reclassified"), ("51", "withdrawn")])
def test_a_record_of_another_code_in_its_case_makes_it_a_reclassification(
    code: str, kind: str
) -> None:
    records = [record("a", case="c"), record("b", known_at=20, code=code, case="c")]
    records[1] = replace(records[1], place=THERE)
    assert only([correction(case="c")], records).inferred_kind == kind


cases = st.sampled_from([None, "c", "d"])
places = st.sampled_from([HERE, THERE])
moments = st.integers(1, 6)
records_of = st.lists(st.tuples(moments, st.sampled_from("45"), cases, places), max_size=7)
corrections_of = st.lists(
    st.tuples(moments, st.sampled_from("45"), cases, st.one_of(st.none(), places)), max_size=5
)


def slowly(corrections: list[Revision], records: list[Record]) -> dict[str, tuple[str, object]]:
    """The rule without indices: moment after moment, every correction is asked again."""
    decided: dict[str, tuple[str, object]] = {c.revision_id: ("pending", None) for c in corrections}
    for now in range(1, 7):
        for c in sorted(corrections, key=lambda c: (c.known_at, c.revision_id)):
            if c.known_at > now or decided[c.revision_id][0] != "pending":
                continue
            taken = {incident for _, incident in decided.values()}
            standing = [
                r
                for r in records
                if r.known_at <= now and r.code == c.code and r.fact_id not in taken
            ]
            of_case = [r for r in standing if c.case_key and r.case_key == c.case_key]
            there = [
                r
                for r in standing
                if r.place == c.place
                and (not r.case_key or not c.case_key or r.case_key == c.case_key)
            ]
            choice = of_case if len(of_case) == 1 else there or of_case
            if len(choice) == 1:
                decided[c.revision_id] = ("linked", choice[0].fact_id)
            elif choice:
                decided[c.revision_id] = ("rejected", None)
    return decided


@given(corrections_of, records_of)
def test_it_decides_as_the_rule_read_aloud(
    told: list[tuple[int, str, str | None, tuple[int, int] | None]],
    known: list[tuple[int, str, str | None, tuple[int, int]]],
) -> None:
    corrections = [
        Revision(f"r{i}", moment, None, code, case, place)
        for i, (moment, code, case, place) in enumerate(told)
    ]
    records = [Record(f"i{i}", *row) for i, row in enumerate(known)]
    found = {f.revision_id: (f.status, f.fact_id) for f in link(corrections, records)}
    assert found == slowly(corrections, records)


@given(corrections_of, records_of, moments)
def test_what_becomes_known_later_changes_no_link(
    told: list[tuple[int, str, str | None, tuple[int, int] | None]],
    known: list[tuple[int, str, str | None, tuple[int, int]]],
    until: int,
) -> None:
    corrections = [
        Revision(f"r{i}", moment, None, code, case, place)
        for i, (moment, code, case, place) in enumerate(told)
    ]
    records = [Record(f"i{i}", *row) for i, row in enumerate(known)]
    before = link(
        [c for c in corrections if c.known_at <= until],
        [r for r in records if r.known_at <= until],
    )
    after = {found.revision_id: found for found in link(corrections, records)}
    for found in before:
        if found.status != "pending":
            assert after[found.revision_id] == found


@given(corrections_of, records_of, st.randoms(use_true_random=False))
def test_other_ids_change_no_link(
    told: list[tuple[int, str, str | None, tuple[int, int] | None]],
    known: list[tuple[int, str, str | None, tuple[int, int]]],
    random: object,
) -> None:
    corrections = [
        Revision(f"r{i}", moment, None, code, case, place, order=(LAST, "extract", i))
        for i, (moment, code, case, place) in enumerate(told)
    ]
    records = [Record(f"i{i}", *row) for i, row in enumerate(known)]
    names = [c.revision_id for c in corrections] + [r.fact_id for r in records]
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = dict(zip(names, shuffled, strict=True))
    renamed = link(
        [replace(c, revision_id=other[c.revision_id]) for c in corrections],
        [replace(r, fact_id=other[r.fact_id]) for r in records],
    )
    expected = [
        replace(f, revision_id=other[f.revision_id], fact_id=f.fact_id and other[f.fact_id])
        for f in link(corrections, records)
    ]
    assert renamed == sorted(expected, key=lambda found: found.revision_id)


def test_of_two_that_take_back_one_record_at_the_same_moment_the_first_row_does() -> None:
    def places(*orders: tuple[int | str, ...]) -> list[str]:
        told = [replace(correction(name=f"r{i}"), order=order) for i, order in enumerate(orders)]
        return [found.status for found in link(told, [record("a")])]

    assert places((LAST, "d", 2), (LAST, "d", 1)) == ["pending", "linked"]
    assert places((LAST, "b", 1), (LAST, "a", 9)) == ["pending", "linked"]
    assert places((LAST, "a", 1), (2, "b", 1), (1, "c", 1)) == ["pending", "pending", "linked"]
