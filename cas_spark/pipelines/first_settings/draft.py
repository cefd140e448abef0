"""The text of a first settings file: what was found, and comments for what was not."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from pyproj import CRS

from cas_spark.pipelines.first_settings.area import Box, TeamsFile, lies_in, middle_of, plane_of
from cas_spark.settings.unfilled import FILL_IN
from cas_spark.sources.column_guesses import (
    Coordinates,
    MomentColumn,
    codes_of,
    hours_from_utc,
    is_of_changes,
)
from cas_spark.sources.first_look import FirstLook

MONDAY = 7
CODES_LISTED = 500


@dataclass(frozen=True)
class Findings:
    """What a look at an extract found.

    Attributes:
        extract: path of the file.
        source: name for it in the settings.
        look: what the file holds.
        teams: the teams' polygons; None without a file of them.
        occurred, end: when an incident happened or began, and until when.
        known: columns that may hold when a row became known, the likeliest first.
        times: columns of times of the day, and how they are written.
        places: columns with coordinates.
        key: column that identifies a row.
        codes: columns that may hold the offence, the likeliest first.
    """

    extract: Path
    source: str
    look: FirstLook
    teams: TeamsFile | None
    occurred: MomentColumn | None
    end: MomentColumn | None
    known: tuple[MomentColumn, ...]
    times: Mapping[str, str]
    places: Coordinates | None
    key: str | None
    codes: tuple[str, ...]

    @property
    def degrees(self) -> Box | None:
        """The box around the places in degrees, where they are given in degrees."""
        if self.places is not None and self.places.is_degrees:
            return self.places.box
        return self.teams.degrees if self.teams else None

    @property
    def first_day(self) -> date | None:
        """The day of the first occurrence."""
        return self.occurred.first.date() if self.occurred else None


def settings_text(folder: Path, found: Findings) -> str:
    """Return the text of a settings file.

    Args:
        folder: in which it is going to lie, from which places are meant.
        found: in the extract.
    """
    lines = [
        f"# Written by `cas-spark init` from {_line(found.extract.name)}. Look at every line.",
        f"# A value that begins with {FILL_IN} is yours to give: `cas-spark check --settings FILE`",
        "# names each of them, and then tries the settings on the first rows.",
        "",
        *_head(found),
        "",
        *_grid(folder, found),
        "",
        "incidents:",
        f"  {found.source}:",
        *(f"    {line}" if line else "" for line in _source(folder, found)),
    ]
    return "\n".join(lines) + "\n"


def quoted(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")


def fill_in(wanted: str) -> str:
    """Return a value that is still to be given."""
    return quoted(f"{FILL_IN}: {wanted}")


def _line(text: str) -> str:
    """A text that may stand in a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())


def _head(found: Findings) -> Iterator[str]:
    yield f"name: {found.source}"
    yield f"title: {fill_in('what people read above figures, such as Springfield, 2018-2025')}"
    if found.degrees is not None:
        longitude, _ = middle_of(found.degrees)
        hours = hours_from_utc(longitude)
        yield f"# By the sun, longitude {longitude:.1f} is {hours:+d} h from UTC; laws may differ."
    yield f"timezone: {fill_in('the IANA name of the local time, such as Europe/Amsterdam')}"
    yield "lake: lake                     # a folder of its own, which the first run makes"
    yield ""
    yield "priorities:                    # what is forecast: a short name and a title for each"
    wanted = fill_in("such as Burglary; rename priority_1 here and in codes")
    yield f"  priority_1: {{title: {wanted}}}"


def _grid(folder: Path, found: Findings) -> Iterator[str]:
    teams = found.teams
    first = found.first_day
    yield "grid:"
    yield "  version: v1"
    if first is None:
        yield f"  valid_from: {fill_in('a Monday, not after the first poll learned from')}"
    else:
        yield "  # The first Monday of the extract. With removal rules choose a later one: they see"
        yield "  # only incidents known before it; never one after the first poll learned from."
        yield f"  valid_from: {first + timedelta(days=-first.weekday() % MONDAY)}"
    plane = plane_of(teams, found.degrees)
    if plane is None:
        yield f"  crs: {fill_in('a projected CRS in metres, such as EPSG:28992')}"
    else:
        name = _line(CRS.from_user_input(plane).name)
        yield f"  crs: {quoted(plane)}            # {name}; cells are squares of 125 m on it"
    yield "  teams:"
    if teams is None:
        yield f"    path: {fill_in('a GeoPackage with the polygons of the teams')}"
        yield f"    layer: {fill_in('the name of its layer')}"
        yield f"    id: {fill_in('the column with the id of the team')}"
        return
    if not teams.is_geopackage:
        yield f"    # {_line(teams.path.name)} is no GeoPackage: make one of it first."
        yield f"    path: {fill_in(f'a GeoPackage made of {teams.path.name}')}"
    else:
        yield f"    path: {quoted(_relative(teams.path, folder))}"
    if teams.crs is None:
        yield "    # The file does not say its CRS; it must, before it can be used."
    yield f"    layer: {quoted(teams.layer)}"
    if teams.others:
        yield f"    # other layers: {_line(', '.join(teams.others))}"
    id_column = quoted(teams.id) if teams.id else fill_in("the column with the id of the team")
    yield f"    id: {id_column}"
    yield f"    # columns: {_line(', '.join(teams.columns))}"


def _source(folder: Path, found: Findings) -> Iterator[str]:
    yield f"files: {quoted(_relative(found.extract, folder))}   # or a pattern such as crimes_*.csv"
    yield from _form(found)
    yield "provenance:"
    yield f"  source: {fill_in('who delivered it')}"
    yield f"  purpose: {fill_in('what it may be used for')}"
    yield f"  legal_basis: {fill_in('why it may be used')}"
    first = found.first_day
    whole = "" if found.look.is_whole else f"; of the first {found.look.rows:,} rows only"
    if first is None:
        yield f"complete_from: {fill_in('the first day of which all rows are delivered')}"
    else:
        yield f"# The day of the earliest row{whole}: are all rows there from then on?"
        yield f"complete_from: {first}"
    if found.key is None:
        yield "# key: []                    # columns that identify an incident; none seems to"
    else:
        yield f"key: [{quoted(found.key)}]"
    yield from _occurred(found)
    yield from _known(found)
    yield from _location(found)
    yield from _priority(found)


def _form(found: Findings) -> Iterator[str]:
    look, text = found.look, found.look.text
    yield f"format: {look.format}"
    if look.layers:
        yield f"layer: {quoted(look.layers[0])}"
        if look.layers[1:]:
            yield f"# other layers: {_line(', '.join(look.layers[1:]))}"
    if found.places is not None and found.places.decimal == ",":
        yield "decimal: ','"
    if text is None:
        return
    if text.delimiter != ",":
        yield f"delimiter: {quoted('tab' if text.delimiter == chr(9) else text.delimiter)}"
    if text.encoding != "utf-8":
        sure = "" if text.is_encoding_sure else "   # a guess: not UTF-8. Do accents look right?"
        yield f"encoding: {text.encoding}{sure}"
    if text.lines_before_header:
        yield f"lines_before_header: {text.lines_before_header}"
    if text.trailing_delimiter:
        yield "trailing_delimiter: true"
    if not text.has_header:
        yield "# The file has no header line: give its columns names, here and below."
        yield f"header: {quoted(list(text.header))}"


def _formats(moment: MomentColumn) -> Iterator[str]:
    if moment.guess is None:
        return
    yield f"  formats: {quoted(list(moment.guess.patterns))}"
    if moment.guess.others:
        yield "  # No value shows whether the day or the month comes first. If it is the month:"
        yield f"  # formats: {quoted(list(moment.guess.others))}"


def _occurred(found: Findings) -> Iterator[str]:
    moment, end = found.occurred, found.end
    yield "occurred:"
    if moment is None:
        yield f"  start: {fill_in('the column with the moment at which it happened, or began')}"
        yield f"  formats: [{fill_in('how it is written, such as yyyy-MM-dd HH:mm')}]"
        yield f"  earliest: {fill_in('a date; older incidents are rejected')}"
        return
    yield f"  start: {quoted(moment.name)}"
    if end is not None:
        yield f"  end: {quoted(end.name)}      # the end of the interval, it seems"
    formats = list(_formats(moment))
    if end is not None and end.guess is not None and moment.guess is not None:
        both = dict.fromkeys([*moment.guess.patterns, *end.guess.patterns])
        formats[0] = f"  formats: {quoted(list(both))}"
    yield from formats
    if not moment.has_day:
        yield "  # Only the month is given. `precision: month` uses such rows, each in the middle"
        yield "  # of its month; they cannot say in which week anything happened."
        yield "  precision: month"
    elif not moment.has_time:
        yield from _with_time(found, moment)
    yield f"  earliest: {moment.first.date()}     # older ones are rejected, such as slips of 1900"


def _with_time(found: Findings, moment: MomentColumn) -> Iterator[str]:
    """Where the time of the day may stand in a column of its own."""
    yield "  # No time of the day is given in this column."
    formats = list(moment.guess.patterns) if moment.guess else []
    for name, pattern in found.times.items():
        whole = {
            "date": moment.name,
            "date_formats": formats,
            "time": name,
            "time_formats": [pattern],
        }
        yield f"  # Perhaps in place of start and formats: start: {quoted(whole)}"


def _known(found: Findings) -> Iterator[str]:
    yield "# The most important line: from when on could the row be read? See docs/your-data.md."
    yield "known:"
    if not found.known:
        yield "  # No column has it. Where you are willing to assume a delay, leave column out:"
        yield "  # rule: assumed_delay, delay_days: 7; every figure is then labelled as assumed."
        yield f"  column: {fill_in('the column with the moment at which it was reported')}"
        yield "  rule: as_given"
        return
    moment = found.known[0]
    yield f"  column: {quoted(moment.name)}"
    if found.known[1:]:
        names = ", ".join(other.name for other in found.known[1:])
        yield f"  # other candidates: {_line(names)}"
    if is_of_changes(moment):
        yield "  # It seems to hold when a row was last changed, later than when it was known."
    yield from _formats(moment)
    if not moment.has_day:
        yield "  rule: next_month             # it names the month only"
    elif not moment.has_time:
        yield "  rule: next_day               # it names the day only: known once the day is over"
    else:
        yield "  rule: as_given"


def _location(found: Findings) -> Iterator[str]:
    places, look = found.places, found.look
    if look.geometry is not None:
        crs = quoted(look.crs) if look.crs else fill_in("the CRS, which the file does not say")
        yield f"location: {{geometry: {quoted(look.geometry)}, crs: {crs}}}"
        return
    if places is None:
        yield "location:"
        yield f"  x: {fill_in('the column with the easting or longitude')}"
        yield f"  y: {fill_in('the column with the northing or latitude')}"
        yield f"  crs: {fill_in('of these, such as EPSG:4326 for degrees')}"
        return
    left, bottom, right, top = places.box
    yield f"location:                      # x {left:g} to {right:g}, y {bottom:g} to {top:g}"
    yield f"  x: {quoted(places.x)}"
    yield f"  y: {quoted(places.y)}"
    if places.is_degrees:
        yield "  crs: EPSG:4326"
    elif found.teams is not None and found.teams.crs and lies_in(places.box, found.teams):
        yield "  # That of the teams, among which these numbers lie."
        yield f"  crs: {quoted(found.teams.crs)}"
    else:
        yield f"  crs: {fill_in('the authority code of these coordinates; ask who delivered them')}"
    if places.has_zeros:
        yield "  missing: [0]                 # some coordinates are 0, which means: unknown"


def _priority(found: Findings) -> Iterator[str]:
    yield "priority:"
    if not found.codes:
        yield f"  column: {fill_in('the column with the offence')}"
        yield f"  codes: {{priority_1: [{fill_in('the codes of this priority')}]}}"
        return
    column, *others = found.codes
    yield f"  column: {quoted(column)}"
    if others:
        yield f"  # other candidates: {_line(', '.join(others))}"
    yield "  codes:"
    yield f"    priority_1: [{fill_in('move the codes of this priority here from other')}]"
    yield "  other:                       # known codes of no priority, with their rows; sort them"
    yield from _codes(codes_of(found.look, column), found.look.rows)


def _codes(codes: Sequence[tuple[str, int]], total: int) -> Iterator[str]:
    for code, rows in codes[:CODES_LISTED]:
        # Brackets are no signs of patterns; `?` stands for any one character.
        plain = code.replace("[", "?").replace("]", "?")
        yield f"    - {quoted(plain)}   # {rows:,} of {total:,}"
    if len(codes) > CODES_LISTED:
        yield f"    # and {len(codes) - CODES_LISTED:,} more"
