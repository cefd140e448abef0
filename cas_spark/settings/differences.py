"""What a challenger's settings may change of the champion's, and what they change beside that."""

from collections.abc import Iterator
from typing import Any

from cas_spark.settings.settings import Settings, without_places

CHANGEABLE = (
    "title",
    "indicators",
    "training",
    "polls.count",
    "polls.allow_short_history",
    "resources",
)
"""Settings of which models are made; all others say what the facts are, and how they are judged."""


def differences(champion: Settings, challenger: Settings) -> list[str]:
    """Each setting of a challenger that no longer describes the champion's facts, as text.

    Places of files and of MLflow may differ: they say where something lies, not what it is.
    """
    theirs = dict(leaves(without_places(champion.model_dump(mode="json"))))
    ours = dict(leaves(without_places(challenger.model_dump(mode="json"))))
    return [
        f"{name} is {_shown(ours, name)}, was {_shown(theirs, name)}"
        for name in sorted({*theirs, *ours})
        if not _is_changeable(name) and _shown(ours, name) != _shown(theirs, name)
    ]


def _is_changeable(name: str) -> bool:
    return any(name == allowed or name.startswith(f"{allowed}.") for allowed in CHANGEABLE)


def _shown(values: dict[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "not there"


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every setting; items of a list by their name, or else their place."""
    if isinstance(value, dict):
        parts = [(key, part) for key, part in value.items()]
    elif isinstance(value, list):
        parts = [
            (part["name"] if isinstance(part, dict) and "name" in part else str(place), part)
            for place, part in enumerate(value)
        ]
    else:
        yield name, value
        return
    for key, part in parts:
        yield from leaves(part, f"{name}.{key}" if name else key)
