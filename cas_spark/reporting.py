"""What a command reports: tables and lines, whatever they are shown on."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ReportTable:
    """A table of text.

    Attributes:
        title: above the table.
        columns: names of the columns; empty for a table without a header.
        rows: as many texts in each as there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """What a command reports.

    Attributes:
        tables: shown first.
        lines: shown below the tables.
        warnings: what is unusual, shown in a colour of its own.
        labels: reservations that must stand wherever figures of these settings are shown.
    """

    tables: Sequence[ReportTable]
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()
    labels: Sequence[str] = ()
