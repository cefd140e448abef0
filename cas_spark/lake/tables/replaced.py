"""Rows of sources that were read again under other settings, as they stood before.

No step reads them: what is used is what stands in the tables of facts. A rebuild of an earlier run
does, and what is removed for good is removed here too.
"""

from cas_spark.lake.table import Column, Table
from cas_spark.lake.tables.facts import DATASETS, INCIDENTS, REJECTED_ROWS, REVISIONS, SUSPECTS
from cas_spark.lake.tables.types import INTEGER, LONG


def _replaced(table: Table) -> Table:
    return Table(
        name=f"replaced_{table.name}",
        grain=f"{table.grain}, until its source was read again",
        keys=("replacement", *table.keys),
        columns=(
            Column("replacement", INTEGER, "1, 2, 3 … in the order in which sources were reread"),
            *table.columns,
            Column("replaced_by_run", LONG, "run that read the source again", is_in_digest=False),
        ),
    )


REPLACED_DATASETS = _replaced(DATASETS)
REPLACED_REJECTED_ROWS = _replaced(REJECTED_ROWS)
REPLACED_INCIDENTS = _replaced(INCIDENTS)
REPLACED_SUSPECTS = _replaced(SUSPECTS)
REPLACED_REVISIONS = _replaced(REVISIONS)

REPLACED = (
    (DATASETS, REPLACED_DATASETS),
    (REJECTED_ROWS, REPLACED_REJECTED_ROWS),
    (INCIDENTS, REPLACED_INCIDENTS),
    (SUSPECTS, REPLACED_SUSPECTS),
    (REVISIONS, REPLACED_REVISIONS),
)
"""Each table of facts, and where its rows go when their source is read again."""
