"""Paths in settings: relative ones are meant from the folder of the settings file."""

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlparse

from pydantic import AfterValidator, ValidationInfo


def _resolve(value: str, info: ValidationInfo) -> str:
    """Make a local path absolute; leave a Hadoop path such as s3a://bucket/lake as it is."""
    if "://" in value:
        return value
    folder = (info.context or {}).get("folder", Path.cwd())
    return str(Path(folder, value).resolve())


SettingsPath = Annotated[str, AfterValidator(_resolve)]


def local_path(place: str) -> Path | None:
    """A path as the local file system knows it, or None where it lies elsewhere."""
    if "://" not in place:
        return Path(place)
    parts = urlparse(place)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
