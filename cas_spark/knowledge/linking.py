"""Linking: which fact a revision is about, decided once and by what was known by then.

A revision with a key names its record, whatever became of that before. Corrections of extracts
without keys do not: there it is the one record of the same case and code, else the one of the same
code, time and place; a record of another case is never meant. Where several records fit, none
can be preferred: the correction is rejected as ambiguous. Where none fits, it waits, since the
record may be delivered later.

A link is decided at the first moment at which a record fits, so what becomes known later changes no
link that stands: the whole is a function of all revisions and records, in whatever order they were
delivered.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LINKED, PENDING, REJECTED = "linked", "pending", "rejected"
WITHDRAWN, RECLASSIFIED = "withdrawn", "reclassified"
"""The kind of a correction that does not give one."""
AMBIGUOUS = "ambiguous"

Place = tuple[int, int]

Order = tuple[int | str, ...]
"""Where a revision stands among others of the same moment: see `order_of`."""

LAST = 2**62


def order_of(row: Mapping[str, Any]) -> Order:
    """Where a row of `revisions` stands among others that became known at the same moment.

    That is its place in the extracts, whatever the key of ids. Rows that an earlier version of the
    lake ordered by ids keep that order (`former_order`).
    """
    former = row["former_order"]
    return (LAST if former is None else former, row["dataset_sha256"], row["row_number"])


@dataclass(frozen=True)
class Record:
    """A fact that a revision may be about: an incident, or a suspect's link to one.

    Attributes:
        fact_id: of the incident or link.
        known_at: when it became known, microseconds UTC.
        code: as delivered.
        case_key: pseudonym of its case; None where not given.
        place: (start of its interval in microseconds UTC, cell).
    """

    fact_id: str
    known_at: int
    code: str
    case_key: str | None
    place: Place


@dataclass(frozen=True)
class Revision:
    """A delivered revision.

    Attributes:
        revision_id: of the revision.
        known_at: when it became known, microseconds UTC.
        named_id: of the record it is about, where it names one; nothing else counts then.
        code: of the record it takes back; None where not given.
        case_key: pseudonym of the case; None where not given.
        place: as a record's; None where one of both is missing.
        is_taking_back: whether its record counts no more, so that no other can take it back.
        order: among revisions known at the same moment; nothing of it depends on the key of ids.
    """

    revision_id: str
    known_at: int
    named_id: str | None
    code: str | None
    case_key: str | None
    place: Place | None
    is_taking_back: bool = True
    order: Order = ()


@dataclass(frozen=True)
class Link:
    """What became of a revision.

    Attributes:
        revision_id: of the revision.
        status: linked, pending or rejected.
        inferred_kind: reclassified where by then a record of another code was known of the same
            case, or without a case of the same time and place; else withdrawn.
        reason: why it is rejected.
        fact_id: the incident or link that it is about, where linked.
        effective_at: from when on, where linked: both are known by then.
    """

    revision_id: str
    status: str
    inferred_kind: str
    reason: str | None = None
    fact_id: str | None = None
    effective_at: int | None = None


def link(revisions: Iterable[Revision], records: Sequence[Record]) -> list[Link]:
    """Decide about all revisions; one link for each, in the order of their ids.

    Args:
        revisions: all about the facts of a source.
        records: of that source, at least all that fit or replace one of them.
    """
    waiting: list[Revision] = []
    arriving: dict[int, list[Revision]] = defaultdict(list)
    for revision in revisions:
        arriving[revision.known_at].append(revision)
    delivered: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        delivered[record.known_at].append(record)
    standing, found = _Standing(), []
    for moment in sorted({*arriving, *delivered}):
        standing.add(delivered[moment])
        asked = sorted(
            waiting + arriving[moment], key=lambda r: (r.known_at, r.order, r.revision_id)
        )
        waiting = []
        for revision in asked:
            kind = standing.kind_of(revision)
            fitting = standing.fitting(revision)
            if not fitting:
                waiting.append(revision)
            elif len(fitting) > 1:
                found.append(Link(revision.revision_id, REJECTED, kind, AMBIGUOUS))
            else:
                [record] = fitting
                if revision.is_taking_back:
                    standing.remove(record)
                found.append(Link(revision.revision_id, LINKED, kind, None, record.fact_id, moment))
    found += [Link(r.revision_id, PENDING, standing.kind_of(r)) for r in waiting]
    return sorted(found, key=lambda decided: decided.revision_id)


class _Standing:
    """The records known so far: all by name, and those not taken back by code, time and place."""

    def __init__(self) -> None:
        self.by_id: dict[str, Record] = {}
        self.taken: set[str] = set()
        self.by_case: dict[tuple[str, str], list[Record]] = defaultdict(list)
        self.by_place: dict[tuple[str, Place], list[Record]] = defaultdict(list)
        self.codes: dict[str | Place, set[str]] = defaultdict(set)

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self.by_id[record.fact_id] = record
            if record.case_key is not None:
                self.by_case[record.case_key, record.code].append(record)
                self.codes[record.case_key].add(record.code)
            self.by_place[record.code, record.place].append(record)
            self.codes[record.place].add(record.code)

    def remove(self, record: Record) -> None:
        if record.fact_id in self.taken:
            return
        self.taken.add(record.fact_id)
        if record.case_key is not None:
            self.by_case[record.case_key, record.code].remove(record)
        self.by_place[record.code, record.place].remove(record)

    def fitting(self, revision: Revision) -> list[Record]:
        """By its name; by case and code where that gives one; by code, time and place; or all."""
        if revision.named_id is not None:
            named = self.by_id.get(revision.named_id)
            return [] if named is None else [named]
        if revision.code is None:
            return []
        of_case: list[Record] = []
        if revision.case_key is not None:
            of_case = self.by_case.get((revision.case_key, revision.code), [])
        if len(of_case) == 1 or revision.place is None:
            return of_case
        there = [
            record
            for record in self.by_place.get((revision.code, revision.place), [])
            if None in {record.case_key, revision.case_key} or record.case_key == revision.case_key
        ]
        return there or of_case

    def kind_of(self, revision: Revision) -> str:
        """Whether something else was known in its stead."""
        about = revision.place if revision.case_key is None else revision.case_key
        others = self.codes.get(about, set()) - {revision.code} if about is not None else set()
        return RECLASSIFIED if others else WITHDRAWN
