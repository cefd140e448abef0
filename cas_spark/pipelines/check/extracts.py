"""Check: what ingest would make of the first rows of every extract, without a lake.

The rows are read and sorted by the functions that ingest itself uses, so the two cannot disagree.
Only land is found in another way: of the cells in which the rows lie, not of the whole country.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from shapely.geometry.base import BaseGeometry

from cas_spark.errors import CasError
from cas_spark.grid.cells import BOUND_M, CELL_SIZE_M, cell_ids_at
from cas_spark.grid.land_at import land_among
from cas_spark.grid.layers import read_teams
from cas_spark.grid.operations import Operations
from cas_spark.grid.projection import Bounds
from cas_spark.lake.tables import SUSPECTS
from cas_spark.pipelines.check.sample import (
    ACCEPTED,
    MEANINGS,
    OUTCOMES,
    POINTS,
    REVISION,
    FileCheck,
    Places,
    empty,
)
from cas_spark.pipelines.steps.ingest import SAID_OF_A_LINK
from cas_spark.platform.progress import ShowProgress
from cas_spark.settings import Settings
from cas_spark.settings.extracts import Extracts, IncidentExtracts
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.sources import values
from cas_spark.sources.column_guesses import counts_instead_of_incidents
from cas_spark.sources.coordinates import Land, operation_of
from cas_spark.sources.decisions import deliver_revisions
from cas_spark.sources.files import list_files, look_at, refusing
from cas_spark.sources.first_look import TextForm, first_rows_of_text, form_of_text
from cas_spark.sources.incidents import deliver
from cas_spark.sources.reading import read_rows
from cas_spark.sources.suspect_links import deliver_suspects

NO_SHA256 = "not ingested"
SLACK_M = 1.0
MANY_MALFORMED = 0.5
"""Share of malformed rows from which the settings likely mistake the form of the file."""


@dataclass
class Checking:
    """What the check of one extract needs to know of the settings, the teams and those before it.

    Attributes:
        spark: the session.
        settings: of the lake that is yet to be.
        rows: how many of each extract are read.
        teams: outlines of the teams, metres in the grid's CRS.
        before: `incident_id` and `revision_id` of the rows of the extracts before this one.
        operations: of PROJ, that bring layers and extracts to the grid's CRS.
        key: of ids and pseudonyms, made up for this check: nothing that it makes is kept.
    """

    spark: SparkSession
    settings: Settings
    rows: int
    teams: tuple[BaseGeometry, ...]
    operations: Operations
    before: dict[str, list[DataFrame]] = field(
        default_factory=lambda: {"incident_id": [], "revision_id": []}
    )
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def already(self, column: str) -> DataFrame:
        """The ids of the extracts before this one."""
        none = self.spark.createDataFrame([], f"{column} string")
        return reduce(DataFrame.union, self.before[column], none)

    def delivery_arguments(
        self, name: str, places: Places | None
    ) -> tuple[Settings, bytes, str, str, Land]:
        """What every kind of delivery takes besides its rows: see `sources.incidents.deliver`."""
        return self.settings, self.key, NO_SHA256, name, self.land_at(places)

    @property
    def no_ids(self) -> DataFrame:
        """The ids of no cell."""
        return self.spark.createDataFrame([], "land_cell_id long")

    @property
    def bounds(self) -> Bounds:
        """The rectangle of cells around all teams."""
        left, bottom, right, top = shapely.total_bounds(self.teams) / CELL_SIZE_M
        edges = (np.floor(left), np.floor(bottom), np.ceil(right), np.ceil(top))
        return Bounds(*(float(edge) * CELL_SIZE_M for edge in edges))

    def land_at(self, places: Places | None) -> Land:
        """The land among the cells in which some places lie."""
        cells = np.array([], np.int64)
        if places is not None:
            is_there = (np.abs(places.east) < BOUND_M - SLACK_M) & (
                np.abs(places.north) < BOUND_M - SLACK_M
            )
            east, north = places.east[is_there], places.north[is_there]
            # Tasks may transform a place a little otherwise, and so into the next cell.
            around = [
                cell_ids_at(east + x, north + y)
                for x in (-SLACK_M, SLACK_M)
                for y in (-SLACK_M, SLACK_M)
            ]
            cells = np.unique(np.concatenate(around))
        land = cells[land_among(cells, self.teams)]
        ids = self.spark.createDataFrame(pa.table({"land_cell_id": pa.array(land, pa.int64())}))
        return Land(ids, self.bounds, self.operations)


def check_extracts(
    spark: SparkSession, settings: Settings, rows: int, show_progress: ShowProgress
) -> tuple[list[FileCheck], tuple[BaseGeometry, ...]]:
    """Check the first rows of every extract of the settings; nothing is written.

    Args:
        spark: the session.
        settings: of the lake that is yet to be.
        rows: how many of each extract are read.
        show_progress: shows how far it is.

    Returns:
        What became of each extract, and the outlines of the teams.

    Raises:
        CasError: the teams cannot be read, or a source has no file.
    """
    operations = Operations({}, settings.grid.crs, settings.grid.version)
    teams = _outlines(spark, settings, operations)
    checking = Checking(spark, settings, rows, teams, operations)
    paths = [(source, path) for source in settings.sources for path in list_files(spark, source)]
    found = []
    with show_progress("extracts", len(paths)) as advance:
        for source, path in paths:
            found.append(_check(checking, source, path))
            advance(1)
    return found, checking.teams


def _outlines(
    spark: SparkSession, settings: Settings, operations: Operations
) -> tuple[BaseGeometry, ...]:
    teams = read_teams(spark, settings.grid.teams, settings.grid.crs, operations)
    wkb = teams.select(F.call_function("ST_AsBinary", F.col("geometry")).alias("wkb")).collect()
    return tuple(shapely.from_wkb([bytes(row["wkb"]) for row in wkb]))


def _check(checking: Checking, source: Extracts, path: str) -> FileCheck:
    name = path.rsplit("/", 1)[-1]
    nothing = FileCheck(source, name, 0, True, empty(OUTCOMES), empty(MEANINGS))
    form = _form_of(checking.spark, source, path)
    advice = tuple(_of_form(source, form))
    if isinstance(source, IncidentExtracts):
        why = _why_counts(checking.spark, source, path)
        if why is not None:
            return replace(nothing, refusal=counts_refused(name, why))
    try:
        with refusing(path):
            rows = read_rows(checking.spark, source, path).limit(checking.rows).localCheckpoint()
            read = rows.count()
    except CasError as error:
        return replace(nothing, refusal=error, advice=advice)
    is_whole = read < checking.rows
    places, refusal, outcomes = None, None, empty(OUTCOMES)
    try:
        with refusing(path):
            places = _places_of(checking, rows, source)
            outcomes = _SORTING[source.kind](checking, rows, source, name, places)
    except CasError as error:
        refusal = error
    malformed = int((outcomes["outcome"] == "malformed").sum())
    return FileCheck(
        source,
        name,
        read,
        is_whole,
        outcomes,
        _meanings(rows, source, checking.settings.timezone),
        # No map shows where suspects live.
        places if isinstance(source, IncidentExtracts) else None,
        refusal,
        advice if refusal is not None or malformed > MANY_MALFORMED * read else (),
    )


def counts_refused(name: str, why: str) -> CasError:
    """The error that a file holds counts, not incidents."""
    return CasError(
        what=f"extract {name}",
        found=f"what looks like counts per area and period: {why}",
        expected="one row for each incident, with the moment and the place of it",
        do="Ask for the incidents themselves: no weekly labels can be made of counts, since they "
        "do not say in which week anything happened",
    )


def _places_of(checking: Checking, rows: DataFrame, source: Extracts) -> Places | None:
    location = source.location
    if location is None:
        return None
    x, y = (
        values.coordinate_of(rows, axis, location.missing, source.decimal).alias(axis)
        for axis in "xy"
    )
    found = _collected(rows.select("row_number", x, y), POINTS).dropna()
    xs, ys = found["x"].to_numpy(np.float64), found["y"].to_numpy(np.float64)
    land = Land(checking.no_ids, checking.bounds, checking.operations)
    operation = operation_of(source, checking.settings.grid.crs, land)
    east, north = (xs, ys) if operation is None else operation.moved(xs, ys)
    return Places(found["row_number"].to_numpy(np.int64), xs, ys, east, north)


def _incidents(
    checking: Checking,
    rows: DataFrame,
    source: IncidentExtracts,
    name: str,
    places: Places | None,
) -> pd.DataFrame:
    delivery = deliver(
        rows,
        source,
        *checking.delivery_arguments(name, places),
        checking.already("incident_id"),
        checking.already("revision_id"),
    )
    checking.before["incident_id"].append(delivery.accepted.select("incident_id"))
    checking.before["revision_id"].append(delivery.revisions.select("revision_id"))
    return _outcomes(delivery.accepted, delivery.revisions, delivery.rejected)


def _suspects(
    checking: Checking,
    rows: DataFrame,
    source: SuspectExtracts,
    name: str,
    places: Places | None,
) -> pd.DataFrame:
    none = StructType([SUSPECTS.schema[column] for column in SAID_OF_A_LINK])
    delivery = deliver_suspects(
        rows,
        source,
        *checking.delivery_arguments(name, places),
        checking.spark.createDataFrame([], none),
    )
    found = _outcomes(delivery.accepted, None, delivery.rejected)
    return found.assign(found=None)


def _revisions(
    checking: Checking,
    rows: DataFrame,
    source: RevisionExtracts,
    name: str,
    places: Places | None,
) -> pd.DataFrame:
    delivery = deliver_revisions(
        rows,
        source,
        *checking.delivery_arguments(name, places),
        checking.already("revision_id"),
    )
    checking.before["revision_id"].append(delivery.revisions.select("revision_id"))
    found = _outcomes(None, delivery.revisions, delivery.rejected)
    return found if source.suspect is None else found.assign(found=None)


_SORTING: dict[str, Callable[..., pd.DataFrame]] = {
    "incidents": _incidents,
    "suspects": _suspects,
    "revisions": _revisions,
}


def _outcomes(
    accepted: DataFrame | None, revisions: DataFrame | None, rejected: DataFrame
) -> pd.DataFrame:
    nothing = F.lit(None).cast("string").alias("found")
    parts = [
        rows.select("row_number", F.lit(outcome).alias("outcome"), nothing)
        for rows, outcome in ((accepted, ACCEPTED), (revisions, REVISION))
        if rows is not None
    ]
    parts.append(rejected.select("row_number", F.col("reason").alias("outcome"), "found"))
    return _collected(reduce(DataFrame.union, parts), OUTCOMES)


def _meanings(rows: DataFrame, source: Extracts, default_zone: str) -> pd.DataFrame:
    """What the rows of incidents say happened, and when; nothing where that cannot be read."""
    if not isinstance(source, IncidentExtracts):
        return empty(MEANINGS)

    def micros(column: str) -> Column:
        return F.unix_micros(F.col(column)).alias(column.removesuffix("_at"))

    try:
        with refusing(source.name):
            interpreted = values.interpret(rows, source, default_zone)
            moments = [micros(f"{name}_at") for name in MEANINGS[2:]]
            of_incidents = interpreted.where(~F.col("is_correction"))
            found = _collected(of_incidents.select("row_number", "code", *moments), MEANINGS)
    except CasError:  # the refusal of the extract says why
        return empty(MEANINGS)
    return found.astype(dict.fromkeys(MEANINGS[2:], "float64"))


def _collected(rows: DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    found = rows.collect()
    return pd.DataFrame(
        {name: pd.Series([row[place] for row in found]) for place, name in enumerate(columns)}
    )


def _form_of(spark: SparkSession, source: Extracts, path: str) -> TextForm | None:
    """How a text file is written; None where it is none, or cannot be read."""
    if source.format != "csv":
        return None
    try:
        return look_at(spark, path, lambda opening: form_of_text(opening, path))
    except CasError:
        return None


def _of_form(source: Extracts, form: TextForm | None) -> Iterator[str]:
    """What of the settings does not fit how a text file is written."""
    if form is None:
        return
    if form.delimiter != source.delimiter and len(form.header) > 1:
        yield (
            f"the delimiter looks like {form.delimiter!r}, and the settings say "
            f"{source.delimiter!r}"
        )
    if source.text_encoding.lower() == "utf-8" and form.encoding != "utf-8":
        yield f"the bytes are not UTF-8; the encoding is likely {form.encoding}"
    if form.trailing_delimiter and not source.trailing_delimiter:
        yield "rows end in one more delimiter: set trailing_delimiter: true"
    if form.lines_before_header != source.lines_before_header and source.header is None:
        yield (
            f"{form.lines_before_header} lines seem to come before the header, and the settings "
            f"say {source.lines_before_header}"
        )


def _why_counts(spark: SparkSession, source: Extracts, path: str) -> str | None:
    """Why a text file looks like counts per area and period; None where it does not."""
    if source.format != "csv":
        return None
    try:
        return look_at(
            spark,
            path,
            lambda opening: counts_instead_of_incidents(first_rows_of_text(opening, path)),
        )
    except CasError:
        return None
