"""Linking: which incident a correction is about, decided once and by what was known by then.

A correction with a key names its record. Extracts without keys do not: there it is the one record
of the same case and code, else the one of the same code, time and place; a record of another case
is never meant. Where several records fit, nobody can tell which is wrong: the correction is
rejected as ambiguous. Where none fits, it waits, since the record may be delivered later.

A link is decided at the first moment at which a record fits, so what becomes known later changes no
link that stands: the whole is a function of all corrections and records, in whatever order they
were delivered.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LINKED, PENDING, REJECTED = "linked", "pending", "rejected"
WITHDRAWN, RECLASSIFIED = "withdrawn", "reclassified"
AMBIGUOUS = "ambiguous"

Place = tuple[int, int]


@dataclass(frozen=True)
class Record:
    """An incident that a correction may be about.

    Attributes:
        incident_id: of the incident.
        known_at: when it became known, microseconds UTC.
        code: as delivered.
        case_key: pseudonym of its case; None where not told.
        place: (start of its interval in microseconds UTC, cell).
    """

    incident_id: str
    known_at: int
    code: str
    case_key: str | None
    place: Place


@dataclass(frozen=True)
class Correction:
    """A delivered correction.

    Attributes:
        revision_id: of the correction.
        known_at: when it became known, microseconds UTC.
        incident_id: of the record it takes back, where it names one; nothing else counts then.
        code: of the record it takes back; None where not told.
        case_key: pseudonym of the case; None where not told.
        place: as a record's; None where it does not tell both.
    """

    revision_id: str
    known_at: int
    incident_id: str | None
    code: str | None
    case_key: str | None
    place: Place | None


@dataclass(frozen=True)
class Link:
    """What became of a correction.

    Attributes:
        revision_id: of the correction.
        status: linked, pending or rejected.
        kind: reclassified where by then a record of another code was known of the same case, or
            without a case of the same time and place; else withdrawn.
        reason: why it is rejected.
        incident_id: the incident that it takes back, where linked.
        effective_at: from when on, where linked: both are known by then.
    """

    revision_id: str
    status: str
    kind: str
    reason: str | None = None
    incident_id: str | None = None
    effective_at: int | None = None


def link(corrections: Iterable[Correction], records: Sequence[Record]) -> list[Link]:
    """Decide about all corrections; one link for each, in the order of their ids.

    Args:
        corrections: all of a source.
        records: of the same source, at least all that fit or replace one of them.
    """
    waiting: list[Correction] = []
    arriving: dict[int, list[Correction]] = defaultdict(list)
    for correction in corrections:
        arriving[correction.known_at].append(correction)
    delivered: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        delivered[record.known_at].append(record)
    standing, found = _Standing(), []
    for moment in sorted({*arriving, *delivered}):
        standing.add(delivered[moment])
        asked = sorted(waiting + arriving[moment], key=lambda c: (c.known_at, c.revision_id))
        waiting = []
        for correction in asked:
            kind = standing.kind_of(correction)
            fitting = standing.fitting(correction)
            if not fitting:
                waiting.append(correction)
            elif len(fitting) > 1:
                found.append(Link(correction.revision_id, REJECTED, kind, AMBIGUOUS))
            else:
                [record] = fitting
                standing.remove(record)
                found.append(
                    Link(correction.revision_id, LINKED, kind, None, record.incident_id, moment)
                )
    found += [Link(c.revision_id, PENDING, standing.kind_of(c)) for c in waiting]
    return sorted(found, key=lambda decided: decided.revision_id)


class _Standing:
    """The records known so far that nothing has taken back, and the codes of all that ever were."""

    def __init__(self) -> None:
        self.by_id: dict[str, Record] = {}
        self.by_case: dict[tuple[str, str], list[Record]] = defaultdict(list)
        self.by_place: dict[tuple[str, Place], list[Record]] = defaultdict(list)
        self.codes: dict[str | Place, set[str]] = defaultdict(set)

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self.by_id[record.incident_id] = record
            if record.case_key is not None:
                self.by_case[record.case_key, record.code].append(record)
                self.codes[record.case_key].add(record.code)
            self.by_place[record.code, record.place].append(record)
            self.codes[record.place].add(record.code)

    def remove(self, record: Record) -> None:
        del self.by_id[record.incident_id]
        if record.case_key is not None:
            self.by_case[record.case_key, record.code].remove(record)
        self.by_place[record.code, record.place].remove(record)

    def fitting(self, correction: Correction) -> list[Record]:
        """By its name; by case and code where that gives one; by code, time and place; or all."""
        if correction.incident_id is not None:
            named = self.by_id.get(correction.incident_id)
            return [] if named is None else [named]
        if correction.code is None:
            return []
        of_case: list[Record] = []
        if correction.case_key is not None:
            of_case = self.by_case.get((correction.case_key, correction.code), [])
        if len(of_case) == 1 or correction.place is None:
            return of_case
        there = [
            record
            for record in self.by_place.get((correction.code, correction.place), [])
            if None in {record.case_key, correction.case_key}
            or record.case_key == correction.case_key
        ]
        return there or of_case

    def kind_of(self, correction: Correction) -> str:
        """Whether something else was known in its stead."""
        about = correction.place if correction.case_key is None else correction.case_key
        others = self.codes.get(about, set()) - {correction.code} if about is not None else set()
        return RECLASSIFIED if others else WITHDRAWN
