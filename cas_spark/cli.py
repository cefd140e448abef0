"""The command line: `cas-spark STEP --settings FILE [--poll YYYY-MM-DD]`.

Exit codes: 0 done, 1 failed, 2 wrong settings or arguments.
"""

import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from pyspark.sql import SparkSession

from cas_spark import cli_check
from cas_spark.errors import CasError, SettingsError
from cas_spark.grid.layer_copies import copy_layer
from cas_spark.indicators.checks import problems_of_indicators
from cas_spark.lake.failures import telling_of_storage
from cas_spark.lake.lake import Lake
from cas_spark.lake.session import RUNTIME, start_session
from cas_spark.pipelines.arguments import a_day, folder_of_models, plain_name, whole_path
from cas_spark.pipelines.backtest import Span
from cas_spark.pipelines.backtest_report import backtest_report
from cas_spark.pipelines.commands import (
    INGEST,
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
from cas_spark.pipelines.printing import (
    LogHandler,
    console_of_errors,
    print_error,
    print_report,
    print_tables,
)
from cas_spark.pipelines.progress import bars
from cas_spark.pipelines.report import TextReport, TextTable
from cas_spark.pipelines.revisions_report import (
    count_revisions,
    pending_report,
    pending_revisions,
    revisions_report,
)
from cas_spark.pipelines.status import RUNS_SHOWN, status_of
from cas_spark.pipelines.verify import verify, verify_report
from cas_spark.settings import Settings, check_inputs, load_settings
from cas_spark.settings.redaction import print_redacted, redact_record, redacted
from cas_spark.settings.texts import one_line
from cas_spark.sources.generator import generate

FAILED, WRONG_SETTINGS = 1, 2

app = typer.Typer(
    help="Place-based crime anticipation: forecasts places, never persons; people decide.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = console_of_errors()


SettingsFile = Annotated[Path, typer.Option("--settings", help="Settings file (YAML).")]
Poll = Annotated[
    datetime | None,
    typer.Option(
        "--poll",
        formats=["%Y-%m-%d"],
        callback=a_day,
        help="Local date of the poll; default: the newest.",
    ),
]

Reread = Annotated[
    list[str] | None,
    typer.Option(
        "--reread",
        help="Source whose extracts are read again, by the settings of now; may be repeated.",
    ),
]


@contextmanager
def _session(name: str, root: str) -> Iterator[SparkSession]:
    """A session for work on the lake at `root`, whose failures are told with table and file."""
    spark = start_session(name)
    try:
        with telling_of_storage(root):
            yield spark
    finally:
        spark.stop()


def _load(
    path: Path, polls: Mapping[str, date], *, needs_inputs: bool, reread: Sequence[str] = ()
) -> Settings:
    """Settings and arguments, checked before Spark starts; every problem at once."""
    settings = load_settings(path)
    sources = [source.name for source in settings.sources]
    problems = problems_of_indicators(settings)
    problems += [
        f"--reread {name}: no such source, expected one of {', '.join(sources)}"
        for name in reread
        if name not in sources
    ]
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


def _run(
    command: str, settings_path: Path, poll: datetime | None, reread: Sequence[str] = ()
) -> None:
    day = poll.date() if poll else None
    polls = {"--poll": day} if day else {}
    settings = _load(
        settings_path, polls, needs_inputs=command in ("ingest", "grid", WEEKLY), reread=reread
    )
    with _session(f"cas-spark {command} {settings.name}", settings.lake) as spark:
        job = run_command(spark, command, settings, day, bars(console), reread)
        print_report(job, settings_path, is_week=command == WEEKLY)


def _add_step(name: str, help_text: str) -> None:
    def command(settings: SettingsFile, poll: Poll = None) -> None:
        _run(name, settings, poll)

    def ingest_command(settings: SettingsFile, poll: Poll = None, reread: Reread = None) -> None:
        _run(name, settings, poll, reread or ())

    app.command(name, help=help_text)(ingest_command if name == INGEST else command)


for _name, _step in STEPS.items():
    _add_step(_name, (_step.__doc__ or "").splitlines()[0])


@app.command(WEEKLY)
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
    settings = _load(settings_path, polls, needs_inputs=True, reread=reread)
    with _session(f"cas-spark {WEEKLY} --dry-run {settings.name}", settings.lake) as spark:
        report = dry_run(spark, settings, day, WEEKLY, reread)
    print_tables(report)


@app.command()
def tables(
    settings: SettingsFile,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,  # noqa: FBT002
) -> None:
    """What is in the lake: versions, rows, digests as recorded; `verify` recomputes them."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session("cas-spark tables", loaded.lake) as spark:
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
    print_tables(TextReport([TextTable(title, columns, rows)], [line]))


@app.command(name="verify")
def verify_digests(settings: SettingsFile) -> None:
    """Recompute every published digest and compare it with the record; nothing is written."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session("cas-spark verify", loaded.lake) as spark:
        verified = verify(Lake(spark, loaded.lake), loaded.resources.storage_access)
    print_tables(verify_report(verified))
    if not verified.is_equal:
        raise typer.Exit(FAILED)


@app.command()
def status(
    settings: SettingsFile,
    runs: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many complete runs.")
    ] = RUNS_SHOWN,
) -> None:
    """What runs at the moment, what broke off, and the last complete runs."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session("cas-spark status", loaded.lake) as spark:
        report = status_of(Lake(spark, loaded.lake), runs)
    print_tables(report)


@app.command()
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
    loaded = _load(settings, {}, needs_inputs=False)
    with _session("cas-spark revisions", loaded.lake) as spark:
        lake = Lake(spark, loaded.lake)
        found = pending_revisions(lake) if pending else count_revisions(lake, loaded, year)
    print_tables(pending_report(found, loaded) if pending else revisions_report(found, loaded))
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


@app.command()
def backtest(
    settings: SettingsFile,
    first: Annotated[
        datetime,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], callback=a_day, help="First poll that is scored."
        ),
    ],
    last: Annotated[
        datetime,
        typer.Option(
            "--to", formats=["%Y-%m-%d"], callback=a_day, help="Last poll that is scored."
        ),
    ],
    retrain_every: Annotated[
        int, typer.Option(min=1, max=1_040, help="Weeks between trainings.")
    ] = 4,
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
    with _session(f"cas-spark backtest {loaded.name}", loaded.lake) as spark:
        job = run_backtest(spark, loaded, span, bars(console))
        report = backtest_report(job, span)
    print_tables(report)


@app.command()
def experiment(
    settings: SettingsFile,
    name: Annotated[
        str, typer.Option("--name", callback=plain_name, help="Name of the experiment.")
    ],
    weeks: Annotated[int, typer.Option(min=2, max=1_040, help="Settled weeks to compare on.")] = 26,
) -> None:
    """Train a challenger with these settings, and measure it against the latest weekly run."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session(f"cas-spark experiment {loaded.name} {name}", loaded.lake) as spark:
        report = run_experiment(spark, loaded, Challenge(name, weeks), bars(console))
    print_tables(report)


@app.command(name="rebuild")
def rebuild_week(
    settings: SettingsFile,
    run: Annotated[
        int, typer.Option("--run", min=1, max=2**31 - 1, help="Number of the weekly run.")
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="Folder that gets the rebuilt forecast and maps.")
    ] = None,
) -> None:
    """Make the week of a past run again, and tell whether it is what the run recorded."""
    loaded = _load(settings, {}, needs_inputs=False)
    with _session(f"cas-spark rebuild {loaded.name}", loaded.lake) as spark:
        rebuilt, report = run_rebuild(spark, loaded, run, to and whole_path(to), bars(console))
    print_tables(report)
    if not rebuilt.is_equal and not rebuilt.removed:
        raise typer.Exit(FAILED)


@app.command()
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
    loaded = _load(settings, {}, needs_inputs=False)
    with _session(f"cas-spark retain {loaded.name}", loaded.lake) as spark:
        report = run_retain(spark, loaded, as_of.date())
    print_tables(report)


@app.command(name="export-model")
def export(
    settings: SettingsFile,
    poll: Annotated[
        datetime,
        typer.Option("--poll", formats=["%Y-%m-%d"], callback=a_day, help="Poll of the model."),
    ],
    team: Annotated[str, typer.Option("--team", help="Id of the team.")],
    priority: Annotated[str, typer.Option("--priority", help="Name of the priority.")],
    horizon: Annotated[str, typer.Option("--horizon", help="Name of the horizon.")],
    to: Annotated[
        str,
        typer.Option("--to", callback=folder_of_models, help="Folder that gets the model."),
    ],
) -> None:
    """Write one model as a native pyspark.ml model, and log it in MLflow."""
    key = ModelKey(poll.date(), team, priority, horizon)
    loaded = _load(settings, {"--poll": key.poll}, needs_inputs=False)
    folder = whole_path(to)
    with _session(f"cas-spark export-model {loaded.name}", loaded.lake) as spark:
        report = export_model(spark, loaded, key, folder)
    print_tables(report)


cli_check.add_to(app, print_tables, bars(console))


@app.command(name="generate")
def generate_country(settings: SettingsFile) -> None:
    """Make up the country that the settings describe, as extracts in its folder."""
    loaded = _load(settings, {}, needs_inputs=False)
    for path, rows in generate(loaded):
        console.print(one_line(f"{path}: {rows:,} rows"), highlight=False)


app.command(name="layers")(copy_layer)


def run_cli(arguments: list[str]) -> int:
    """Run a command line and return its exit code; errors are told, without a traceback."""
    handler = LogHandler(console=console, show_path=False, show_level=False)
    handler.addFilter(redact_record)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("cas_spark").setLevel(logging.INFO)
    try:
        with _telling_how_to_go_on(arguments):
            app(arguments)
    except SettingsError as error:
        print_error(console, str(error))
        return WRONG_SETTINGS
    except CasError as error:
        print_error(console, "\n".join([str(error), *getattr(error, "__notes__", [])]))
        return FAILED
    except SystemExit as stop:  # typer's own: an option or a date that is none, or all is well
        return stop.code if isinstance(stop.code, int) else FAILED
    return 0


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
