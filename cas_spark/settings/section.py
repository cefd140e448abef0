"""The base of every settings section: frozen, and closed to names it does not know."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from cas_spark.settings.text import as_seen

VERBATIM = {"comment", "delimiter"}
"""Keys whose value is meant character by character."""
PLACES = {"artifacts", "file", "files", "folder", "lake", "path", "uri"}
"""Keys of places, whose names may hold any character but for white space at their ends."""


class Section(BaseModel):
    """A part of the settings that a user writes.

    Unknown keys are refused, so that a typing error never silently means the default. Text is as a
    person sees it (see `settings.text`), as are the files that it is compared with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _text_as_seen(cls, content: Any) -> Any:
        return _as_seen_throughout(content)


def _as_seen_throughout(value: Any) -> Any:
    if isinstance(value, str):
        return as_seen(value)
    if isinstance(value, list):
        return [_as_seen_throughout(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_meant(key, part) for key, part in value.items()}
    return value


def _as_meant(key: str, value: Any) -> Any:
    if isinstance(value, str) and key in PLACES:
        return value.strip()
    return value if key in VERBATIM else _as_seen_throughout(value)
