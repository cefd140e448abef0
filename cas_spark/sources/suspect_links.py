"""The rows of one extract of suspects become versions of links, or rejected rows.

A person is kept as a pseudonym only, made with a key that is kept nowhere; a home as its cell. Of a
rejected row no value is kept but what stands in the settings too, since any could be a person's.

| reason | the row |
| --- | --- |
| those of `checks` | is not whole, not wanted, of no priority, or lacks a moment or a home |
| `person_missing` | has no key of a person |
| `incident_missing` | names neither an incident nor a case |
| `known_after_delivery` | became known after its extract was delivered: see `delivered` |
| `duplicate` | says what the version of its link before it says |
| `contradictory` | says something else of its link as of the same moment |
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake.tables import REJECTED_ROWS, SUSPECTS
from cas_spark.settings import Settings
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.sources import coordinates, moments, row_checks, values
from cas_spark.sources.coordinates import Land
from cas_spark.sources.datasets import as_declared, dataset_of
from cas_spark.sources.figures import CONTRADICTORY, Figures, check_some_are_used, figures_of
from cas_spark.sources.files import refusing
from cas_spark.sources.incidents import FEWEST_TO_JUDGE, LARGEST_OUTSIDE_SHARE
from cas_spark.sources.keyed_ids import ID_LENGTH, with_keyed_ids
from cas_spark.sources.known_after_delivery import without_late
from cas_spark.sources.personal_data import check_columns
from cas_spark.sources.removed import Removed, without_removed
from cas_spark.sources.row_checks import Check
from cas_spark.sources.spans import Delivered


@dataclass(frozen=True)
class SuspectDelivery:
    """What became of the rows of one extract: two frames that add up to the rows read.

    All have the columns of their table but for `run_number`; `dataset` is the extract's own row.
    `superseded_at` and `purged_at` follow later, from `knowledge.revisions.ended`.
    """

    accepted: DataFrame
    rejected: DataFrame
    dataset: DataFrame
    counts: Mapping[str, int]


def deliver_suspects(
    rows: DataFrame,
    source: SuspectExtracts,
    settings: Settings,
    key: bytes,
    dataset_sha256: str,
    name: str,
    land: Land,
    already: DataFrame,
    removed: Removed | None = None,
) -> SuspectDelivery:
    """Sort the rows of one extract into versions of links and rejected rows.

    Args:
        rows: as `reading.read_rows` returns them.
        source: what their columns mean.
        settings: the settings of the lake, for zone and grid.
        key: of the lake.
        dataset_sha256: of the extract's file.
        name: of the extract's file.
        land: all land cells of the grid.
        already: link_id, known_at, priority and home_cell_id of the versions of earlier extracts.
        removed: what was removed for good; None for nothing.

    Returns:
        The frames, computed once. Every instant is UTC.

    Raises:
        CasError: a mapped column looks like personal data, most homes lie outside the teams' land,
            no row can be used, the moments cannot be read with the formats of the settings, or the
            file is broken.
    """
    delivered = Delivered(values.kinds_of(rows), source.timezone or settings.timezone)
    moments.check_known(source.known, delivered, f"{source.kind}.{source.name}.known")
    check_columns(rows, source, source.person, name)
    interpreted = _interpret(rows, source, delivered, key)
    placed = coordinates.with_land_cell(interpreted, source, settings.grid.crs, land)
    failed = row_checks.first_failed(_checks(source))
    checked = placed.select(
        "*", failed["reason"].alias("reason"), failed["found"].alias("found")
    ).withColumnRenamed("cell_id", "home_cell_id")
    keyed_rows = with_keyed_ids(checked, ("link_id", "incident_id", "case_key"), key)
    with refusing(f"extract {name}"):
        nothing = F.lit(None).cast("string")
        in_time = without_late(keyed_rows, source, name, settings.timezone, nothing)
        # Computed once and without its lineage, as for incidents; no person's key is left in it.
        classified = without_removed(
            _compared(in_time, already),
            removed,
            ("link_id", "incident_id"),
            (row_checks.DUPLICATE, CONTRADICTORY),
        ).localCheckpoint()
        is_inside = F.col("home_cell_id").isNotNull()
        figures = figures_of(classified, name, F.lit(False), is_inside)
    _check_homes(figures, source, name)
    check_some_are_used(figures, source, name)
    return _delivery(classified, figures, source, settings, dataset_sha256, name)


def _interpret(
    rows: DataFrame, source: SuspectExtracts, delivered: Delivered, key: bytes
) -> DataFrame:
    """Give every row its meaning; nothing is rejected here, what cannot be read is null."""
    text = delivered.text
    nothing = F.lit(None).cast("string")
    known, link = source.known, source.incident
    code = values.code_of(source.priority.column, text)
    given_moment = moments.known_given(known, delivered)
    no_moment = F.lit(None).cast("timestamp")
    incident_id = values.named_incident(link, text) if link is not None else nothing
    first = rows.select(
        "row_number",
        "malformed",
        F.array(*(values.value_that_excludes(e, text) for e in source.exclude)).alias("excluded"),
        code.alias("code"),
        values.priority_of(code, source.priority).alias("priority"),
        values.matches(code, source.priority.other).alias("is_other_code"),
        moments.known_at(known, given_moment, no_moment, F.lit(False), delivered.zone).alias(
            "known_at"
        ),
        values.coordinate_of(rows, "x", source.location.missing, source.decimal).alias("x"),
        values.coordinate_of(rows, "y", source.location.missing, source.decimal).alias("y"),
        keyed(text(source.person), source.name, key).alias("suspect_key"),
        incident_id.alias("incident_id"),
        (values.pseudonym([text(source.case)]) if source.case else nothing).alias("case_key"),
    )
    linked_to = F.coalesce("incident_id", F.concat_ws(" ", "case_key", "priority"))
    return first.withColumn("link_id", link_id(source.name, F.col("suspect_key"), linked_to))


def link_id(source: str, suspect_key: Column, linked_to: Column) -> Column:
    """The former id of a suspect's link to an incident (by its former id) or to a case."""
    return values.id_of(source, values.hash_of([suspect_key, linked_to]))


def keyed(person: Column, source: str, key: bytes) -> Column:
    """The pseudonym of a person; made in the tasks, so that the key is no part of any plan.

    Args:
        person: the delivered key of the person (text).
        source: name of the source of suspects; each has pseudonyms of its own.
        key: of the lake.
    """

    def pseudonym(value: str) -> str:
        digest = hmac.new(key, f"{source}:{value}".encode(), hashlib.sha256)
        return digest.hexdigest()[:ID_LENGTH]

    # Arrow hands a missing text over as something else, so what is missing is marked here.
    return F.when(person.isNotNull(), F.udf(pseudonym, "string", useArrow=True)(person))


def _checks(source: SuspectExtracts) -> list[Check]:
    """What a link must satisfy, in order; it is compared with its other versions after these."""
    of_content = [
        row_checks.unknown_code(),
        row_checks.other_code(),
        row_checks.known_unreadable(),
        Check("person_missing", F.col("suspect_key").isNull(), F.lit(None)),
        Check("incident_missing", F.coalesce("incident_id", "case_key").isNull(), F.lit(None)),
        row_checks.coordinates_missing(),
        row_checks.excluded_point(source.exclude_points),
        row_checks.outside_teams(),
    ]
    nothing = F.lit(None).cast("string")
    return [
        *row_checks.checks_of_every_row(source),
        *(replace(check, found=nothing) for check in of_content),
    ]


def _compared(rows: DataFrame, already: DataFrame) -> DataFrame:
    """Give rows that are no new version of their link the reason for it.

    Of the rows of a link that became known at the same moment the first counts; those that the lake
    holds come before any other.
    """
    held = already.withColumn("row_number", F.lit(0).cast("long"))
    is_fine = F.col("reason").isNull()
    says = F.struct("priority", "home_cell_id")
    at_moment = Window.partitionBy("link_id", is_fine, "known_at").orderBy("row_number")
    before = (
        Window.partitionBy("link_id", is_fine)
        .orderBy("known_at", "place_at_moment")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    counting = F.when(F.col("place_at_moment") == 1, says)
    reason = F.when(F.col("said_before").eqNullSafe(says), row_checks.DUPLICATE).when(
        F.col("place_at_moment") > 1, CONTRADICTORY
    )
    return (
        rows.unionByName(held, allowMissingColumns=True)
        .withColumn("place_at_moment", F.row_number().over(at_moment))
        .withColumn("said_before", F.last(counting, ignorenulls=True).over(before))
        .withColumn("reason", F.when(is_fine, reason).otherwise(F.col("reason")))
        .where(F.col("row_number") > 0)
        .drop("place_at_moment", "said_before", "x", "y")
    )


def _check_homes(figures: Figures, source: SuspectExtracts, name: str) -> None:
    """As for incidents, but without an example: that would be a person's home."""
    rejections = figures.rejections.get(row_checks.OUTSIDE_TEAMS)
    outside = rejections.rows if rejections is not None else 0
    located = outside + figures.located
    if located < FEWEST_TO_JUDGE or outside <= LARGEST_OUTSIDE_SHARE * located:
        return
    raise CasError(
        what=f"homes of the extract {name}",
        found=f"{outside:,} of {located:,} outside the teams",
        expected="most inside the teams' land",
        do=f"Mend suspects.{source.name}.location: the CRS is wrong, or x and y are swapped; "
        "nothing was written",
    )


def _delivery(
    classified: DataFrame,
    figures: Figures,
    source: SuspectExtracts,
    settings: Settings,
    dataset_sha256: str,
    name: str,
) -> SuspectDelivery:
    is_fine = F.col("reason").isNull()
    rows = classified.withColumns(
        {
            "source": F.lit(source.name),
            "dataset_sha256": F.lit(dataset_sha256),
            "superseded_at": F.lit(None).cast("timestamp"),
            "purged_at": F.lit(None).cast("timestamp"),
            "is_correction": F.lit(False),
        }
    )
    return SuspectDelivery(
        accepted=as_declared(rows.where(is_fine), SUSPECTS),
        rejected=as_declared(rows.where(~is_fine), REJECTED_ROWS),
        dataset=dataset_of(figures, source, settings, dataset_sha256, name, rows.sparkSession),
        counts=figures.counts("read", "accepted", "rejected"),
    )
