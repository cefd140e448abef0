"""Indicators: the slow ones of a cell, the fast ones at each poll, and where those lie."""

from collections.abc import Sequence

from cas_spark.lake.table import Column, Table
from cas_spark.lake.tables.types import (
    DATE,
    FLOAT,
    LONG,
    TEXT,
)

SNAPSHOT_SLICES = Table(
    name="snapshot_slices",
    grain="a team's snapshots at a poll: what they were computed from, and where they lie",
    keys=("team_id", "poll_on"),
    columns=(
        Column("team_id", TEXT, "team"),
        Column("poll_on", DATE, "poll"),
        Column("basis", TEXT, "sha256 of the cells, catalogue and facts that the poll saw"),
        Column("rows", LONG, "kept cells of the team"),
        Column("sha256", TEXT, "digest of these rows of `snapshots`"),
        Column("file", TEXT, "file of `snapshots` that holds them", is_in_digest=False),
        Column(
            "file_sha256",
            TEXT,
            "sha256 of that file's bytes; null where an older version wrote it",
            is_nullable=True,
            is_in_digest=False,
        ),
    ),
)


def cell_context(surroundings: Sequence[str], figures: Sequence[tuple[str, str]] = ()) -> Table:
    """The slow indicators of a cell from a poll on.

    One distance and one number per layer of surroundings, and a column per figure of area
    statistics; (name, meaning) of each. A poll sees the newest rows that are valid from it or from
    a poll before.
    """
    layers = [
        column
        for name in surroundings
        for column in (
            Column(f"{name}_distance_m", FLOAT, f"from the cell's centre to the nearest {name}"),
            Column(f"{name}_within_500m", FLOAT, f"number of {name} within 500 m of its centre"),
        )
    ]
    return Table(
        name="cell_context",
        grain="the slow indicators of a cell from a date on",
        keys=("grid_version", "cell_id", "valid_from_on"),
        sliced_by="grid_version",
        columns=(
            Column("grid_version", TEXT, "version of the grid"),
            Column("cell_id", LONG, "cell"),
            Column("valid_from_on", DATE, "first poll that sees these values"),
            Column("land_share", FLOAT, "share of the cell that is land, 0-1"),
            *layers,
            *(Column(name, FLOAT, meaning) for name, meaning in figures),
        ),
    )


def snapshots(indicators: Sequence[tuple[str, str]]) -> Table:
    """The fast indicators of every kept cell at every poll; (name, meaning) of each.

    Written by tasks by Arrow (`lake.arrow_access`), so it stays plain Delta: no
    deletion vectors, clustering, row tracking or column mapping.
    """
    return Table(
        name="snapshots",
        grain="a kept cell at a poll",
        keys=("team_id", "poll_on", "cell_id"),
        partitioned_by=("team_id",),
        columns=(
            Column("team_id", TEXT, "team"),
            Column("poll_on", DATE, "poll"),
            Column("cell_id", LONG, "cell"),
            *(Column(name, FLOAT, meaning) for name, meaning in indicators),
        ),
    )
