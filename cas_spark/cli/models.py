"""Commands that score models on past weeks, compare a challenger, or export one."""

from datetime import datetime
from typing import Annotated

import typer

from cas_spark.cli.arguments import SettingsFile, a_day, folder_of_models, plain_name, whole_path
from cas_spark.cli.printing import print_report, show_progress
from cas_spark.cli.session import load, session
from cas_spark.pipelines.backtest import Span
from cas_spark.pipelines.commands import run_backtest, run_experiment
from cas_spark.pipelines.experiment import Challenge
from cas_spark.pipelines.export import ModelKey, export_model
from cas_spark.pipelines.reports.backtest import backtest_report

commands = typer.Typer()


@commands.command()
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
    loaded = load(settings, {"--from": span.first, "--to": span.last}, needs_inputs=True)
    with session(f"cas-spark backtest {loaded.name}", loaded.lake) as spark:
        job = run_backtest(spark, loaded, span, show_progress)
        report = backtest_report(job, span)
    print_report(report)


@commands.command()
def experiment(
    settings: SettingsFile,
    name: Annotated[
        str, typer.Option("--name", callback=plain_name, help="Name of the experiment.")
    ],
    weeks: Annotated[int, typer.Option(min=2, max=1_040, help="Settled weeks to compare on.")] = 26,
) -> None:
    """Train a challenger with these settings, and measure it against the latest weekly run."""
    loaded = load(settings, {}, needs_inputs=False)
    with session(f"cas-spark experiment {loaded.name} {name}", loaded.lake) as spark:
        report = run_experiment(spark, loaded, Challenge(name, weeks), show_progress)
    print_report(report)


@commands.command(name="export-model")
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
    loaded = load(settings, {"--poll": key.poll}, needs_inputs=False)
    folder = whole_path(to)
    with session(f"cas-spark export-model {loaded.name}", loaded.lake) as spark:
        report = export_model(spark, loaded, key, folder)
    print_report(report)
