"""What a lake of an older schema version needs, so that this code can go on with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from cas_spark.lake import tables
from cas_spark.lake.table import Table


def _tell_values_of_contributions(forecasts: DataFrame) -> DataFrame:
    """Older forecasts lack the cell's values and what is above the mean of its team."""
    unknown = F.lit(None).cast("double")
    return forecasts.withColumn(
        "contributions",
        F.transform(
            "contributions",
            lambda pair: F.struct(
                pair["indicator"].alias("indicator"),
                unknown.alias("value"),
                pair["contribution"].alias("contribution"),
                unknown.alias("above_mean"),
            ),
        ),
    )


def _tell_no_draws(models: DataFrame) -> DataFrame:
    """Older models have no draws."""
    return models.withColumn("draws", F.lit(None).cast("binary"))


def _tell_no_stability(forecasts: DataFrame) -> DataFrame:
    """Older forecasts do not have the stability of their choices."""
    return forecasts.withColumn("stability", F.lit(None).cast("double"))


def _leave_revisions_undecided(revisions: DataFrame) -> DataFrame:
    """Older lakes linked no revision; the next ingest does."""
    return _with_nulls(revisions, ("kind", "reason"))


def _tell_one_version(incidents: DataFrame) -> DataFrame:
    """Older incidents have one version; the next ingest makes those that follow from revisions."""
    nothing = F.lit(None).cast("timestamp")
    first = incidents.withColumns({"version": F.lit(1), "superseded_at": nothing})
    return _as_declared(first.withColumn("purged_at", nothing), tables.INCIDENTS)


def _purge_nothing(suspects: DataFrame) -> DataFrame:
    """Older links ended by later versions only."""
    never = suspects.withColumn("purged_at", F.lit(None).cast("timestamp"))
    return _as_declared(never, tables.SUSPECTS)


def _name_what_revisions_are_about(revisions: DataFrame) -> DataFrame:
    """Older revisions are all corrections of their own source; the next ingest decides them."""
    corrections = revisions.withColumns(
        {
            "about": F.lit("incident"),
            "about_source": F.col("source"),
            "named_id": F.col("incident_id"),
            "status": F.lit("pending"),
        }
    )
    new = [c.name for c in tables.REVISIONS.columns if c.name not in corrections.columns]
    undecided = _with_nulls(corrections, ("kind", "reason", "effective_at", *new))
    return _as_declared(undecided, tables.REVISIONS)


def _leave_cells_to_be_judged(cells: DataFrame) -> DataFrame:
    """Older cells lack what the removal rules looked at; the next step grid applies these again."""
    return _as_declared(cells.withColumn("basis", F.lit(None).cast("string")), tables.CELLS)


def _tell_reasons_apart(forecasts: DataFrame) -> DataFrame:
    """Older forecasts have every part of each contribution, and no groups."""
    raising = F.filter("contributions", lambda pair: pair["above_mean"] > 0)
    ranked = F.array_sort(
        F.transform(
            raising, lambda pair: F.struct((-pair["above_mean"]).alias("least"), pair.alias("pair"))
        )
    )
    return _as_declared(
        forecasts.withColumns(
            {
                "reasons": F.transform(F.slice(ranked, 1, 3), lambda first: first["pair"]),
                "raised_by": F.lit(None).cast(_type_of(tables.FORECASTS, "raised_by")),
                "contributions": F.transform("contributions", lambda pair: pair["contribution"]),
            }
        ),
        tables.FORECASTS,
    )


def _keep_the_order_of_revisions(revisions: DataFrame) -> DataFrame:
    """Older lakes ordered revisions of one moment by ids, which are about to be others.

    Only a place among the few of one moment is kept, which reveals next to nothing of an id.
    """
    moment = Window.partitionBy("about_source", "known_at")
    place = F.row_number().over(moment.orderBy("revision_id"))
    is_one_of_several = F.count("*").over(moment) > 1
    return _as_declared(
        revisions.withColumn("former_order", F.when(is_one_of_several, place)), tables.REVISIONS
    )


def _without_settings_of_reading(datasets: DataFrame) -> DataFrame:
    """Older extracts lack the settings by which they were read; their runs have them."""
    unknown = {
        "source_sha256": F.lit(None).cast("string"),
        "delivered_on": F.lit(None).cast("date"),
    }
    return _as_declared(datasets.withColumns(unknown), tables.DATASETS)


def _type_of(table: Table, name: str) -> DataType:
    [found] = [column.type for column in table.columns if column.name == name]
    return found


def _with_nulls(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    return rows.withColumns(
        {name: F.lit(None).cast(_type_of(tables.REVISIONS, name)) for name in columns}
    )


def _as_declared(rows: DataFrame, table: Table) -> DataFrame:
    return rows.select(*(column.name for column in table.columns))


def _leave_files_unchecked(slices: DataFrame) -> DataFrame:
    """Older lakes hold no checksum of a snapshot file; it is recorded when a file is written."""
    return slices.withColumn("file_sha256", F.lit(None).cast("string"))


REASONS_CODED_SINCE = 8
"""The first schema version in which models give the reason by a code."""

TOO_FEW = r"^\d+ cell-weeks with an incident, \d+ needed"
STOOD_IN = rf"{TOO_FEW}; the model of (region |the whole country)(.*) stands in$"
NO_STAND_IN = rf"{TOO_FEW}; nor does (region |the whole country)(.*?) have a model: (.*)$"


def _name_reasons_by_codes(table: Table) -> Callable[[DataFrame], DataFrame]:
    """Older models give the reason in words: `detail` keeps these beside the code and the pool."""

    def as_codes(models: DataFrame) -> DataFrame:
        words, nothing = F.col("reason"), F.lit(None).cast("string")
        is_without = words.rlike(NO_STAND_IN)
        coded = models.withColumns(
            {
                "reason": _code_of(words),
                "pool": F.when(words.rlike(STOOD_IN), F.regexp_extract(words, STOOD_IN, 2)).when(
                    is_without, F.regexp_extract(words, NO_STAND_IN, 2)
                ),
                "pool_reason": F.when(
                    is_without, _code_of(F.regexp_extract(words, NO_STAND_IN, 3))
                ).otherwise(nothing),
                "detail": words,
            }
        )
        return _as_declared(coded, table)

    return as_codes


def _code_of(words: Column) -> Column:
    return (
        F.when(words.isNull(), F.lit(None).cast("string"))
        .when(words.rlike(TOO_FEW), "too_few_positives")
        .when(words == "every cell-week has an incident", "all_positive")
        .when(words.rlike("^(did not converge|the coefficients are not finite)"), "not_converged")
        .otherwise("error")
    )


def models_before_codes(models: DataFrame) -> tuple[DataFrame, Table]:
    """Return models with the reason in words, and their table, as schema version 7 had them.

    The digest of a run of that time covers these words; `detail` keeps them.
    """
    later = ("pool", "pool_reason", "detail")
    columns = tuple(column for column in tables.MODELS.columns if column.name not in later)
    former = replace(tables.MODELS, columns=columns, checks={})
    return _as_declared(models.withColumn("reason", F.col("detail")), former), former


def _as_they_are(rows: DataFrame) -> DataFrame:
    """Only the table's checks are others."""
    return rows


MIGRATIONS: Mapping[tuple[int, str], Callable[[DataFrame], DataFrame]] = {
    (1, tables.FORECASTS.name): _tell_values_of_contributions,
    (2, tables.MODELS.name): _tell_no_draws,
    (2, tables.FORECASTS.name): _tell_no_stability,
    (3, tables.INCIDENTS.name): _as_they_are,
    (3, tables.REVISIONS.name): _leave_revisions_undecided,
    (4, tables.INCIDENTS.name): _tell_one_version,
    (4, tables.SUSPECTS.name): _purge_nothing,
    (4, tables.CELLS.name): _leave_cells_to_be_judged,
    (4, tables.REVISIONS.name): _name_what_revisions_are_about,
    (5, tables.FORECASTS.name): _tell_reasons_apart,
    (6, tables.REVISIONS.name): _keep_the_order_of_revisions,
    (6, tables.DATASETS.name): _without_settings_of_reading,
    (6, tables.SNAPSHOT_SLICES.name): _leave_files_unchecked,
    (7, tables.MODELS.name): _name_reasons_by_codes(tables.MODELS),
    (7, tables.EARLIER_MODELS.name): _name_reasons_by_codes(tables.EARLIER_MODELS),
    (7, tables.CHALLENGERS.name): _name_reasons_by_codes(tables.CHALLENGERS),
}
"""(schema version, table) -> its rows as the next version has them."""


def migrated(table: str, rows: DataFrame, version: int) -> DataFrame | None:
    """A table's rows as they are declared now, or None where nothing changes.

    Args:
        table: its name.
        rows: as a lake of an older schema version holds them.
        version: that version.
    """
    steps = [
        MIGRATIONS[step, table]
        for step in range(version, tables.SCHEMA_VERSION)
        if (step, table) in MIGRATIONS
    ]
    for step in steps:
        rows = step(rows)
    return rows if steps else None
