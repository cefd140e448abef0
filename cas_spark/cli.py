"""The command line: `cas-spark STEP --settings FILE [--poll YYYY-MM-DD]`.

Exit codes: 0 done, 1 failed, 2 wrong settings or arguments.
"""

import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import SparkSession
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table as Grid

from cas_spark.errors import CasError, SettingsError
from cas_spark.lake.lake import Lake
from cas_spark.lake.session import RUNTIME, start_session
from cas_spark.pipelines.backtest import Span
from cas_spark.pipelines.backtest_report import backtest_report
from cas_spark.pipelines.commands import (
    STEPS,
    WEEKLY,
    run_backtest,
    run_command,
    run_experiment,
    run_rebuild,
    run_retain,
)
from cas_spark.pipelines.dry_run import dry_run
from cas_spark.pipelines.experiment import Challenge
from cas_spark.pipelines.export import ModelKey, export_model
from cas_spark.pipelines.inventory import inventory_of
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.progress import bars
from cas_spark.pipelines.report import TextReport, TextTable, report_of
from cas_spark.pipelines.revisions_report import (
    count_revisions,
    pending_report,
    pending_revisions,
    revisions_report,
)
from cas_spark.pipelines.status import RUNS_SHOWN, status_of
from cas_spark.settings import Settings, check_inputs, load_settings
from cas_spark.settings.redaction import print_redacted, redact_record, redacted, redacted_text
from cas_spark.sources.generator import generate
from cas_spark.tracking.store import open_store

FAILED, WRONG_SETTINGS = 1, 2
NOTEBOOK = "notebooks/team_week"

app = typer.Typer(
    help="Place-based crime anticipation: forecasts places, never persons; people decide.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
LOG_WIDTH = 160
console = Console(stderr=True)
if not console.is_terminal:  # a log file has no width to keep to
    console.width = LOG_WIDTH

SettingsFile = Annotated[Path, typer.Option("--settings", help="Settings file (YAML).")]
Poll = Annotated[
    datetime | None,
    typer.Option(
        "--poll", formats=["%Y-%m-%d"], help="Local date of the poll; default: the newest."
    ),
]


@contextmanager
def _session(name: str) -> Iterator[SparkSession]:
    spark = start_session(name)
    try:
        yield spark
    finally:
        spark.stop()


def _load(path: Path, polls: Mapping[str, date], *, needs_inputs: bool) -> Settings:
    """Settings and arguments, checked before Spark starts; every problem at once."""
    settings = load_settings(path)
    problems = []
    for option, poll in polls.items():
        try:
            settings.check_poll(poll)
        except ValueError as error:
            problems.append(f"{option}: {error}")
    if needs_inputs:
        try:
            check_inputs(path, settings)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(path, problems)
    return settings


def _plain(name: str) -> str:
    """A name that may stand in conditions, tags and folders."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise typer.BadParameter(f"{name!r}: give letters, digits, - and _")
    return name


def _run(command: str, settings_path: Path, poll: datetime | None) -> None:
    day = poll.date() if poll else None
    polls = {"--poll": day} if day else {}
    settings = _load(settings_path, polls, needs_inputs=command in ("ingest", "grid", WEEKLY))
    with _session(f"cas-spark {command} {settings.name}") as spark:
        _print_report(run_command(spark, command, settings, day, bars(console)), settings_path)


def _print_report(job: Job, settings_path: Path) -> None:
    report = report_of(job)
    grid = Grid(title=f"{job.settings.title} ({job.run.step})", show_header=False)
    grid.add_column()
    grid.add_column()
    for pair in report.lines:
        grid.add_row(*pair)
    out = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    out.print(grid)
    for label in report.labels:
        out.print(f"[bold]{label}[/bold]")
    if job.run.step == WEEKLY:
        out.print("\nNext:")
        for line in next_lines(job, settings_path):
            out.print(f"  {line}", soft_wrap=True, highlight=False)


def next_lines(job: Job, settings_path: Path) -> list[str]:
    """What to type next: the MLflow UI, the notebook, the map, the tables."""
    return [
        f"mlflow ui --backend-store-uri {redacted(open_store(job.settings).uri)}",
        f"jupytext --to ipynb {NOTEBOOK}.py",
        f"CAS_SETTINGS={settings_path.resolve()} jupyter lab {NOTEBOOK}.ipynb",
        f"maps (DRAFT): {redacted(job.run.lake.path('maps'))}/{job.poll}",
        f"cas-spark tables --settings {settings_path}",
    ]


def _add_step(name: str, help_text: str) -> None:
    def command(settings: SettingsFile, poll: Poll = None) -> None:
        _run(name, settings, poll)

    app.command(name, help=help_text)(command)


for _name, _step in STEPS.items():
    _add_step(_name, (_step.__doc__ or "").splitlines()[0])


@app.command(WEEKLY)
def weekly(
    settings: SettingsFile,
    poll: Poll = None,
    is_dry: Annotated[  # noqa: FBT002
        bool, typer.Option("--dry-run", help="Only say what would be done, and how much.")
    ] = False,
) -> None:
    """All steps in order, published as one run."""
    if is_dry:
        _say_what_would_be_done(settings, poll)
    else:
        _run(WEEKLY, settings, poll)


def _say_what_would_be_done(settings_path: Path, poll: datetime | None) -> None:
    day = poll.date() if poll else None
    settings = _load(settings_path, {"--poll": day} if day else {}, needs_inputs=True)
    with _session(f"cas-spark {WEEKLY} --dry-run {settings.name}") as spark:
        report = dry_run(spark, settings, day, WEEKLY)
    _print_tables(report)


@app.command()
def tables(
    settings: SettingsFile,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,  # noqa: FBT002
) -> None:
    """What is in the lake: versions, rows, digests."""
    loaded = load_settings(settings)
    with _session("cas-spark tables") as spark:
        inventory = inventory_of(Lake(spark, loaded.lake))
    if as_json:
        typer.echo(json.dumps(inventory, indent=2))
        return
    rows = [
        [table["name"], str(table["version"]), f"{table['rows']:,}", table["digest"][:16]]
        for table in inventory["tables"]
    ]
    title = f"{redacted(loaded.lake)}, run {inventory['run']}"
    columns = ["table", "version", "rows", "digest"]
    _print_tables(TextReport([TextTable(title, columns, rows)], []))


@app.command()
def status(
    settings: SettingsFile,
    runs: Annotated[int, typer.Option(min=1, help="How many complete runs.")] = RUNS_SHOWN,
) -> None:
    """What runs at the moment, what broke off, and the last complete runs."""
    loaded = load_settings(settings)
    with _session("cas-spark status") as spark:
        report = status_of(Lake(spark, loaded.lake), runs)
    _print_tables(report)


@app.command()
def revisions(
    settings: SettingsFile,
    year: Annotated[int | None, typer.Option(help="Only what became known in it.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the figures here.")] = None,
    pending: Annotated[  # noqa: FBT002
        bool, typer.Option("--pending", help="List those that wait for what they are about.")
    ] = False,
) -> None:
    """Dirty data by number: revisions per year, source and kind, and what became of them."""
    loaded = load_settings(settings)
    with _session("cas-spark revisions") as spark:
        lake = Lake(spark, loaded.lake)
        found = pending_revisions(lake) if pending else count_revisions(lake, loaded, year)
    _print_tables(pending_report(found, loaded) if pending else revisions_report(found, loaded))
    if csv is not None:
        found.to_csv(csv, index=False)


@app.command()
def backtest(
    settings: SettingsFile,
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First poll that is scored.")
    ],
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last poll that is scored.")
    ],
    retrain_every: Annotated[int, typer.Option(min=1, help="Weeks between trainings.")] = 4,
    as_known_then: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--as-known-then", help="Each poll sees also what was purged after it: for an accuracy."
        ),
    ] = False,
) -> None:
    """Forecast past weeks as they were known then, and score the model beside plain counting."""
    span = Span(first.date(), last.date(), retrain_every, as_known_then)
    loaded = _load(settings, {"--from": span.first, "--to": span.last}, needs_inputs=True)
    with _session(f"cas-spark backtest {loaded.name}") as spark:
        job = run_backtest(spark, loaded, span, bars(console))
        report = backtest_report(job, span)
    _print_tables(report)


@app.command()
def experiment(
    settings: SettingsFile,
    name: Annotated[str, typer.Option("--name", callback=_plain, help="Name of the experiment.")],
    weeks: Annotated[int, typer.Option(min=2, help="Settled weeks to compare on.")] = 26,
) -> None:
    """Train a challenger with these settings, and measure it against the latest weekly run."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session(f"cas-spark experiment {loaded.name} {name}") as spark:
        report = run_experiment(spark, loaded, Challenge(name, weeks), bars(console))
    _print_tables(report)


@app.command(name="rebuild")
def rebuild_week(
    settings: SettingsFile,
    run: Annotated[int, typer.Option("--run", min=1, help="Number of the weekly run.")],
    to: Annotated[
        str | None, typer.Option("--to", help="Folder that gets the rebuilt forecast and maps.")
    ] = None,
) -> None:
    """Make the week of a past run again, and tell whether it is what the run recorded."""
    loaded = load_settings(settings)
    with _session(f"cas-spark rebuild {loaded.name}") as spark:
        rebuilt, report = run_rebuild(spark, loaded, run, to and _folder(to), bars(console))
    _print_tables(report)
    if not rebuilt.is_equal and not rebuilt.removed:
        raise typer.Exit(FAILED)


def _folder(path: str) -> str:
    return path if "://" in path else str(Path(path).resolve())


@app.command()
def retain(
    settings: SettingsFile,
    as_of: Annotated[
        datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Day that terms run to.")
    ],
) -> None:
    """Remove for good what is past its term or ordered erased, and prove it."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session(f"cas-spark retain {loaded.name}") as spark:
        report = run_retain(spark, loaded, as_of.date())
    _print_tables(report)


@app.command(name="export-model")
def export(
    settings: SettingsFile,
    poll: Annotated[
        datetime, typer.Option("--poll", formats=["%Y-%m-%d"], help="Poll of the model.")
    ],
    team: Annotated[str, typer.Option("--team", help="Id of the team.")],
    priority: Annotated[str, typer.Option("--priority", help="Name of the priority.")],
    horizon: Annotated[str, typer.Option("--horizon", help="Name of the horizon.")],
    to: Annotated[str, typer.Option("--to", help="Folder that gets the model.")],
) -> None:
    """Write one model as a native pyspark.ml model, and log it in MLflow."""
    key = ModelKey(poll.date(), team, priority, horizon)
    loaded = _load(settings, {"--poll": key.poll}, needs_inputs=False)
    folder = _folder(to)
    with _session(f"cas-spark export-model {loaded.name}") as spark:
        report = export_model(spark, loaded, key, folder)
    _print_tables(report)


def _print_tables(report: TextReport) -> None:
    out = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    for table in report.tables:
        grid = Grid(title=table.title)
        for column in table.columns:
            grid.add_column(column)
        for row in table.rows:
            grid.add_row(*row)
        out.print(grid)
    for line in report.lines:
        out.print(line, soft_wrap=True, highlight=False)


@app.command(name="generate")
def generate_country(settings: SettingsFile) -> None:
    """Make up the country that the settings describe, as extracts in its folder."""
    loaded = load_settings(settings)
    for path, rows in generate(loaded):
        console.print(f"{path}: {rows:,} rows", highlight=False)


def run_cli(arguments: list[str]) -> int:
    """Run a command line and return its exit code; errors are told, without a traceback."""
    handler = RichHandler(console=console, show_path=False, show_level=False)
    handler.addFilter(redact_record)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("cas_spark").setLevel(logging.INFO)
    try:
        with _telling_how_to_go_on(arguments):
            app(arguments)
    except SettingsError as error:
        _print_error(str(error))
        return WRONG_SETTINGS
    except CasError as error:
        told = "\n".join([str(error), *getattr(error, "__notes__", [])])
        _print_error(told)
        return FAILED
    except SystemExit as stop:  # typer's own: an option or a date that is none, or all is well
        return stop.code if isinstance(stop.code, int) else FAILED
    return 0


def _print_error(text: str) -> None:
    console.print(f"[red]{escape(redacted_text(text))}[/red]", soft_wrap=True, highlight=False)


WRITING = {*STEPS, WEEKLY, "backtest", "experiment", "rebuild", "retain", "export-model"}


@contextmanager
def _telling_how_to_go_on(arguments: list[str]) -> Iterator[None]:
    """Have an error of a command that writes bear the line that begins it again."""
    own = str(RUNTIME / "conf")  # which a session sets where nothing is set
    folder = os.environ.get("SPARK_CONF_DIR", own)
    where = f"SPARK_CONF_DIR={shlex.quote(folder)} " if folder != own else ""
    try:
        yield
    except Exception as error:  # whatever it is: it goes on, with a note
        if arguments and arguments[0] in WRITING and not isinstance(error, SettingsError):
            error.add_note(
                f"To go on, once the cause is mended: {where}cas-spark {shlex.join(arguments)}\n"
                "Readers still see the last complete run."
            )
        raise


def main() -> None:
    """Entry point of `cas-spark`."""
    sys.excepthook = print_redacted
    sys.exit(run_cli(sys.argv[1:]))


def submit(step: str) -> None:
    """Entry point of `spark-submit jobs/STEP.py`."""
    sys.excepthook = print_redacted
    sys.exit(run_cli([step, *sys.argv[1:]]))
