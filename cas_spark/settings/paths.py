"""Paths in settings: relative ones are meant from the folder of the settings file."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

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
    if "://" in value:
        return value
    if _HALF_A_SCHEME.match(value):
        message = (
            f"{value!r} has one slash after the colon: write two for an address such as "
            f"s3a://bucket/lake, or begin a folder's path with ./"
        )
        raise ValueError(message)
    folder = (info.context or {}).get("folder", Path.cwd())
    try:
        return str(Path(folder, value).resolve())
    except (OSError, RuntimeError) as error:  # a name that is too long, links in a circle
        message = f"{value!r} is no path here: {error}"
        raise ValueError(message) from error


SettingsPath = Annotated[str, BeforeValidator(_as_written), AfterValidator(_resolve)]
