"""Outputs: folders of files for people, replaced only where a list proves that they are ours.

The list lies beside the folder, as `NAME.files.json`: each file's path and the sha256 of its bytes.
While a command writes, `NAME.writing.json` names what it is going to write, so that what a killed
one left is known too.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import PurePosixPath

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake.removing import is_unfinished, listed
from cas_spark.platform import storage

FILES, WRITING = ".files.json", ".writing.json"
"""How the names of the two lists end."""


def _nothing(_: str) -> bool:
    return False


@dataclass(frozen=True)
class Outputs:
    """What a command puts into a folder for people to use.

    Attributes:
        spark: the session.
        folder: local, or any that Hadoop can reach; others may put files there too.
        roots: names of the folders and files in it that the command makes.
        is_expected: whether a path below `folder` is one that the command may make, where the names
            of its files are not known before.
    """

    spark: SparkSession
    folder: str
    roots: tuple[str, ...]
    is_expected: Callable[[str], bool] = _nothing

    def others(self) -> list[str]:
        """The files there that no list proves to be ours, as paths below `folder`; sorted."""
        is_ours = self._proof()
        return [name for name in self._there() if not is_ours(name)]

    def check(self) -> None:
        """See to it that nothing lies there but what an earlier command made.

        Raises:
            CasError: something else does, or a file was changed since.
        """
        others = self.others()
        if others:
            raise CasError(
                what=" and ".join(f"{self.folder}/{root}" for root in self.roots),
                found=f"{listed(others)}; {self._path(FILES)} does not list "
                f"{'it' if len(others) == 1 else 'them'} as cas-spark made files",
                expected="nothing, or just what an earlier command made, unchanged",
                do="Nothing was changed. Move these files away, or name another folder",
            )

    def begin(self, names: Iterable[str] = ()) -> None:
        """Remove what an earlier command made there, and write down what this one is going to make.

        A file that cas-spark did not make and that has the name of one to come is renamed.

        Args:
            names: of the files, as paths below `folder`, where they are known.
        """
        coming = list(names)
        is_ours = self._proof()
        for name in self._there():
            if is_ours(name):
                storage.delete(self.spark, f"{self.folder}/{name}")
            elif name in coming:
                self._set_aside(name)
        self._remove_empty_folders()
        self._write(WRITING, dict.fromkeys(coming))
        storage.delete(self.spark, self._path(FILES))

    def end(self, sums: Mapping[str, str] | None = None) -> None:
        """Write down what was made.

        Args:
            sums: path below `folder` -> sha256; None to have the files read that it makes.
        """
        begun = self._read(WRITING) or {}
        there = self._there() if sums is None else []
        made = [name for name in there if name in begun or self.is_expected(name)]
        read = {name: storage.sha256_of(self.spark, f"{self.folder}/{name}") for name in made}
        self._write(FILES, read if sums is None else sums)
        storage.delete(self.spark, self._path(WRITING))

    def removable(self, of_earlier_version: Iterable[str] = ()) -> list[str] | None:
        """The files that were made, also those that were changed since; as paths below `folder`.

        Args:
            of_earlier_version: those that an earlier version, which kept no list, would have made.

        Returns:
            None where there is no list, and only files that cas-spark did not make.
        """
        lists = [found for found in map(self._read, (FILES, WRITING)) if found is not None]
        known = {name for found in lists for name in found} if lists else set(of_earlier_version)
        there = self._there()
        ours = [name for name in there if name in known or is_unfinished(name)]
        return ours if lists or ours or not there else None

    def remove(self, of_earlier_version: Iterable[str] = ()) -> list[str]:
        """Remove the files that are `removable`, and the lists.

        Returns:
            The paths below `folder` of the files that stay; sorted.
        """
        for name in self.removable(of_earlier_version) or ():
            storage.delete(self.spark, f"{self.folder}/{name}")
        self._remove_empty_folders()
        for ending in (FILES, WRITING):
            storage.delete(self.spark, self._path(ending))
        return self._there()

    def _proof(self) -> Callable[[str], bool]:
        """Whether a file is ours, by its path below `folder`."""
        made, begun = self._read(FILES) or {}, self._read(WRITING)

        def is_ours(name: str) -> bool:
            if is_unfinished(name):
                return True
            if begun is not None and (name in begun or self.is_expected(name)):
                return True
            return name in made and self._sum(name) == made[name]

        return is_ours

    def _sum(self, name: str) -> str | None:
        """The sha256 of a file; None where Hadoop says that it is not what was written."""
        try:
            return storage.sha256_of(self.spark, f"{self.folder}/{name}")
        except Py4JJavaError:
            return None

    def _there(self) -> list[str]:
        found = []
        for root in self.roots:
            place = f"{self.folder}/{root}"
            if storage.is_file(self.spark, place):
                found.append(root)
            else:
                found += [f"{root}/{name}" for name in storage.relative_files(self.spark, place)]
        return sorted(found)

    def _set_aside(self, name: str) -> None:
        path = PurePosixPath(name)
        free = (path.with_name(f"{path.stem} (kept {n}){path.suffix}") for n in count(1))
        place = next(
            f"{self.folder}/{other}"
            for other in free
            if not storage.exists(self.spark, f"{self.folder}/{other}")
        )
        storage.rename(self.spark, f"{self.folder}/{name}", place)

    def _remove_empty_folders(self) -> None:
        for root in self.roots:
            if not storage.is_file(self.spark, f"{self.folder}/{root}"):
                storage.delete_empty_folders(self.spark, f"{self.folder}/{root}")

    def _path(self, ending: str) -> str:
        return f"{self.folder}/{self.roots[0]}{ending}"

    def _read(self, ending: str) -> dict[str, str | None] | None:
        """The files of a list; None where it is not there, or was cut off as it was written."""
        try:
            content = json.loads(storage.read_text(self.spark, self._path(ending)))
            return dict(content["files"])
        except (Py4JJavaError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _write(self, ending: str, files: Mapping[str, str | None]) -> None:
        content = {"made_by": "cas-spark", "files": dict(sorted(files.items()))}
        storage.write_text(self.spark, self._path(ending), json.dumps(content, indent=1) + "\n")
