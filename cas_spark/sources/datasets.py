"""The row of `datasets` about an extract, and rows as their table declares them."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.lake.table import Table
from cas_spark.lake.tables import DATASETS
from cas_spark.settings import Settings
from cas_spark.settings.extract_digest import delivered_on, digest_of_reading, settings_of_reading
from cas_spark.settings.extracts import Extracts
from cas_spark.sources.figures import Figures


def dataset_of(
    figures: Figures,
    source: Extracts,
    settings: Settings,
    dataset_sha256: str,
    name: str,
    spark: SparkSession,
) -> DataFrame:
    """The extract's row of `datasets`, but for the run.

    Args:
        figures: of its rows.
        source: of the extract.
        settings: of the lake, among which the source's decide how the extract was read.
        dataset_sha256: of the extract's file.
        name: of the extract's file.
        spark: the session.
    """
    reading = settings_of_reading(settings, source.name)
    assert reading is not None  # noqa: S101  # it is one of the settings' own sources
    constants = {
        "source": source.name,
        "sha256": dataset_sha256,
        "name": name,
        "complete_from_on": source.complete_from,
        "is_known_at_assumed": source.is_assumed,
        "origin": source.provenance.source,
        "purpose": source.provenance.purpose,
        "legal_basis": source.provenance.legal_basis,
        "source_sha256": digest_of_reading(reading),
    }
    counts = figures.counts("read", "accepted", "revisions", "rejected")
    moments = {"from": figures.known_from_micros, "until": figures.known_until_micros}
    columns = {
        **{column: F.lit(value) for column, value in constants.items()},
        "delivered_on": F.lit(delivered_on(source, name)).cast("date"),
        **{f"rows_{part}": F.lit(number).cast("long") for part, number in counts.items()},
        **{
            f"known_{end}_at": F.timestamp_micros(F.lit(micros).cast("long"))
            for end, micros in moments.items()
        },
    }
    one = spark.range(1).withColumns(columns)
    return as_declared(one, DATASETS)


def as_declared(rows: DataFrame, table: Table) -> DataFrame:
    """The table's columns in their order, but for the run, which the lake's writer knows."""
    return rows.select(*(column.name for column in table.columns if column.name != "run_number"))


def with_nothing_else(rows: DataFrame, table: Table) -> DataFrame:
    """Rows with null in each column of the table that they lack and that may be null."""
    return rows.withColumns(
        {
            column.name: F.lit(None).cast(column.type)
            for column in table.columns
            if column.is_nullable and column.name not in rows.columns
        }
    )
