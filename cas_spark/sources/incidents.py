"""The rows of one extract become incidents, revisions or rejected rows, each one of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake.tables import INCIDENTS, REJECTED_ROWS, REVISIONS
from cas_spark.settings import Settings
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.sources import coordinates, row_checks, values
from cas_spark.sources.coordinates import Land
from cas_spark.sources.datasets import as_declared, dataset_of, with_nothing_else
from cas_spark.sources.figures import Figures, check_some_are_used, figures_of
from cas_spark.sources.files import refusing
from cas_spark.sources.keyed_ids import with_keyed_ids
from cas_spark.sources.known_after_delivery import KNOWN_AFTER_DELIVERY, without_late
from cas_spark.sources.removed import Removed, without_removed

LARGEST_OUTSIDE_SHARE = 0.5
FEWEST_TO_JUDGE = 5
"""Rows below which a wrong CRS cannot be distinguished from a stray row."""


@dataclass(frozen=True)
class Delivery:
    """What became of the rows of one extract: three frames that add up to the rows read.

    All have the columns of their table but for `run_number`; `dataset` is the extract's own row.
    They stand on rows that are computed and kept.
    """

    accepted: DataFrame
    revisions: DataFrame
    rejected: DataFrame
    dataset: DataFrame
    counts: Mapping[str, int]


def deliver(
    rows: DataFrame,
    source: IncidentExtracts,
    settings: Settings,
    key: bytes,
    dataset_sha256: str,
    name: str,
    land: Land,
    already: DataFrame,
    already_revised: DataFrame,
    removed: Removed | None = None,
) -> Delivery:
    """Sort the rows of one extract into incidents, revisions and rejected rows.

    An incident's id is its source and a keyed hash (see `keyed_ids`) of its key. Without a key the
    hash is of all mapped values and of the row's number among its equals in the extract, so that
    equal rows are different incidents, and the same rows in a later extract are duplicates. A
    revision's id is made of all mapped values in either case; with a key, equal corrections are
    duplicates.

    Args:
        rows: as `reading.read_rows` returns them.
        source: what their columns mean.
        settings: the settings of the lake, for zone and grid.
        key: of the lake, with which ids are made.
        dataset_sha256: of the extract's file.
        name: of the extract's file.
        land: all land cells of the grid.
        already: `incident_id` of the incidents of earlier extracts, repeated or not.
        already_revised: `revision_id` of the revisions of earlier extracts.
        removed: what was removed for good; None for nothing.

    Returns:
        The frames, computed once. Every instant is UTC.

    Raises:
        CasError: most places lie outside the teams' land, so that the CRS must be wrong; no row
            can be used; the moments cannot be read with the formats of the settings; or the file is
            broken.
    """
    values.check_values_are_readable(rows, source)
    interpreted = values.interpret(rows, source, settings.timezone)
    placed = coordinates.with_land_cell(interpreted, source, settings.grid.crs, land)
    checked = _checked(placed, source, source.timezone or settings.timezone)
    with refusing(f"extract {name}"):
        in_time = without_late(checked, source, name, settings.timezone, F.col("known_text"))
        # What could be guessed goes no further: no table, message or join sees a former id.
        ids = ["id", *(["of_key"] if source.key else []), *(["case_key"] if source.case else [])]
        named = with_keyed_ids(_named(in_time, source), ids, key)
        # Computed once, and without its lineage: `already` may stand on other extracts of this run,
        # whose plans would otherwise double with each.
        compared = _without_duplicates(named, source, already, already_revised)
        # A correction with a key is of the incident that it names.
        of_facts = ("id", "of_key") if source.key else ("id",)
        classified = without_removed(
            compared, removed, of_facts, (row_checks.DUPLICATE,)
        ).localCheckpoint()
        is_located = ~F.coalesce(F.col("is_correction"), F.lit(False)) & (
            F.col("reason").isNull()
            | F.col("reason").isin(
                row_checks.OUTSIDE_TEAMS, row_checks.DUPLICATE, KNOWN_AFTER_DELIVERY
            )
        )
        figures = figures_of(classified, name, F.col("is_correction"), is_located)
    _check_places(classified, figures, source, settings, name, land)
    check_some_are_used(figures, source, name)
    return _delivery(classified, figures, source, settings, dataset_sha256, name)


def _checked(rows: DataFrame, source: IncidentExtracts, zone: str) -> DataFrame:
    """Add `reason` and `found` of the first failed check, both null where a row is fine so far."""
    of_all = row_checks.checks_of_every_row(source)
    failed = F.when(
        F.col("is_correction"),
        row_checks.first_failed([*of_all, *row_checks.checks_of_corrections()]),
    ).otherwise(row_checks.first_failed([*of_all, *row_checks.checks_of_incidents(source, zone)]))
    return (
        rows.withColumn("failed", failed)
        .select("*", F.col("failed.reason").alias("reason"), F.col("failed.found").alias("found"))
        .drop("failed")
    )


def _named(rows: DataFrame, source: IncidentExtracts) -> DataFrame:
    """Add what makes two rows equal, for rows that are fine so far.

    Returns:
        The rows with `id` and, of a correction with a key, `of_key`, the id of what it corrects,
        both to be keyed; and `place_among_equals`: the row's number, from 1, among rows of one
        identity. Hashes of values are left out.
    """
    is_fine = F.col("reason").isNull()
    if source.key:
        identity = F.when(F.col("is_correction"), F.col("content_hash")).otherwise(
            F.col("key_hash")
        )
    else:
        identity = F.col("content_hash")
    among_equals = Window.partitionBy("identity", is_fine).orderBy("row_number")
    numbered = rows.withColumn("identity", identity).withColumn(
        "place_among_equals", F.row_number().over(among_equals)
    )
    id_ = _id(source, F.col("identity"), F.col("place_among_equals"))
    of_key = F.lit(None).cast("string")
    if source.key:
        names_one = F.col("is_correction") & ~F.col("is_key_missing")
        of_key = F.when(names_one, _id(source, F.col("key_hash"), F.lit(1)))
    ids = {"id": id_, "of_key": of_key, "case_key": F.col("case_key")}
    return numbered.withColumns(
        {name: F.when(is_fine, former) for name, former in ids.items()}
    ).drop("identity", "key_hash", "content_hash")


def _id(source: IncidentExtracts, identity: Column, place_among_equals: Column) -> Column:
    if not source.key:
        identity = F.sha2(F.concat_ws(":", identity, place_among_equals.cast("string")), 256)
    return values.id_of(source.name, identity)


def _without_duplicates(
    rows: DataFrame, source: IncidentExtracts, already: DataFrame, already_revised: DataFrame
) -> DataFrame:
    """Give rows whose identity was there before the reason `duplicate`."""
    earlier = (
        already.select(F.col("incident_id").alias("earlier_id"))
        .union(already_revised.select(F.col("revision_id").alias("earlier_id")))
        .distinct()
    )
    was_before = F.col("earlier_id").isNotNull()
    if source.key:
        was_before |= F.col("place_among_equals") > 1
    is_duplicate = F.col("reason").isNull() & was_before
    return (
        rows.join(earlier, F.col("id") == F.col("earlier_id"), "left")
        .withColumn("found", F.when(is_duplicate, F.col("id")).otherwise(F.col("found")))
        .withColumn(
            "reason", F.when(is_duplicate, F.lit(row_checks.DUPLICATE)).otherwise(F.col("reason"))
        )
        .drop("earlier_id")
    )


def _check_places(
    classified: DataFrame,
    figures: Figures,
    source: IncidentExtracts,
    settings: Settings,
    name: str,
    land: Land,
) -> None:
    rejections = figures.rejections.get(row_checks.OUTSIDE_TEAMS)
    located, outside = figures.located, rejections.rows if rejections is not None else 0
    if located < FEWEST_TO_JUDGE or outside <= LARGEST_OUTSIDE_SHARE * located:
        return
    is_outside = F.col("reason") == row_checks.OUTSIDE_TEAMS
    example = classified.where(is_outside).orderBy("row_number").select("row_number", "x", "y")
    row_number, x, y = example.take(1)[0]
    crs, grid_crs = source.location.crs, settings.grid.crs
    there_x, there_y = coordinates.transformed(x, y, source, grid_crs, land)
    raise CasError(
        what=f"places of the extract {name}",
        found=f"{outside:,} of {located:,} outside the teams; row {row_number} with "
        f"x {x:,.1f}, y {y:,.1f} in {crs} lies at x {there_x:,.1f}, y {there_y:,.1f} in {grid_crs}",
        expected=f"most inside the teams' {land.bounds} in {grid_crs}",
        do=f"Mend incidents.{source.name}.location: the CRS is wrong, or x and y are swapped; "
        "nothing was written",
    )


def _delivery(
    classified: DataFrame,
    figures: Figures,
    source: IncidentExtracts,
    settings: Settings,
    dataset_sha256: str,
    name: str,
) -> Delivery:
    is_correction, is_fine = F.col("is_correction"), F.col("reason").isNull()
    rows = classified.withColumns(
        {"source": F.lit(source.name), "dataset_sha256": F.lit(dataset_sha256)}
    )
    never = F.lit(None).cast("timestamp")
    accepted = rows.where(is_fine & ~is_correction).withColumns(
        {
            "incident_id": F.col("id"),
            "version": F.lit(1),
            "superseded_at": never,
            "purged_at": never,
        }
    )
    corrections = rows.where(is_fine & is_correction).withColumns(
        {
            "revision_id": F.col("id"),
            "about": F.lit("incident"),
            "about_source": F.lit(source.name),
            "named_id": F.col("of_key"),
            "status": F.lit("pending"),
        }
    )
    return Delivery(
        accepted=as_declared(accepted, INCIDENTS),
        revisions=as_declared(with_nothing_else(corrections, REVISIONS), REVISIONS),
        rejected=as_declared(rows.where(~is_fine), REJECTED_ROWS),
        dataset=dataset_of(figures, source, settings, dataset_sha256, name, rows.sparkSession),
        counts=figures.counts("read", "accepted", "revisions", "rejected"),
    )
