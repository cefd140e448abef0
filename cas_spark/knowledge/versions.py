"""Versions: what revisions make of a fact, from what was delivered and in the order they hold.

A revision that takes back ends the version that stands, and nothing follows. One that changes ends
it too, and the next version bears what is right from then on. A purge reaches all versions that
were until then: no run uses them for any poll.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cas_spark.settings.effects import CHANGING, PURGE

RECLASSIFIED, RELOCATED, RETIMED = CHANGING


@dataclass(frozen=True)
class Version:
    """What was known of an incident from a moment on; instants are microseconds UTC.

    Attributes:
        known_at: when it became known.
        occurred_from, occurred_until: the interval in which it happened.
        code: as delivered.
        priority: of that code.
        cell_id: in which it happened.
        superseded_at: when it no longer held; None while it does.
        purged_at: when a purge became effective; None without one.
        revision_id: the revision that made it; None as delivered.
    """

    known_at: int
    occurred_from: int
    occurred_until: int
    code: str
    priority: str
    cell_id: int
    superseded_at: int | None = None
    purged_at: int | None = None
    revision_id: str | None = None


@dataclass(frozen=True)
class Change:
    """A revision that is linked to a fact.

    Attributes:
        revision_id: of the revision.
        effective_at: from when on it holds, microseconds UTC.
        kind: what it says.
        effect: purge or from_known.
        code, priority: where reclassified; no priority where the code is of none.
        occurred_from, occurred_until: where retimed.
        cell_id: where relocated; None outside the teams.
        order: among revisions that hold from the same moment on: when it became known, then as in
            `linking.order_of`.
    """

    revision_id: str
    effective_at: int
    kind: str
    effect: str
    code: str | None = None
    priority: str | None = None
    occurred_from: int | None = None
    occurred_until: int | None = None
    cell_id: int | None = None
    order: tuple[int | str, ...] = ()


def versions_of(delivered: Version, changes: Iterable[Change]) -> list[Version]:
    """All versions of an incident, oldest first.

    Args:
        delivered: the first, as it was delivered.
        changes: the revisions that are linked to it.
    """
    versions, stands = [delivered], True
    for change in sorted(changes, key=lambda c: (c.effective_at, c.order, c.revision_id)):
        if stands:
            versions[-1] = replace(versions[-1], superseded_at=change.effective_at)
        if change.effect == PURGE:
            versions = [_purged(version, change.effective_at) for version in versions]
        if stands:
            following = _following(versions[-1], change)
            stands = following is not None
            versions += [following] if following is not None else []
    return versions


def _purged(version: Version, moment: int) -> Version:
    return version if version.purged_at is not None else replace(version, purged_at=moment)


def _following(version: Version, change: Change) -> Version | None:
    """What is known after a change; None where nothing that may be used is."""
    fresh = replace(
        version,
        known_at=change.effective_at,
        superseded_at=None,
        purged_at=None,
        revision_id=change.revision_id,
    )
    if change.kind == RECLASSIFIED and change.code is not None and change.priority is not None:
        return replace(fresh, code=change.code, priority=change.priority)
    if change.kind == RELOCATED and change.cell_id is not None:
        return replace(fresh, cell_id=change.cell_id)
    if change.kind == RETIMED and None not in {change.occurred_from, change.occurred_until}:
        start, end = change.occurred_from, change.occurred_until
        return replace(fresh, occurred_from=start or 0, occurred_until=end or 0)
    return None
