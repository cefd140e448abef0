"""Tries the maps of teams with unusual names before a run is published, not after it."""

import re
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa

from cas_spark.errors import CasError
from cas_spark.publishing.maps import write_team
from cas_spark.settings import Settings
from cas_spark.settings.texts import file_stems, one_line

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,59}")
"""Names with which every map was drawn so far."""

_REASON = pa.struct(
    [
        ("indicator", pa.string()),
        ("value", pa.float64()),
        ("coefficient", pa.float64()),
        ("above_mean", pa.float64()),
    ]
)
_RAISED = pa.struct([("group", pa.string()), ("above_mean", pa.float64())])


def try_maps(
    settings: Settings, poll: date, teams: Mapping[str, str | None], cell_id: int
) -> list[str]:
    """Write the maps of one made-up cell, for each team whose id or name is out of the ordinary.

    Args:
        settings: of the lake, whose titles and labels stand on every map.
        poll: of the forecast.
        teams: id -> name.
        cell_id: any cell of the grid.

    Returns:
        The ids of the teams that were tried.

    Raises:
        CasError: a map cannot be written with a name.
    """
    unusual = [
        team
        for team, name in teams.items()
        if not all(_PLAIN.fullmatch(text) for text in (team, name or team))
    ]
    tried = unusual or list(teams)[:1]  # one at least, for the titles
    stems = file_stems(teams)
    for team in tried:
        row = _made_up(team, teams[team], settings, poll, cell_id)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                write_team(team, row, settings, poll, Path(scratch, stems[team]))
            except Exception as error:
                raise CasError(
                    what=f"the map of team {one_line(team, 80)!r}",
                    found=one_line(str(error), 300),
                    expected="names with which a GeoPackage and a GeoJSON can be written",
                    do="Change the id or name in the layer of the teams, or the titles and remarks "
                    "in the settings; nothing was published",
                ) from error
    return tried


def _made_up(team: str, name: str | None, settings: Settings, poll: date, cell_id: int) -> pa.Table:
    """A row as `write_maps` sends it to a task, of the first priority and horizon."""
    band = settings.forecast.bands[0].name
    return pa.table(
        {
            "team_id": pa.array([team]),
            "team_name": pa.array([name], pa.string()),
            "priority": pa.array([next(iter(settings.priorities))]),
            "horizon": pa.array([next(iter(settings.horizons))]),
            "rank": pa.array([1]),
            "cell_id": pa.array([cell_id], pa.int64()),
            "band": pa.array([band]),
            "probability": pa.array([0.5]),
            "stability": pa.array([0.5]),
            "target_week_on": pa.array([poll]),
            "reasons": pa.array([[]], pa.list_(_REASON)),
            "raised_by": pa.array([[]], pa.list_(_RAISED)),
        }
    )
