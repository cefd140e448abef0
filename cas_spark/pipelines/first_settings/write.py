"""Init: a first settings file, from a look at an extract and at the teams' polygons."""

import os
import re
import unicodedata
from pathlib import Path

import yaml

from cas_spark.errors import CasError
from cas_spark.pipelines.check.extracts import counts_refused
from cas_spark.pipelines.first_settings.area import TeamsFile, look_at_teams
from cas_spark.pipelines.first_settings.draft import Findings, settings_text
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings.unfilled import unfilled
from cas_spark.sources.column_guesses import (
    code_columns,
    coordinates_of,
    counts_instead_of_incidents,
    end_column,
    key_column,
    known_columns,
    moment_columns,
    occurred_column,
    time_columns,
)
from cas_spark.sources.first_look import FirstLook, look_at_file

SETTINGS_FILE = "settings.yaml"


def init_settings(folder: Path, extract: Path, teams: Path | None) -> Report:
    """Write a first settings file, and return what was found and what is left to fill in.

    Args:
        folder: gets `settings.yaml`; made if need be.
        extract: a file of incidents, as delivered.
        teams: a file with the teams' polygons; None where there is none yet.

    Raises:
        CasError: there is a settings file already, a file cannot be read, or the extract holds
            counts in place of incidents.
    """
    path = folder / SETTINGS_FILE
    if os.path.lexists(path):  # unlike Path, it takes a name that is too long
        raise _there_already(path)
    look = look_at_file(extract)
    why = counts_instead_of_incidents(look)
    if why is not None:
        raise counts_refused(extract.name, why)
    found = findings_of(look, extract, look_at_teams(teams) if teams else None)
    text = settings_text(folder, found)
    yaml.safe_load(text)  # a file that is no YAML is never written
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise _there_already(path) from error
    except OSError as error:
        raise CasError(
            what=f"settings {path}",
            found=error.strerror or str(error),
            expected="a folder that may be written",
            do="Name another folder",
        ) from error
    return _report(path, found)


def findings_of(look: FirstLook, extract: Path, teams: TeamsFile | None) -> Findings:
    """Return what the columns of an extract seem to mean."""
    moments = moment_columns(look)
    occurred = occurred_column(moments)
    end = end_column(moments, occurred)
    places = coordinates_of(look)
    times = time_columns(look)
    taken = [moment.name for moment in moments] + list(times)
    taken += [places.x, places.y] if places else []
    key = key_column(look, taken)
    return Findings(
        extract=extract,
        source=plain_name(extract.name.split(".", maxsplit=1)[0], "crimes"),
        look=look,
        teams=teams,
        occurred=occurred,
        end=end,
        known=tuple(known_columns(moments, [occurred, end])),
        times=times,
        places=places,
        key=key,
        codes=tuple(code_columns(look, [*taken, *([key] if key else [])])),
    )


def plain_name(text: str, otherwise: str) -> str:
    """Return a name as settings have them, of small letters, digits and `_`, made of a text.

    Example:
        >>> plain_name("Crimes 2024-01", "crimes"), plain_name("2024", "crimes")
        ('crimes_2024_01', 'crimes_2024')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name or not name[0].isalpha():
        name = f"{otherwise}_{name}".rstrip("_")
    return name[:40].rstrip("_")


def _there_already(path: Path) -> CasError:
    return CasError(
        what=f"settings {path}",
        found="a file that is there already",
        expected="none, since it is never overwritten",
        do="Name another folder, or move the file away",
    )


def _report(path: Path, found: Findings) -> Report:
    look = found.look
    rows = [["format", look.format]]
    rows.append(["rows looked at", f"{look.rows:,}" + ("" if look.is_whole else " (the first)")])
    if look.text is not None:
        likely = "" if look.text.is_encoding_sure else " (likely)"
        rows.append(["encoding", look.text.encoding + likely])
        rows.append(["delimiter", repr(look.text.delimiter)])
    if found.key is not None:
        rows.append(["key", found.key])
    if found.occurred is not None:
        rows.append(["occurred", found.occurred.name])
    if found.known:
        rows.append(["known", found.known[0].name])
    if look.geometry is not None:
        rows.append(["geometry", look.geometry])
    elif found.places is not None:
        rows.append(["coordinates", f"{found.places.x}, {found.places.y}"])
    if found.codes:
        rows.append(["code", found.codes[0]])
    if found.teams is not None:
        rows.append(["teams", f"layer {found.teams.layer}, id {found.teams.id}"])
    return Report(
        [ReportTable(f"{found.extract.name}: what it seems to hold", ["what", "found"], rows)],
        [
            f"Wrote {path}. Look at every line of it; left to you:",
            *(f"  - {line}" for line in unfilled(path)),
            f"Then: cas-spark check --settings {path}",
        ],
    )
