"""Failures of the storage, told so that a user can mend them, whoever met them.

A full disk or a folder without the right to write is met by Python, Java and Rust, in tasks and on
the driver; what is common to them is the system's own words in the error's text.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cas_spark.errors import CasError

FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "database or disk is full",
)
DENIED = (
    "Permission denied",
    "Operation not permitted",
    "Read-only file system",
    "Not a directory",
    "is not a directory",
    "Mkdirs failed to create",
    "readonly database",
    "unable to open database file",
)
LONGEST = 400


@contextmanager
def telling_of_storage(root: str) -> Iterator[None]:
    """Turn failures of the storage into an error that says what to do; others pass.

    Args:
        root: of the lake that is written.

    Raises:
        CasError: the storage is full or may not be written.
    """
    try:
        yield
    except CasError:
        raise
    except Exception as error:
        told = _told("\n".join(_texts(error)), root)
        if told is None:
            raise
        for note in getattr(error, "__notes__", []):
            told.add_note(note)
        raise told from error


def _texts(error: BaseException) -> Iterator[str]:
    """What an error says, and what those say that led to it."""
    yield str(error)
    before = error.__cause__ or error.__context__
    if before is not None:
        yield from _texts(before)


def _told(text: str, root: str) -> CasError | None:
    """The failure of the storage that an error's text speaks of, if any."""
    lines = [line.strip() for line in text.splitlines()]
    saying = [line for line in lines if any(words in line for words in (*FULL, *DENIED))]
    if not saying:
        return None
    place = root.split("://", 1)[-1]
    table = re.search(rf"{re.escape(place)}/(\w+)", text)
    is_full = any(words in line for line in saying for words in FULL)
    return CasError(
        what=f"{table[1]} of the lake {root}" if table else f"the lake {root}",
        found=max(saying, key=lambda line: place in line)[:LONGEST],
        expected="room for what is written" if is_full else "a folder that may be written",
        do=(
            "Make room there, and in Spark's folder for scratch files (spark.local.dir)"
            if is_full
            else "Give the right to write it, or set `lake` to another folder"
        )
        + "; then run the same command again. Readers still see the last complete run",
    )
