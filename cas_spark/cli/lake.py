"""Commands on a lake that is there: what it holds, whether that is so, and what is removed."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from cas_spark.cli.arguments import SettingsFile, a_day, whole_path
from cas_spark.cli.exit_codes import FAILED
from cas_spark.cli.printing import print_report, show_progress
from cas_spark.cli.session import load, session
from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.pipelines.commands import run_rebuild, run_retain
from cas_spark.pipelines.reports.inventory import inventory_of
from cas_spark.pipelines.reports.revisions import (
    count_revisions,
    pending_report,
    pending_revisions,
    revisions_report,
)
from cas_spark.pipelines.reports.status import RUNS_SHOWN, status_of
from cas_spark.pipelines.verify import verify, verify_report
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings.redaction import redacted

commands = typer.Typer()


@commands.command()
def tables(
    settings: SettingsFile,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,  # noqa: FBT002
) -> None:
    """What is in the lake: versions, rows, digests as recorded; `verify` recomputes them."""
    loaded = load(settings, {}, needs_inputs=False)
    with session("cas-spark tables", loaded.lake) as spark:
        inventory = inventory_of(Lake(spark, loaded.lake))
    if as_json:
        typer.echo(json.dumps(inventory, indent=2))
        return
    rows = [
        [table["name"], str(table["version"]), f"{table['rows']:,}", table["digest"][:16]]
        for table in inventory["tables"]
    ]
    title = f"{redacted(loaded.lake)}, run {inventory['run']}"
    columns = ["table", "version", "rows", "recorded digest"]
    line = "Digests are as the run recorded them; `cas-spark verify` recomputes them."
    print_report(Report([ReportTable(title, columns, rows)], [line]))


@commands.command(name="verify")
def verify_digests(settings: SettingsFile) -> None:
    """Recompute every published digest and compare it with the record; nothing is written."""
    loaded = load(settings, {}, needs_inputs=False)
    with session("cas-spark verify", loaded.lake) as spark:
        verified = verify(Lake(spark, loaded.lake), loaded.resources.storage_access)
    print_report(verify_report(verified))
    if not verified.is_equal:
        raise typer.Exit(FAILED)


@commands.command()
def status(
    settings: SettingsFile,
    runs: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many complete runs.")
    ] = RUNS_SHOWN,
) -> None:
    """What runs at the moment, what broke off, and the last complete runs."""
    loaded = load(settings, {}, needs_inputs=False)
    with session("cas-spark status", loaded.lake) as spark:
        report = status_of(Lake(spark, loaded.lake), runs)
    print_report(report)


@commands.command()
def revisions(
    settings: SettingsFile,
    year: Annotated[
        int | None, typer.Option(min=1900, max=2200, help="Only what became known in it.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the figures here.")] = None,
    pending: Annotated[  # noqa: FBT002
        bool, typer.Option("--pending", help="List those that wait for what they are about.")
    ] = False,
) -> None:
    """Dirty data by number: revisions per year, source and kind, and what became of them."""
    loaded = load(settings, {}, needs_inputs=False)
    with session("cas-spark revisions", loaded.lake) as spark:
        lake = Lake(spark, loaded.lake)
        found = pending_revisions(lake) if pending else count_revisions(lake, loaded, year)
    print_report(pending_report(found, loaded) if pending else revisions_report(found, loaded))
    if csv is not None:
        _write_csv(found, csv)


def _write_csv(figures: pd.DataFrame, path: Path) -> None:
    """Write figures as CSV, in place of a file with the same header only.

    Raises:
        CasError: another file is there.
    """
    text = figures.to_csv(index=False)
    header = text.splitlines()[0]
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as file:
            there = file.readline(len(header) + 2).rstrip("\r\n")
        if there != header:
            raise CasError(
                what=f"--csv {path}",
                found="a file with other content",
                expected=f"no file, or one that begins with {header}",
                do="Nothing was changed. Name another file",
            )
    path.write_text(text, encoding="utf-8")


@commands.command(name="rebuild")
def rebuild_week(
    settings: SettingsFile,
    run: Annotated[
        int, typer.Option("--run", min=1, max=2**31 - 1, help="Number of the weekly run.")
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="Folder that gets the rebuilt forecast and maps.")
    ] = None,
) -> None:
    """Rebuild the week of a past run, and compare it with what the run recorded."""
    loaded = load(settings, {}, needs_inputs=False)
    with session(f"cas-spark rebuild {loaded.name}", loaded.lake) as spark:
        rebuilt, report = run_rebuild(spark, loaded, run, to and whole_path(to), show_progress)
    print_report(report)
    if not rebuilt.is_equal and not rebuilt.removed:
        raise typer.Exit(FAILED)


@commands.command()
def retain(
    settings: SettingsFile,
    as_of: Annotated[
        datetime,
        typer.Option(
            "--as-of", formats=["%Y-%m-%d"], callback=a_day, help="Day that terms run to."
        ),
    ],
) -> None:
    """Remove for good what is past its term or ordered erased, and prove it."""
    loaded = load(settings, {}, needs_inputs=False)
    with session(f"cas-spark retain {loaded.name}", loaded.lake) as spark:
        report = run_retain(spark, loaded, as_of.date())
    print_report(report)
