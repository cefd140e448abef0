"""Paths in settings: relative ones are meant from the folder of the settings file."""

from glob import glob
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlparse

from pydantic import AfterValidator, ValidationInfo


def _resolve(value: str, info: ValidationInfo) -> str:
    """Make a local path absolute; leave a Hadoop path such as s3a://bucket/lake as it is."""
    if not value:
        message = "is empty, expected a path"
        raise ValueError(message)
    if "://" in value:
        return value
    folder = (info.context or {}).get("folder", Path.cwd())
    return str(Path(folder, value).resolve())


SettingsPath = Annotated[str, AfterValidator(_resolve)]


def local_files(pattern: str) -> list[str]:
    """Return the local files that a path or a shell pattern names, sorted; an empty list for none.

    A path that exists is meant as it stands, also where it holds signs of a pattern, such as
    `crimes[1].csv`.
    """
    if Path(pattern).is_file():
        return [pattern]
    return sorted(path for path in glob(pattern) if Path(path).is_file())


def _not_around_the_settings(value: str, info: ValidationInfo) -> str:
    """Refuse a folder for the program's own files that surely holds others: see `lake.place`.

    Settings without a file, such as those that a run recorded, have no folder.
    """
    parts = urlparse(value)
    if "://" in value and parts.scheme != "file":
        return value
    place = Path(unquote(parts.path) if "://" in value else value).resolve()
    folder = (info.context or {}).get("folder")
    if place == Path(place.anchor) or (folder is not None and Path(folder).is_relative_to(place)):
        found = "the settings file lies in it" if place != Path(place.anchor) else "all files do"
        message = f"{value}: {found}, expected a folder that holds nothing else, such as ./data"
        raise ValueError(message)
    return value


OwnFolder = Annotated[SettingsPath, AfterValidator(_not_around_the_settings)]
"""A folder for files that the program makes, and for no others."""
