"""Turns failures of the storage into errors that a user can mend.

A full disk, a folder without the right to write and a damaged file are met by Python, Java and
Rust, in tasks and on the driver; what is common to them is the system's own words in the error's
text.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

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
DAMAGED = (
    # Spark's own, which names the file in the same line; then what stands for it in Hadoop.
    re.compile(
        r"\[(?:FAILED_READ_FILE\.\w+|CANNOT_READ_FILE_FOOTER)\].*? file:? (?P<file>\S.*?\.parquet)"
    ),
    re.compile(r"ChecksumException: Checksum error: (?P<file>\S.*?) at \d+"),
    re.compile(r"Exception: (?P<file>\S.*?\.parquet) is not a Parquet file"),
    re.compile(r"Path does not exist: (?P<file>\S.*?\.parquet)"),
)
REASON = re.compile(
    r"^Caused by: (?:[\w$.]+\.)?(?P<reason>\w*(?:Exception|Error)\b.*)$", re.MULTILINE
)
WORKING_ON = re.compile(r"^working on: .+$", re.MULTILINE)
"""What `spread` notes of a task's group."""

LONGEST = 400
SNAPSHOTS = "snapshots"


class UnreadableFileError(OSError):
    """A file of a table that is missing or damaged, or is not the one that was recorded."""

    def __init__(self, table: str, path: str, reason: str) -> None:
        self.table, self.path, self.reason = table, path, " ".join(reason.split())
        super().__init__(f"{path} of table {table}: {self.reason}")

    def __reduce__(self) -> tuple[type["UnreadableFileError"], tuple[str, str, str]]:
        return type(self), (self.table, self.path, self.reason)


UNREADABLE = re.compile(
    rf"{UnreadableFileError.__name__}: (?P<file>.+?) of table (?P<table>\w+): (?P<reason>.+)"
)


@contextmanager
def explaining_storage_failures(root: str) -> Iterator[None]:
    """Turn failures of the storage into an error that says what to do; others pass.

    Args:
        root: of the lake that is written or read.

    Raises:
        CasError: the storage is full or may not be written, or a file of a table cannot be read.
    """
    try:
        yield
    except CasError:
        raise
    except Exception as error:
        explained = explained_failure(error, root)
        if explained is None:
            raise
        of_task = WORKING_ON.findall("\n".join(_texts(error)))
        for note in [*of_task[-1:], *getattr(error, "__notes__", [])]:
            explained.add_note(note)
        raise explained from error


def explained_failure(error: BaseException, root: str) -> CasError | None:
    """The failure of the storage that an error speaks of, if any.

    Args:
        error: whatever was raised.
        root: of the lake that is written or read.
    """
    text = "\n".join(_texts(error))
    return _told_of_writing(text, root) or _told_of_damage(text, root)


def _texts(error: BaseException) -> Iterator[str]:
    """What an error says, and what those say that led to it."""
    yield f"{type(error).__name__}: {error}"
    before = error.__cause__ or error.__context__
    if before is not None:
        yield from _texts(before)


def _told_of_writing(text: str, root: str) -> CasError | None:
    """The full disk or the folder without the right to write that an error's text speaks of."""
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


def _told_of_damage(text: str, root: str) -> CasError | None:
    """The damaged or missing file that an error's text speaks of, with its table."""
    own = UNREADABLE.search(text)
    if own is not None:
        return damaged(root, own["table"], own["file"], own["reason"])
    place = root.split("://", 1)[-1]
    for pattern in DAMAGED:
        for match in pattern.finditer(text):
            file = re.sub(r"^file:/+", "/", unquote(match["file"]))
            below = file.partition(f"{place}/")[2]
            if below:  # else it is an extract's, whose reader names it
                return damaged(root, below.split("/")[0], file, _reason_in(text))
    return None


def _reason_in(text: str) -> str:
    """The innermost cause that a Java error names, or its first line."""
    causes = REASON.findall(text)
    return causes[-1] if causes else text.strip().splitlines()[0]


def damaged(root: str, table: str, file: str, reason: str) -> CasError:
    """The error that names a damaged file, its table, and the command that mends it.

    Args:
        root: of the lake.
        table: name of the table.
        file: its path.
        reason: what is wrong with it.
    """
    again = "If the storage was out of reach, run the same command again. Else "
    if table == SNAPSHOTS:
        do = (
            f"{again}delete this file, and run `cas-spark snapshots` or `cas-spark weekly`, which "
            "compute from the facts what is missing. `cas-spark verify` lists every damaged file"
        )
    else:
        do = (
            f"{again}put this file back from a backup of the lake; without one start another lake "
            "from the same extracts, which gives the same digests. `cas-spark verify` lists the "
            "tables that are damaged"
        )
    return CasError(
        what=f"table {table} of the lake {root}, file {file}",
        found=f"a damaged or missing file: {reason[:LONGEST]}",
        expected="the bytes that were written",
        do=do,
    )
