"""The ledger of a lake: what people did, such as approving or advising, in a chain of entries.

An entry is one file in a folder of its own. No run rolls it back, no lease delays it, and it needs
no Spark. Two people who act at once get two numbers, since a file is written only where none is.

Each entry holds the hash of the entry before it, so that a changed or missing one is found. The
hash covers a salted digest of the payload and not the payload itself: a payload with personal data
can be destroyed, and the chain still verifies. Entries cut off at the end leave a chain that
verifies; a record of `head` elsewhere, such as in a run's record, shows that too.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from cas_spark.errors import CasError
from cas_spark.platform.objects import LocalFolder

FOLDER = "ledger"
"""Folder of the entries in a lake's root."""
DESTROYED = "payload_destroyed"
"""Kind of the entry that says which payload was destroyed and why."""
START = "0" * 64
"""Hash before the first entry."""


@dataclass(frozen=True)
class Entry:
    """One act.

    Attributes:
        number: from 1, without gaps.
        kind: of act, such as `approval`.
        at: when, in UTC.
        before: hash of the entry before it, `START` for the first.
        payload_digest: sha256 of salt and payload, as hexadecimal digits.
        salt: 64 random hexadecimal digits; None once the payload is destroyed.
        payload: who did what, as JSON values; None once it is destroyed.
    """

    number: int
    kind: str
    at: datetime
    before: str
    payload_digest: str
    salt: str | None
    payload: Mapping[str, Any] | None

    def hash(self) -> str:
        """Return the sha256 of all but salt and payload, which the next entry holds."""
        chained = {
            "number": self.number,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "before": self.before,
            "payload_digest": self.payload_digest,
        }
        return hashlib.sha256(_canonical(chained)).hexdigest()


class Ledger:
    """The acts of people on one lake.

    Args:
        root: of the lake, a folder of a local disk.
    """

    def __init__(self, root: Path) -> None:
        self._folder = LocalFolder(root / FOLDER)

    def append(self, kind: str, payload: Mapping[str, Any], at: datetime) -> Entry:
        """Write the next entry; return it once it is on the disk.

        Args:
            kind: of act.
            payload: who did what, as JSON values with text as keys.
            at: when, with a time zone.

        Raises:
            CasError: the last entry is damaged.
            ValueError: a number of the payload is infinite or NaN.
            OSError: the disk cannot be written, or its file system has no hard links.
        """
        salt = secrets.token_hex(32)
        digest = _payload_digest(salt, payload)
        while True:  # each turn that fails is one in which another process appended
            number, before = self.head()
            entry = Entry(number + 1, kind, at.astimezone(UTC), before, digest, salt, payload)
            if self._folder.put_if_absent(_name(entry.number), _text(entry)):
                return entry

    def head(self) -> tuple[int, str]:
        """Return number and hash of the last entry; 0 and `START` where there is none.

        Raises:
            CasError: the last entry is damaged.
        """
        names = self._names()
        if not names:
            return 0, START
        last = self._read(names[-1])
        return last.number, last.hash()

    def entries(self) -> list[Entry]:
        """Return all entries in order, once their chain is verified.

        Raises:
            CasError: an entry is missing, damaged, or not the one that the next entry holds.
        """
        found: list[Entry] = []
        before = START
        for place, name in enumerate(self._names(), start=1):
            entry = self._read(name)
            if name != _name(place):
                self._refuse(_name(place), f"{name} in its place", "entries without a gap")
            if entry.number != place or entry.before != before:
                self._refuse(
                    name,
                    f"number {entry.number} after the hash {entry.before[:16]}",
                    f"number {place} after the hash {before[:16]} of the entry before it",
                )
            if entry.payload is not None and (
                entry.salt is None
                or _payload_digest(entry.salt, entry.payload) != entry.payload_digest
            ):
                self._refuse(name, "another payload", "the payload of the recorded digest")
            found.append(entry)
            before = entry.hash()
        recorded = _destroyed(found)
        for entry in found:
            if entry.payload is None and entry.number not in recorded:
                self._refuse(_name(entry.number), "no payload", "one, or a record that it is gone")
        return found

    def destroy_payload(self, number: int, payload: Mapping[str, Any], at: datetime) -> None:
        """Destroy the payload of an entry; the chain still verifies.

        An entry of its own records it first. A call that was killed can be repeated.

        Args:
            number: of the entry.
            payload: who destroyed it and why; `number` is added.
            at: when, with a time zone.

        Raises:
            CasError: there is no such entry, or it records a destruction itself; or the chain
                does not verify.
        """
        entries = self.entries()
        of_number = [entry for entry in entries if entry.number == number]
        if not of_number or of_number[0].kind == DESTROYED:
            self._refuse(_name(number), "no entry with a payload to destroy", "such an entry")
        if number not in _destroyed(entries):
            self.append(DESTROYED, {**payload, "number": number}, at)
        [entry] = of_number
        emptied = Entry(
            number, entry.kind, entry.at, entry.before, entry.payload_digest, None, None
        )
        self._folder.replace(_name(number), _text(emptied))

    def _names(self) -> list[str]:
        return [name for name in self._folder.names() if _NAME.fullmatch(name)]

    def _read(self, name: str) -> Entry:
        try:
            values = json.loads(self._folder.read(name))
            return Entry(**{**values, "at": datetime.fromisoformat(values["at"])})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self._refuse(name, f"no entry: {error}", "an entry as cas-spark writes them")

    def _refuse(self, name: str, found: str, expected: str) -> NoReturn:
        raise CasError(
            what=f"ledger {self._folder.path / name}",
            found=found,
            expected=expected,
            do="Put the folder back from a backup. Nothing was written",
        )


_NAME = re.compile(r"\d{10}\.json")


def _destroyed(entries: Sequence[Entry]) -> set[int]:
    """Return the numbers of the entries whose payload was destroyed."""
    return {
        entry.payload["number"] for entry in entries if entry.kind == DESTROYED and entry.payload
    }


def _name(number: int) -> str:
    return f"{number:010}.json"


def _text(entry: Entry) -> bytes:
    return json.dumps({**vars(entry), "at": entry.at.isoformat()}, indent=1).encode() + b"\n"


def _payload_digest(salt: str, payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + _canonical(payload)).hexdigest()


def _canonical(values: Mapping[str, Any]) -> bytes:
    """Return the one way in which these values are written, so that equal values hash equally."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
