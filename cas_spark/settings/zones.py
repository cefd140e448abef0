"""Time zones that both Python and Spark know: Spark's are those of its Java."""

import os
import struct
from functools import cache
from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator

from cas_spark.settings.nearest import nearest

RUNTIME = Path(__file__).resolve().parents[2] / ".runtime"
_ZONES_OF_JAVA = Path("lib", "tzdb.dat")

_OF_NO_PLACE = {"Factory", "ROC", "localtime", "posixrules"}
"""Files of the system's database that are no zones to Java; nor are copies of it below these."""
_COPIES = ("posix/", "right/")


@cache
def _names() -> list[str]:
    """The zones that Python knows and that are names to Java as well."""
    return sorted(
        name
        for name in available_timezones()
        if name not in _OF_NO_PLACE and not name.startswith(_COPIES)
    )


def _known_zone(value: str) -> str:
    if value not in _names():
        close = nearest(value, _names())
        example = close[0] if close else "Europe/Amsterdam"
        message = f"{value!r} is not a time zone: give an IANA name such as {example}"
        raise ValueError(message)
    return value


ZoneName = Annotated[str, AfterValidator(_known_zone)]


def java_knows(zone: str) -> bool:
    """Whether this machine's Java knows a zone; yes where there is no Java to be asked.

    Zones are added now and then, and Java brings a database of its own.
    """
    homes = [RUNTIME / "java", *(Path(home) for home in [os.environ.get("JAVA_HOME")] if home)]
    found = [home / _ZONES_OF_JAVA for home in homes if (home / _ZONES_OF_JAVA).is_file()]
    return not found or zone in _regions(found[0]) or zone in _SHORT


_SHORT = {"EST", "GMT+0", "GMT-0", "HST", "MST"}
"""Fixed offsets that Spark reads by these names."""


@cache
def _regions(file: Path) -> frozenset[str]:
    """The zones of a tzdb.dat; empty where it is of a form that is not known.

    It begins with a byte, its kind, its versions and its regions, as Java's DataOutput writes them.
    """
    data, place = file.read_bytes(), 1

    def number() -> int:
        nonlocal place
        [value] = struct.unpack_from(">H", data, place)
        place += 2
        return int(value)

    def text() -> str:
        nonlocal place
        length = number()
        place += length
        return data[place - length : place].decode("ascii")

    if text() != "TZDB":
        return frozenset()
    for _ in range(number()):
        text()
    return frozenset(text() for _ in range(number()))
