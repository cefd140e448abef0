"""The rows of one extract of decisions become revisions, or rejected rows.

| reason | the row |
| --- | --- |
| `malformed`, of an `exclude`, `known_unreadable` | as of incidents: see `checks` |
| `unknown_kind` | says nothing that the settings take for a kind of revision |
| `person_missing` | is about a suspect's link and has no key of a person |
| `key_missing` | names no incident |
| `unknown_code` | reclassifies into a code that the settings do not name |
| `coordinates_missing` | relocates to nowhere |
| `occurred_unreadable`, `interval_backwards`, `occurred_after_known` | retimes to no such time |
| `known_after_delivery` | became known after its extract was delivered: see `delivered` |
| `duplicate` | says what was said before |

A row that reclassifies into a code of no priority, or relocates out of the teams, takes its
incident back. Of a rejected row that is about a suspect no value is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cas_spark.lake.tables import REJECTED_ROWS, REVISIONS
from cas_spark.settings import Settings
from cas_spark.settings.codes import PriorityCodes
from cas_spark.settings.effects import CHANGING
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.sources import coordinates, moments, row_checks, values
from cas_spark.sources.coordinates import Land
from cas_spark.sources.datasets import as_declared, dataset_of, with_nothing_else
from cas_spark.sources.figures import Figures, check_some_are_used, figures_of
from cas_spark.sources.files import refusing
from cas_spark.sources.keyed_ids import with_keyed_ids
from cas_spark.sources.known_after_delivery import without_late
from cas_spark.sources.personal_data import check_columns
from cas_spark.sources.reading import text_of
from cas_spark.sources.removed import Removed, without_removed
from cas_spark.sources.row_checks import Check
from cas_spark.sources.spans import Delivered, span_of
from cas_spark.sources.suspect_links import keyed, link_id

RECLASSIFIED, RELOCATED, RETIMED = CHANGING


@dataclass(frozen=True)
class RevisionDelivery:
    """What became of the rows of one extract: two frames that add up to the rows read.

    All have the columns of their table but for `run_number`; `dataset` is the extract's own row.
    """

    revisions: DataFrame
    rejected: DataFrame
    dataset: DataFrame
    counts: Mapping[str, int]


def deliver_revisions(
    rows: DataFrame,
    source: RevisionExtracts,
    settings: Settings,
    key: bytes,
    dataset_sha256: str,
    name: str,
    land: Land,
    already: DataFrame,
    removed: Removed | None = None,
) -> RevisionDelivery:
    """Sort the rows of one extract into revisions and rejected rows.

    Args:
        rows: as `reading.read_rows` returns them.
        source: what their columns mean.
        settings: the settings of the lake, for zone and grid, and the codes of incidents.
        key: of the lake, with which ids and pseudonyms are made.
        dataset_sha256: of the extract's file.
        name: of the extract's file.
        land: all land cells of the grid.
        already: `revision_id` of the revisions of earlier extracts.
        removed: what was removed for good; None for nothing.

    Returns:
        The frames, computed once. Every instant is UTC.

    Raises:
        CasError: no row can be used, the moments cannot be read with the formats of the settings, a
            mapped column of a source about suspects looks like personal data, or the file is
            broken.
    """
    delivered = Delivered(values.kinds_of(rows), source.timezone or settings.timezone)
    _check_moments(source, delivered)
    if source.suspect is not None:
        check_columns(rows, source, source.suspect.person, name)
    interpreted = _interpret(rows, source, settings, delivered, key)
    if source.location is not None:
        interpreted = coordinates.with_land_cell(
            interpreted, source, settings.grid.crs, land
        ).withColumnRenamed("cell_id", "new_cell_id")
    else:
        interpreted = interpreted.withColumn("new_cell_id", F.lit(None).cast("long"))
    failed = row_checks.first_failed(_checks(source))
    checked = interpreted.select(
        "*", failed["reason"].alias("reason"), failed["found"].alias("found")
    ).withColumn("named_id", _named_id(source))
    ids = ("revision_id", "incident_id", "named_id")
    keyed_rows = with_keyed_ids(checked, ids, key)
    with refusing(f"extract {name}"):
        # Of a row about a suspect no value is kept.
        late = F.lit(None).cast("string") if source.suspect is not None else F.col("known_text")
        in_time = without_late(keyed_rows, source, name, settings.timezone, late)
        # Computed once and without its lineage, as for incidents; no person's key is left in it.
        classified = without_removed(
            _without_duplicates(in_time, already),
            removed,
            ids,
            (row_checks.DUPLICATE,),
        ).localCheckpoint()
        figures = figures_of(classified, name, F.lit(True), F.lit(False))
    check_some_are_used(figures, source, name)
    return _delivery(classified, figures, source, settings, dataset_sha256, name)


def _check_moments(source: RevisionExtracts, delivered: Delivered) -> None:
    name = f"{source.kind}.{source.name}"
    moments.check_known(source.known, delivered, f"{name}.known")
    if source.decided is not None:
        moments.check_formats(source.decided.column, source.decided, delivered)
    if source.occurred is not None:
        moments.check_interval(source.occurred, delivered, f"{name}.occurred")


def _interpret(
    rows: DataFrame,
    source: RevisionExtracts,
    settings: Settings,
    delivered: Delivered,
    key: bytes,
) -> DataFrame:
    """Give every row its meaning; nothing is rejected here, what cannot be read is null."""
    zone, text = delivered.zone, delivered.text
    nothing = F.lit(None).cast("string")
    named = values.named_incident(source.incident, text)
    person = nothing
    if source.suspect is not None:
        person = keyed(text(source.suspect.person), source.suspect.source, key)
    no_moment = F.lit(None).cast("timestamp")
    given = moments.known_given(source.known, delivered)
    known = moments.known_at(source.known, given, no_moment, F.lit(True), zone)
    start, until, from_text, until_text = no_moment, no_moment, nothing, nothing
    if source.occurred is not None:
        happened = moments.happened(source.occurred, delivered)
        start, from_text, until_text = happened.start, happened.from_text, happened.until_text
        until = moments.until(start, happened.last, known)
    decided_at = no_moment
    if source.decided is not None:
        decided_at = span_of(source.decided.column, source.decided, delivered).start
    codes = _codes_of(source, settings)
    code = values.code_of(source.code, text)
    x_text, y_text = (text_of(F.col(axis), rows.schema[axis].dataType) for axis in "xy")
    missing = source.location.missing if source.location else []
    content = [text(column) for column in source.columns]
    if source.suspect is not None:  # the hash of a person's key could be guessed, its pseudonym not
        of_person = source.suspect.person
        content = [person if c == of_person else text(c) for c in source.columns]
    return rows.select(
        "row_number",
        "malformed",
        F.array(*(values.value_that_excludes(e, text) for e in source.exclude)).alias("excluded"),
        values.told_kind(source.kinds, text).alias("told_kind"),
        text(source.kinds.column).alias("kind_text"),
        known.alias("known_at"),
        moments.known_text(source.known, delivered).alias("known_text"),
        F.to_date(F.from_utc_timestamp(decided_at, zone)).alias("decided_on"),
        person.alias("suspect_key"),
        named.alias("incident_id"),
        code.alias("code"),
        values.priority_of(code, codes).alias("priority"),
        values.matches(code, codes.other).alias("is_other_code"),
        start.alias("occurred_from_at"),
        until.alias("occurred_until_at"),
        from_text.alias("occurred_from_text"),
        until_text.alias("occurred_until_text"),
        values.coordinate_of(rows, "x", missing, source.decimal).alias("x"),
        values.coordinate_of(rows, "y", missing, source.decimal).alias("y"),
        x_text.alias("x_text"),
        y_text.alias("y_text"),
        values.id_of(source.name, values.hash_of(content)).alias("revision_id"),
    )


def _codes_of(source: RevisionExtracts, settings: Settings) -> PriorityCodes:
    """The codes of the incidents that the source is about."""
    [incidents] = [i for i in settings.incidents if i.name == source.incident.source]
    return incidents.priority


def _checks(source: RevisionExtracts) -> list[Check]:
    """What a row must satisfy, in order; it is compared with what was said before after these."""
    kind, nothing = F.col("told_kind"), F.lit(None).cast("string")
    found = [
        Check("unknown_kind", kind.isNull(), F.col("kind_text")),
        row_checks.known_unreadable(),
        Check("key_missing", F.col("incident_id").isNull(), nothing),
    ]
    if source.suspect is not None:
        found.append(Check("person_missing", F.col("suspect_key").isNull(), nothing))
        found = [replace(check, found=nothing) for check in found]
    per_kind = {
        RECLASSIFIED: [row_checks.unknown_code()],
        RELOCATED: [row_checks.coordinates_missing()],
        RETIMED: [
            row_checks.occurred_unreadable(),
            row_checks.interval_backwards(),
            row_checks.occurred_after_known(),
        ],
    }
    for changing, needed in per_kind.items():
        found += [replace(check, fails=(kind == changing) & check.fails) for check in needed]
    return [*row_checks.checks_of_every_row(source), *found]


def _named_id(source: RevisionExtracts) -> Column:
    """The former id of the incident or link that a row is about."""
    if source.suspect is None:
        return F.col("incident_id")
    return link_id(source.suspect.source, F.col("suspect_key"), F.col("incident_id"))


def _without_duplicates(rows: DataFrame, already: DataFrame) -> DataFrame:
    """Give rows that say what an earlier one of this or another extract says the reason for it."""
    is_fine = F.col("reason").isNull()
    place = F.row_number().over(Window.partitionBy("revision_id", is_fine).orderBy("row_number"))
    earlier = already.select(F.col("revision_id").alias("earlier_id")).distinct()
    numbered = rows.withColumn("place", place)
    joined = numbered.join(earlier, F.col("revision_id") == F.col("earlier_id"), "left")
    was_before = (F.col("place") > 1) | F.col("earlier_id").isNotNull()
    reason = F.when(is_fine & was_before, F.lit(row_checks.DUPLICATE)).otherwise(F.col("reason"))
    return joined.withColumn("reason", reason).drop("place", "earlier_id")


def _delivery(
    classified: DataFrame,
    figures: Figures,
    source: RevisionExtracts,
    settings: Settings,
    dataset_sha256: str,
    name: str,
) -> RevisionDelivery:
    is_fine, kind = F.col("reason").isNull(), F.col("told_kind")
    rows = classified.withColumns(
        {
            "source": F.lit(source.name),
            "dataset_sha256": F.lit(dataset_sha256),
            "is_correction": F.lit(True),
        }
    )
    about = "incident" if source.suspect is None else "suspect"
    changes = {
        RECLASSIFIED: ("code", "priority"),
        RETIMED: ("occurred_from_at", "occurred_until_at"),
        RELOCATED: ("new_cell_id",),
    }
    fine = rows.where(is_fine).select(
        "revision_id",
        "source",
        "dataset_sha256",
        "row_number",
        F.lit(about).alias("about"),
        F.lit(source.about_source).alias("about_source"),
        "decided_on",
        "known_at",
        "told_kind",
        "named_id",
        *(
            F.when(kind == changing, F.col(column)).alias(f"new_{column.removeprefix('new_')}")
            for changing, columns in changes.items()
            for column in columns
        ),
        F.lit("pending").alias("status"),
    )
    return RevisionDelivery(
        revisions=as_declared(with_nothing_else(fine, REVISIONS), REVISIONS),
        rejected=as_declared(rows.where(~is_fine), REJECTED_ROWS),
        dataset=dataset_of(figures, source, settings, dataset_sha256, name, rows.sparkSession),
        counts=figures.counts("read", "revisions", "rejected"),
    )
