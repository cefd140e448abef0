"""Every table of the lake: what one row is, its key, and its columns with their units.

Instants (`_at`) are UTC; dates (`_on`) are local. A poll and the week that starts at it share
their date. `run_number` is the run that wrote a row.
"""

from cas_spark.lake.tables.facts import (
    AREA_STATISTICS,
    CELLS,
    DATASETS,
    INCIDENTS,
    OUTCOMES,
    REJECTED_ROWS,
    REVISION_COSTS,
    REVISIONS,
    SUSPECTS,
)
from cas_spark.lake.tables.indicators import SNAPSHOT_SLICES, cell_context, snapshots
from cas_spark.lake.tables.removals import ERASURES, NO_EXTRACT, RETENTION_SCANS, RETENTIONS
from cas_spark.lake.tables.replaced import (
    REPLACED,
    REPLACED_DATASETS,
    REPLACED_INCIDENTS,
    REPLACED_REJECTED_ROWS,
    REPLACED_REVISIONS,
    REPLACED_SUSPECTS,
)
from cas_spark.lake.tables.results import (
    BACKTESTS,
    CHALLENGERS,
    EARLIER_MODELS,
    EVALUATIONS,
    FORECASTS,
    MODELS,
    RUNS,
)

SCHEMA_VERSION = 8
"""Raised with a migration when a table's columns change."""

STATIC_TABLES = (
    DATASETS,
    REJECTED_ROWS,
    INCIDENTS,
    SUSPECTS,
    REVISIONS,
    REVISION_COSTS,
    CELLS,
    AREA_STATISTICS,
    SNAPSHOT_SLICES,
    OUTCOMES,
    MODELS,
    EARLIER_MODELS,
    CHALLENGERS,
    FORECASTS,
    EVALUATIONS,
    BACKTESTS,
    RETENTIONS,
    RETENTION_SCANS,
    ERASURES,
    REPLACED_DATASETS,
    REPLACED_REJECTED_ROWS,
    REPLACED_INCIDENTS,
    REPLACED_SUSPECTS,
    REPLACED_REVISIONS,
    RUNS,
)

NAMES = frozenset(table.name for table in (*STATIC_TABLES, cell_context([]), snapshots([])))
"""Names of all tables, also of those whose columns follow from the settings."""

__all__ = [
    "AREA_STATISTICS",
    "BACKTESTS",
    "CELLS",
    "CHALLENGERS",
    "DATASETS",
    "EARLIER_MODELS",
    "ERASURES",
    "EVALUATIONS",
    "FORECASTS",
    "INCIDENTS",
    "MODELS",
    "NAMES",
    "NO_EXTRACT",
    "OUTCOMES",
    "REJECTED_ROWS",
    "REPLACED",
    "REPLACED_DATASETS",
    "REPLACED_INCIDENTS",
    "REPLACED_REJECTED_ROWS",
    "REPLACED_REVISIONS",
    "REPLACED_SUSPECTS",
    "RETENTIONS",
    "RETENTION_SCANS",
    "REVISIONS",
    "REVISION_COSTS",
    "RUNS",
    "SCHEMA_VERSION",
    "SNAPSHOT_SLICES",
    "STATIC_TABLES",
    "SUSPECTS",
    "cell_context",
    "snapshots",
]
