"""Arguments that several commands take, and what they may be where their types do not say it."""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cas_spark.settings.section import FIRST_DAY, LAST_DAY
from cas_spark.settings.texts import one_line


def a_day(value: datetime | None) -> datetime | None:
    """A day that calendars reach: beyond them lie only slips."""
    if value is not None and not FIRST_DAY <= value.date() <= LAST_DAY:
        raise typer.BadParameter(f"{value.date()}: give a day from {FIRST_DAY} to {LAST_DAY}")
    return value


def plain_name(name: str) -> str:
    """A name that may stand in conditions, tags and folders."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name):
        found = one_line(repr(name), 80)
        raise typer.BadParameter(f"{found}: give letters, digits, - and _, at most 63")
    return name


def folder_of_models(path: str) -> str:
    """A folder from which Spark can read a model back: it takes the path for a pattern."""
    if set(path) & set("*?[]{}\\"):
        raise typer.BadParameter(
            f"{one_line(repr(path), 200)}: give a path without * ? [ ] {{ }} \\"
        )
    return path


def whole_path(path: str) -> str:
    """A path from the root of the file system; an address stays as it is."""
    return path if "://" in path else str(Path(path).resolve())


SettingsFile = Annotated[Path, typer.Option("--settings", help="Settings file (YAML).")]
Poll = Annotated[
    datetime | None,
    typer.Option(
        "--poll",
        formats=["%Y-%m-%d"],
        callback=a_day,
        help="Local date of the poll; default: the newest.",
    ),
]
Reread = Annotated[
    list[str] | None,
    typer.Option(
        "--reread",
        help="Source whose extracts are read again, by the settings of now; may be repeated.",
    ),
]
