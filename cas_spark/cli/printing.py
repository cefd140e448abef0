"""Prints reports, errors and logs at a terminal or into a log, whatever their texts hold.

Names come from people and files. Nothing in them is taken for markup, emoji or commands of the
terminal, and no secret of a place is shown.
"""

import logging
import shlex
import sys
from pathlib import Path

from rich.console import Console, ConsoleRenderable
from rich.logging import RichHandler
from rich.table import Table as Grid
from rich.text import Text

from cas_spark.pipelines.job import Job
from cas_spark.platform.progress import bars
from cas_spark.reporting import Report
from cas_spark.settings.redaction import redacted, redacted_text
from cas_spark.settings.texts import lines, one_line
from cas_spark.tracking.store import open_store

LOG_WIDTH = 160
"""A log file has no width to keep to."""
NOTEBOOK = "notebooks/team_week"


def console_of_errors() -> Console:
    """For progress, logs and errors."""
    console = Console(stderr=True, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


console = console_of_errors()
show_progress = bars(console)


def console_of_reports() -> Console:
    """For what a command was asked for."""
    width = None if sys.stdout.isatty() else LOG_WIDTH
    return Console(width=width, markup=False, emoji=False)


class LogHandler(RichHandler):
    """Logs on a console, without commands of the terminal in the texts."""

    def render_message(self, record: logging.LogRecord, message: str) -> ConsoleRenderable:
        """The message as it is printed."""
        return super().render_message(record, lines(message))


def print_error(console: Console, text: str) -> None:
    """Print an error, which may have several lines, in red."""
    console.print(Text(lines(redacted_text(text)), style="red"), soft_wrap=True, highlight=False)


def print_report(report: Report) -> None:
    """Print tables, the lines that belong to them, warnings and labels."""
    out = console_of_reports()
    for table in report.tables:
        grid = Grid(title=one_line(table.title), show_header=bool(table.columns))
        for column in table.columns:
            grid.add_column(one_line(column))
        for row in table.rows:
            grid.add_row(*map(one_line, row))
        out.print(grid)
    for line in report.lines:
        out.print(one_line(line), soft_wrap=True, highlight=False)
    for warning in report.warnings:
        out.print(Text(f"Warning: {one_line(warning)}", style="yellow"))
    for label in report.labels:
        out.print(Text(one_line(label), style="bold"), soft_wrap=True)


def print_next(job: Job, settings_path: Path) -> None:
    """Print what can be looked at after a week."""
    out = console_of_reports()
    out.print("\nNext:")
    for line in next_lines(job, settings_path):
        out.print(f"  {one_line(line)}", soft_wrap=True, highlight=False)


def next_lines(job: Job, settings_path: Path) -> list[str]:
    """What to type next: the MLflow UI, the notebook, the map, the tables."""
    return [
        f"mlflow ui --backend-store-uri {shlex.quote(redacted(open_store(job.settings).uri))}",
        f"jupytext --to ipynb {NOTEBOOK}.py",
        f"CAS_SETTINGS={shlex.quote(str(settings_path.resolve()))} jupyter lab {NOTEBOOK}.ipynb",
        f"maps (DRAFT): {redacted(job.run.lake.path('maps'))}/{job.poll}",
        f"cas-spark tables --settings {shlex.quote(str(settings_path))}",
    ]
