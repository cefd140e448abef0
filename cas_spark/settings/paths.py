"""Paths in settings: relative ones are meant from the folder of the settings file."""

import os
import re
from glob import escape, glob
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlparse

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from cas_spark.settings.redaction import redacted

LONGEST = 4_000
"""Characters; Linux takes 4,096 bytes."""
_HALF_A_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/[^/]")


def _as_written(value: Any) -> Any:
    """Refuse white space at the ends, which all other texts lose: it may belong to the name."""
    if not isinstance(value, str):
        return value
    if not value:
        message = "is empty, expected a path; . is the folder of the settings file"
        raise ValueError(message)
    if len(value) > LONGEST:
        message = f"a path of {len(value)} characters, expected at most {LONGEST}"
        raise ValueError(message)
    if value != value.strip():
        message = f"the path {value!r} begins or ends with white space: rename it without"
        raise ValueError(message)
    return value


def _resolve(value: str, info: ValidationInfo) -> str:
    """Make a local path absolute; leave a Hadoop path such as s3a://bucket/lake as it is."""
    if not value:
        message = "is empty, expected a path"
        raise ValueError(message)
    if "://" in value:
        return value
    if _HALF_A_SCHEME.match(value):
        shown = redacted(value.replace(":/", "://", 1))
        message = (
            f"has one slash after the colon: write two for an address, {shown!r}, or begin a "
            "folder's path with ./"
        )
        raise ValueError(message)
    folder = (info.context or {}).get("folder", Path.cwd())
    try:
        return str(Path(folder, value).resolve())
    except (OSError, RuntimeError) as error:  # a name that is too long, links in a circle
        message = f"{value!r} is no path here: {error}"
        raise ValueError(message) from error


SettingsPath = Annotated[str, BeforeValidator(_as_written), AfterValidator(_resolve)]


def local_path(place: str) -> Path | None:
    """A path as the local file system knows it, or None where it lies elsewhere."""
    if "://" not in place:
        return Path(place)
    parts = urlparse(place)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def local_files(pattern: str) -> list[str]:
    """Return the local files that a path or a shell pattern names, sorted; an empty list for none.

    A file or a folder that exists is meant as it stands, also where its name holds signs of a
    pattern, such as `crimes[1].csv` or `[2024]/crimes*.csv`.
    """
    there = pattern
    while there and not os.path.exists(there):  # noqa: PTH110  # unlike Path, it takes a long name
        there = os.path.dirname(there)  # noqa: PTH120
    found = glob(escape(there) + pattern[len(there) :])
    return sorted(path for path in found if Path(path).is_file())


def _not_around_the_settings(value: str, info: ValidationInfo) -> str:
    """Refuse a folder for the program's own files that surely holds others: see `lake.place`.

    Settings without a file, such as those that a run recorded, have no folder.
    """
    place = local_path(value)
    if place is None:
        return value
    place = place.resolve()
    folder = (info.context or {}).get("folder")
    if place == Path(place.anchor) or (folder is not None and Path(folder).is_relative_to(place)):
        found = "the settings file lies in it" if place != Path(place.anchor) else "all files do"
        message = f"{value}: {found}, expected a folder that holds nothing else, such as ./data"
        raise ValueError(message)
    return value


OwnFolder = Annotated[SettingsPath, AfterValidator(_not_around_the_settings)]
"""A folder for files that the program makes, and for no others."""
