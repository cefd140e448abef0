"""Paths in settings: relative ones are meant from the folder of the settings file."""

from glob import glob
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def _resolve(value: str, info: ValidationInfo) -> str:
    """Make a local path absolute; leave a Hadoop path such as s3a://bucket/lake as it is."""
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
