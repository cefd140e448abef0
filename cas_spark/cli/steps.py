"""Commands that make the week: each step alone, and all of them in order as `weekly`."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cas_spark.cli.arguments import Poll, Reread, SettingsFile
from cas_spark.cli.printing import print_next, print_report, show_progress
from cas_spark.cli.session import load, session
from cas_spark.pipelines.commands import INGEST, STEPS, WEEKLY, run_command
from cas_spark.pipelines.dry_run import dry_run
from cas_spark.pipelines.reports.weekly import report_of

commands = typer.Typer()


def _run(
    command: str, settings_path: Path, poll: datetime | None, reread: Sequence[str] = ()
) -> None:
    day = poll.date() if poll else None
    polls = {"--poll": day} if day else {}
    settings = load(
        settings_path, polls, needs_inputs=command in ("ingest", "grid", WEEKLY), reread=reread
    )
    with session(f"cas-spark {command} {settings.name}", settings.lake) as spark:
        job = run_command(spark, command, settings, day, show_progress, reread)
        print_report(report_of(job))
        if command == WEEKLY:
            print_next(job, settings_path)


def _add_step(name: str, help_text: str) -> None:
    def command(settings: SettingsFile, poll: Poll = None) -> None:
        _run(name, settings, poll)

    def ingest_command(settings: SettingsFile, poll: Poll = None, reread: Reread = None) -> None:
        _run(name, settings, poll, reread or ())

    commands.command(name, help=help_text)(ingest_command if name == INGEST else command)


for _name, _step in STEPS.items():
    _add_step(_name, (_step.__doc__ or "").splitlines()[0])


@commands.command(WEEKLY)
def weekly(
    settings: SettingsFile,
    poll: Poll = None,
    reread: Reread = None,
    is_dry: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Only say what would be done, and how much.")
    ] = False,
) -> None:
    """All steps in order, published as one run."""
    if is_dry:
        _say_what_would_be_done(settings, poll, reread or ())
    else:
        _run(WEEKLY, settings, poll, reread or ())


def _say_what_would_be_done(
    settings_path: Path, poll: datetime | None, reread: Sequence[str]
) -> None:
    day = poll.date() if poll else None
    polls = {"--poll": day} if day else {}
    settings = load(settings_path, polls, needs_inputs=True, reread=reread)
    with session(f"cas-spark {WEEKLY} --dry-run {settings.name}", settings.lake) as spark:
        report = dry_run(spark, settings, day, WEEKLY, reread)
    print_report(report)
