"""The jars beside pyspark's: which ones, and whether they are there and right."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from places import JARS
from problem import SetupError

LIST = Path(__file__).resolve().parent / "jars.sha256"


@dataclass(frozen=True)
class Jar:
    """A jar: its Maven coordinates and the sha256 of its bytes."""

    coordinates: str
    sha256: str

    @property
    def name(self) -> str:
        """The name of its file, as the repository has it."""
        return "-".join(self.coordinates.split(":")[1:]) + ".jar"


@dataclass(frozen=True)
class JarList:
    """All jars, in the order in which Spark gets them."""

    jars: tuple[Jar, ...]

    @classmethod
    def read(cls, path: Path = LIST) -> "JarList":
        """Read the list.

        Raises:
            SetupError: a sum does not follow the coordinates of its file.
        """
        jars = []
        coordinates = ""
        for line in path.read_text().splitlines():
            if line.startswith("#"):
                coordinates = line.removeprefix("#").strip()
                continue
            sha256, name = line.split()
            jar = Jar(coordinates, sha256)
            if jar.name != name:
                raise SetupError(f"{path}: the line before {name!r} must be its coordinates")
            jars.append(jar)
        return cls(tuple(jars))

    def files(self, folder: Path = JARS) -> list[Path]:
        """Where the jars are."""
        return [folder / jar.name for jar in self.jars]

    def wrong_files(self, folder: Path) -> list[Jar]:
        """The jars that are missing there or have another sum."""
        return [jar for jar in self.jars if sum_of(folder / jar.name) != jar.sha256]


def sum_of(path: Path) -> str:
    """The sha256 of a file, or nothing where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
