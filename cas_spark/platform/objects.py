"""Small files that appear whole or not at all, without Spark or a JVM."""

import os
from pathlib import Path
from uuid import uuid4

UNFINISHED = ".unfinished"
"""How the names of files end that are being written, or were when the writer was killed."""


def draft_of(name: str) -> str:
    """Return a name for a file that gets `name` once it is whole."""
    return f".{name}-{uuid4().hex}{UNFINISHED}"


class NoHardLinksError(OSError):
    """A file system on which a file cannot get a second name."""


class LocalFolder:
    """The files of one folder of a local disk.

    A process that is killed leaves a whole file or none, and at most a draft, which `names` omits.

    Attributes:
        path: of the folder, which the first file makes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """Write a file unless one of that name exists; of several writers at once one succeeds.

        Returns:
            Whether this call wrote the file, which is then on the disk also after a power failure.

        Raises:
            OSError: the disk is full or read-only.
            NoHardLinksError: the file system has no hard links.
        """
        draft = self._write_draft(name, content)
        try:
            os.link(draft, self.path / name)  # unlike a renaming it never replaces a file
        except FileExistsError:
            return False
        except OSError as error:
            raise NoHardLinksError(*error.args, str(self.path)) from error
        finally:
            draft.unlink()
        self._flush_names()
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in place of the one of that name.

        Raises:
            OSError: the disk is full or read-only.
        """
        self._write_draft(name, content).replace(self.path / name)
        self._flush_names()

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: no file has that name.
        """
        return (self.path / name).read_bytes()

    def names(self) -> list[str]:
        """Return the names of all whole files in order; none where the folder does not exist."""
        if not self.path.exists():
            return []
        return sorted(
            file.name for file in self.path.iterdir() if not file.name.endswith(UNFINISHED)
        )

    def _write_draft(self, name: str, content: bytes) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / draft_of(name)
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return draft

    def _flush_names(self) -> None:
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
