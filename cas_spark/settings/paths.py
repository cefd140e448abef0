"""Paths in settings: relative ones are meant from the folder of the settings file."""

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
