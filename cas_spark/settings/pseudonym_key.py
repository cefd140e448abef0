"""The pseudonym key: the secret without which no register leads to an id in the lake."""

import itertools
import math
import os
import re
import secrets
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from cas_spark.errors import CasError
from cas_spark.settings.paths import SettingsPath, local_path
from cas_spark.settings.section import Section

LEAST_BITS = 128
LOOKED_AT = 1 << 10
"""Bytes of a key that are looked at: to find what repeats takes the square of their number."""

FEWEST_DIFFERENT = 8
"""Different bytes or characters; of 16 random bytes there are fewer once in 10¹¹ keys."""

LARGEST_SHARE_OF_A_STEP = 1 / 3
LARGEST_SHARE_OF_WORDS = 0.8
ENDING = ".key"
"""Of the file beside a local lake that holds its key where the settings name none."""

_WORDS = re.compile(r"(?:[a-z]{4,}|[A-Z][a-z]{3,}|[A-Z]{4,})[ _.,;:!?/'-]*")
_KINDS = ((r"[a-z]", 26), (r"[A-Z]", 26), (r"[0-9]", 10), (r"[^a-zA-Z0-9]", 33))


class PseudonymKey(Section):
    """Where the secret lies that makes pseudonyms of incidents, cases, revisions and persons.

    In a file or in the environment. It is read when extracts are ingested, and never stored.
    """

    file: SettingsPath | None = Field(
        default=None,
        description="file whose bytes are the key, outside the lake and readable by its owner "
        "only; the first command on a new lake makes it",
    )
    environment: str | None = Field(default=None, description="variable that holds the key")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.environment is None):
            message = "give either file or environment"
            raise ValueError(message)
        return self

    @classmethod
    def beside(cls, lake: str) -> Self | None:
        """The default: the file `LAKE.key`; None where the lake is no local folder."""
        path = local_path(lake)
        return None if path is None else cls(file=f"{path}{ENDING}")

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self.file is not None and not Path(self.file).exists()

    def make(self) -> None:
        """Write a new key into its file, unless there is one: whole or not at all.

        Raises:
            CasError: the file cannot be written.
        """
        path = Path(self.file or "")
        unfinished = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "w") as file:
                    file.write(f"{secrets.token_hex(32)}\n")
                    file.flush()
                    os.fsync(handle)
                os.link(unfinished, path)  # unlike a renaming it never replaces a key
            finally:
                unfinished.unlink()
        except FileExistsError:
            return
        except OSError as error:
            raise self._unusable(error.strerror or "a file that cannot be written") from error

    def read(self) -> bytes:
        """The key, without the white space around it.

        Raises:
            CasError: it cannot be read, can be guessed, or can be read by others.
        """
        if self.file is None:
            key = os.environb.get(os.fsencode(self.environment or ""), b"").strip()
        else:
            try:
                self._check_reach(Path(self.file).stat().st_mode)
                key = Path(self.file).read_bytes().strip()
            except OSError as error:
                raise self._unusable(error.strerror or "no such file") from error
        weakness = weakness_of(key)
        if weakness is not None:
            raise self._unusable(weakness)
        return key

    def _check_reach(self, mode: int) -> None:
        if not stat.S_ISREG(mode):  # to read a pipe or device may never end
            raise self._unusable("a folder, pipe or device")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CasError(
                what=f"the pseudonym key in {self._where}",
                found=f"mode {stat.S_IMODE(mode):04o}: others than its owner can reach it",
                expected="a file that only its owner can read",
                do=f"Type `chmod 600 '{self.file}'`; make a new key for a new lake where "
                "other people may have read it",
            )

    @property
    def _where(self) -> str:
        if self.file is not None:
            return f"the file {self.file}"
        return f"the environment variable {self.environment}"

    def _unusable(self, found: str) -> CasError:
        return CasError(
            what=f"the pseudonym key in {self._where}",
            found=found,
            expected=f"a random secret of at least {LEAST_BITS} bits",
            do="Put one there, such as `openssl rand -hex 32` makes, and keep the same one for "
            "the life of the lake; nothing was read",
        )


def weakness_of(key: bytes) -> str | None:
    """Return why a key looks guessable; None where it does not."""
    if not key:
        return "nothing"
    if len(key) < LEAST_BITS // 8:
        return f"{len(key)} bytes"
    key = key[:LOOKED_AT]
    signs, bits = _signs(key)
    signs_of_weakness = {
        f"{len(signs)} characters, which can hold {bits:.0f} bits": bits < LEAST_BITS,
        f"{len(set(signs))} different bytes": len(set(signs)) < FEWEST_DIFFERENT,
        "a pattern that repeats": _is_repeated(signs) or _is_a_sequence(signs),
        "words": _is_words(key),
    }
    return next((weakness for weakness, is_so in signs_of_weakness.items() if is_so), None)


def _signs(key: bytes) -> tuple[Sequence[int], float]:
    """The bytes or characters of a key, and how many bits they can hold at most."""
    text = key.decode("ascii", errors="replace")
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        signs = bytes.fromhex(text)
        return signs, 8.0 * len(signs)
    if not text.isprintable() or "\ufffd" in text:
        return key, 8.0 * len(key)
    alphabet = sum(size for kind, size in _KINDS if re.search(kind, text))
    return key, len(key) * math.log2(alphabet)


def _is_repeated(signs: Sequence[int]) -> bool:
    return any(
        all(signs[place] == signs[place - period] for place in range(period, len(signs)))
        for period in range(1, len(signs) // 2 + 1)
    )


def _is_a_sequence(signs: Sequence[int]) -> bool:
    """Whether many signs follow the one before by the same step, as in 0123 and aabb."""
    steps = Counter(after - before for before, after in itertools.pairwise(signs))
    return max(steps.values()) >= LARGEST_SHARE_OF_A_STEP * (len(signs) - 1)


def _is_words(key: bytes) -> bool:
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return False
    if re.fullmatch(r"[0-9a-fA-F]+", text):
        return False
    of_words = sum(len(match.group()) for match in _WORDS.finditer(text))
    return of_words >= LARGEST_SHARE_OF_WORDS * len(text)
