"""What settings name that this machine or the program cannot reach, found before anything runs.

These checks look at the machine, so they belong to loading and not to the settings themselves: what
a past run recorded is read elsewhere too.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from cas_spark.settings.settings import Settings
from cas_spark.settings.zones import java_knows

SERVERS = ("http", "https", "databricks", "databricks-uc", "file")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Schemes of tracking stores that MLflow has; a database needs a driver."""

_LONGEST_NAME_BYTES = 255
_PLAIN_URI = re.compile(r"file:///[A-Za-z0-9._~/-]*")
_NOT_OF_A_LAKE = set("%`\\")
"""Characters of a path that Delta's libraries for Python and Spark misread."""


def problems_of_reach(settings: Settings) -> list[str]:
    """All places and time zones that cannot be used here, each with what to do."""
    return [
        *_problems_of_zones(settings),
        *_problems_of_lake(settings),
        *_problems_of_tracking(settings),
        *_problems_of_mlflow_places(settings),
    ]


def _problems_of_zones(settings: Settings) -> Iterator[str]:
    named = {"timezone": settings.timezone}
    for source in settings.sources:
        if source.timezone is not None:
            named[f"{source.kind}.{source.name}.timezone"] = source.timezone
    for where, zone in named.items():
        if not java_knows(zone):
            yield (
                f"{where}: {zone!r} is unknown to this machine's Java; update that, or "
                "give another name of the zone"
            )


def _problems_of_lake(settings: Settings) -> Iterator[str]:
    lake = settings.lake
    scheme = lake.split("://", 1)[0] if "://" in lake else ""
    if scheme in ("", "file"):
        yield from _problems_of_folder(lake, scheme)
        return
    if settings.resources.storage_access == "arrow":
        yield (
            f"lake: tasks cannot reach {scheme}:// themselves; set resources.storage_access: "
            "spark, so that Spark moves the bytes, or give a folder that all machines see"
        )
    if settings.tracking.uri is None:
        yield (
            f"tracking.uri: needed with a lake on {scheme}://, since MLflow's own database needs a "
            "local folder; give a server (http://…) or a database (postgresql://…)"
        )
    elif settings.tracking.artifacts is None and settings.tracking.uri.startswith(DATABASES):
        yield (
            f"tracking.artifacts: needed with a database and a lake on {scheme}://; give a folder "
            "or address that the driver and all readers reach"
        )


def _problems_of_folder(lake: str, scheme: str) -> Iterator[str]:
    if scheme and not _PLAIN_URI.fullmatch(lake):
        yield (
            f"lake: {lake!r} holds characters that Spark and Arrow read in two ways in an address; "
            "give the folder as a plain path, without file://"
        )
        return
    held = sorted(c for c in set(lake) if c in _NOT_OF_A_LAKE or category(c) == "Cc")
    if held:
        found = " and ".join(map(repr, held))
        yield (
            f"lake: {lake!r} holds {found}, which Delta's library takes for something else; rename "
            "the folder, or choose another"
        )
        return
    path = Path(lake.removeprefix("file://"))
    long = [part for part in path.parts if len(part.encode()) > _LONGEST_NAME_BYTES]
    if long:
        yield f"lake: a folder's name of {len(long[0].encode())} bytes; file systems take 255"
        return
    try:
        if path.exists() and not path.is_dir():
            yield f"lake: {lake!r} is a file, expected a folder"
    except OSError as error:
        yield f"lake: {lake!r} is no path here: {error.strerror}"


def _problems_of_tracking(settings: Settings) -> Iterator[str]:
    uri = settings.tracking.uri
    if uri is None:
        return
    scheme = uri.split(":", 1)[0]
    is_address = "://" in uri or scheme not in ("http", "https")
    if scheme in SERVERS and is_address:
        return
    if "://" not in uri or scheme.split("+", 1)[0] not in DATABASES:
        yield (
            "tracking.uri: none of a store that MLflow has; give a server (http://…) or a database "
            f"({', '.join(f'{name}://' for name in DATABASES)})"
        )
        return
    try:
        make_url(uri).get_dialect().import_dbapi()
    except ModuleNotFoundError as error:
        yield (
            f"tracking.uri: {scheme}:// needs the Python package {error.name}, which is not here; "
            "install it (`uv add` it to the project) or give a server (http://…)"
        )
    except (ArgumentError, NoSuchModuleError, ValueError):
        yield f"tracking.uri: cannot be read as the address of a {scheme} database"


def _problems_of_mlflow_places(settings: Settings) -> Iterator[str]:
    """Local places that MLflow reads in two ways, once as an address and once as a path."""
    uri, artifacts = settings.tracking.uri, settings.tracking.artifacts
    uses_lake = uri is None or (artifacts is None and not uri.startswith("http"))
    if "?" in settings.lake and "://" not in settings.lake and uses_lake:
        yield (
            f"lake: {settings.lake!r} holds ?, which MLflow's places inside it may not; rename the "
            "folder, or set tracking.uri and tracking.artifacts to other places"
        )
    if uri is not None and uri.startswith("sqlite") and set("%?") & set(uri):
        yield "tracking.uri: holds % or ?, which MLflow misreads in a path; use another folder"
    if artifacts is not None and set("%?") & set(artifacts):
        yield "tracking.artifacts: holds % or ?, which MLflow misreads; use another folder"
