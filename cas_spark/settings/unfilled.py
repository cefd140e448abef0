"""What a first settings file leaves open: values that begin with FILL IN, for a person to give."""

from pathlib import Path
from typing import Any

from cas_spark.settings.yaml_file import UnreadableError, read_yaml

FILL_IN = "FILL IN"
"""How a value begins that is still to be given; what follows says what is wanted."""


def unfilled(path: Path) -> list[str]:
    """Return what is still to fill in in a settings file, by the place of each value.

    A file that cannot be read has nothing to fill in; `load_settings` says what is wrong with it.
    """
    try:
        content = read_yaml(path)
    except UnreadableError:
        return []
    return [f"{place}: {wanted}" for place, wanted in _open_values(content, "")]


def _open_values(content: Any, place: str) -> list[tuple[str, str]]:
    if isinstance(content, dict):
        parts = [(f"{place}.{key}".removeprefix("."), value) for key, value in content.items()]
    elif isinstance(content, list):
        parts = [(f"{place}[{number}]", value) for number, value in enumerate(content, 1)]
    elif isinstance(content, str) and content.startswith(FILL_IN):
        return [(place, f"still to {FILL_IN.lower()}{content.removeprefix(FILL_IN)}")]
    else:
        return []
    return [found for name, value in parts for found in _open_values(value, name)]
