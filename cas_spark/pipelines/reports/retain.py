"""The report of `cas-spark retain`: what was removed, of which extracts and why, and the proof."""

from pyspark.sql import functions as F

from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.retain import Retained
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings import Settings


def retain_report(lake: Lake, settings: Settings, retained: Retained) -> Report:
    """The record of a retention as text; it names no key.

    Args:
        lake: as the command left it.
        settings: of the lake.
        retained: what the command did.
    """
    found = [] if retained.retention is None else [_removed(lake, retained.retention)]
    lines = [] if found else ["Nothing is past its term or ordered erased: nothing was changed."]
    if retained.scan is not None:
        scan = retained.scan
        lines.append(
            f"None of {retained.keys:,} keys is found in {scan.files:,} files, {scan.bytes:,} bytes"
        )
    if retained.not_scanned is not None:
        lines.append(f"Not scanned, since only its server can look into it: {retained.not_scanned}")
    if retained.complete_from is not None:
        lines.append(f"All incidents that became known are kept from {retained.complete_from} on")
    for file in retained.not_deleted:
        lines.append(
            f"Holds rows that were erased on order, and has to be destroyed by who owns it (or set "
            f"retention.extracts): {file.path}"
        )
    return Report(found, lines, labels=settings.labels)


def _removed(lake: Lake, retention: int) -> ReportTable:
    names = lake.read(tables.DATASETS).select(F.col("sha256").alias("dataset_sha256"), "name")
    rows = (
        lake.read(tables.RETENTIONS)
        .where(F.col("retention") == retention)
        .join(names.dropDuplicates(["dataset_sha256"]), "dataset_sha256", "left")
        .orderBy("class", "reason", "source", "name")
        .collect()
    )
    return ReportTable(
        f"Removed for good (retention {retention})",
        ["of", "reason", "source", "extract", "rows", "facts"],
        [
            [
                row["class"],
                row["reason"],
                row["source"],
                row["name"] or tables.NO_EXTRACT,
                f"{row['rows']:,}",
                f"{row['facts']:,}",
            ]
            for row in rows
        ],
    )
