"""The row of `datasets` that tells of an extract, and rows as their table declares them."""

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cas_spark.lake.table import Table
from cas_spark.lake.tables import DATASETS
from cas_spark.settings.extracts import Extracts


def dataset_of(
    figures: Row, source: Extracts, dataset_sha256: str, name: str, spark: SparkSession
) -> DataFrame:
    """The extract's row of `datasets`, but for the run.

    Args:
        figures: rows_read, rows_accepted, rows_revisions, rows_rejected, and when the first and the
            last row became known, known_from_micros and known_until_micros (UTC; null for none).
        source: of the extract.
        dataset_sha256: of the extract's file.
        name: of the extract's file.
        spark: the session.
    """
    told = {
        "source": source.name,
        "sha256": dataset_sha256,
        "name": name,
        "complete_from_on": source.complete_from,
        "is_known_at_assumed": source.is_assumed,
        "origin": source.provenance.source,
        "purpose": source.provenance.purpose,
        "legal_basis": source.provenance.legal_basis,
    }
    counts = ("rows_read", "rows_accepted", "rows_revisions", "rows_rejected")
    columns = {
        **{column: F.lit(value) for column, value in told.items()},
        **{column: F.lit(figures[column]).cast("long") for column in counts},
        **{
            f"known_{end}_at": F.timestamp_micros(
                F.lit(figures[f"known_{end}_micros"]).cast("long")
            )
            for end in ("from", "until")
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
