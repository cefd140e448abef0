"""Which settings decide how an extract is read, and whether they changed since it was."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel

from cas_spark.settings.delivered import DeliveredInName
from cas_spark.settings.differences import leaves
from cas_spark.settings.extracts import Extracts
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.settings.settings import Settings
from cas_spark.settings.suspects import SuspectExtracts

NOT_OF_READING = {"name", "files", "provenance", "complete_from", "delivered"}
"""Settings of a source that change no row; when it was `delivered` is compared by the day."""

NOT_OF_IDS = {
    *("kind", "known", "occurred", "timezone", "location", "grid_crs", "priority", "exclude"),
    *("correction", "reported_by", "case", "kinds", "decided", "code", "codes_of_incidents"),
    *("incident", "suspect"),
}
"""Settings that do not change a row's id, or only name the columns of it."""


def settings_of_reading(settings: Settings, name: str) -> dict[str, Any] | None:
    """What decides how the extracts of a source are read; None where there is no such source.

    Only values that differ from their defaults, so that a later version of the code, which knows
    more settings, finds the same.
    """
    source = _source(settings, name)
    if source is None:
        return None
    reading = {k: v for k, v in without_defaults(source).items() if k not in NOT_OF_READING}
    reading["timezone"] = source.timezone or settings.timezone
    if source.location is not None:
        reading["grid_crs"] = settings.grid.crs
    if isinstance(source, RevisionExtracts) and source.code is not None:
        [about] = [i for i in settings.incidents if i.name == source.incident.source]
        reading["codes_of_incidents"] = without_defaults(about.priority)
    return {"kind": source.kind, **reading}


def digest_of_reading(reading: Mapping[str, Any]) -> str:
    """The sha256 of what `settings_of_reading` returns, whatever the order of its names."""
    return hashlib.sha256(json.dumps(reading, sort_keys=True).encode()).hexdigest()


def differences_of_reading(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each setting that is another than it was, as text."""
    old, new = dict(leaves(before)), dict(leaves(now))
    return [
        f"{name} is {_shown(new, name)}, was {_shown(old, name)}"
        for name in sorted({*old, *new})
        if _shown(old, name) != _shown(new, name)
    ]


def settings_of_ids(settings: Settings, name: str) -> dict[str, Any] | None:
    """The part of `settings_of_reading` that can give a row another id.

    With a key the id is made of it, of a suspect's link by what it links, else of all values that
    are mapped.
    """
    source, reading = _source(settings, name), settings_of_reading(settings, name)
    if source is None or reading is None:
        return None
    kept = {key: value for key, value in reading.items() if key not in NOT_OF_IDS}
    if isinstance(source, SuspectExtracts):
        return kept | {key: reading.get(key) for key in ("incident", "case", "priority")}
    if "key" in kept:
        return kept
    geometry = source.location.geometry if source.location is not None else None
    return kept | {"columns": source.columns, "geometry": geometry}


def delivered_on(source: Extracts, name: str) -> date | None:
    """Return the local day on which an extract was delivered; None where the settings lack it.

    Args:
        source: of the extract.
        name: of its file.
    """
    if isinstance(source.delivered, DeliveredInName):
        return source.delivered.day_in(name)
    return source.delivered


def without_defaults(section: BaseModel) -> dict[str, Any]:
    """The values of a section that differ from their defaults, as JSON has them.

    Pydantic's own `exclude_defaults` keeps a value that a factory gave.
    """
    dumped = section.model_dump(mode="json")
    kept = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if not field.is_required() and value == field.get_default(call_default_factory=True):
            continue
        kept[name] = _plain(value, dumped[name])
    return kept


def _plain(value: Any, dumped: Any) -> Any:
    if isinstance(value, BaseModel):
        return without_defaults(value)
    if isinstance(value, list | tuple):
        return [_plain(item, as_json) for item, as_json in zip(value, dumped, strict=True)]
    if isinstance(value, dict):
        return {
            str(key): _plain(item, as_json)
            for (key, item), as_json in zip(value.items(), dumped.values(), strict=True)
        }
    return dumped


def _source(settings: Settings, name: str) -> Extracts | None:
    return next((source for source in settings.sources if source.name == name), None)


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "not there"
