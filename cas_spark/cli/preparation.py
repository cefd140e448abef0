"""Commands before there is a lake: first settings, a trial of them, a made-up country, layers."""

from pathlib import Path
from typing import Annotated

import typer

from cas_spark.cli.arguments import SettingsFile
from cas_spark.cli.exit_codes import FAILED
from cas_spark.cli.printing import console, print_report, show_progress
from cas_spark.cli.session import load, session
from cas_spark.errors import SettingsError
from cas_spark.generator import generate
from cas_spark.grid.layer_copies import copy_layer
from cas_spark.pipelines.check.extracts import check_extracts
from cas_spark.pipelines.check.map import check_is_no_lake, check_may_write, picture_path, write_map
from cas_spark.pipelines.first_settings.write import init_settings
from cas_spark.pipelines.reports.check import check_report, is_fine
from cas_spark.reporting import Report
from cas_spark.settings import check_inputs, load_settings
from cas_spark.settings.texts import one_line
from cas_spark.settings.unfilled import unfilled

ROWS = 10_000

commands = typer.Typer()


@commands.command()
def check(
    settings: SettingsFile,
    rows: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="How many rows of each extract.")
    ] = ROWS,
    to: Annotated[Path | None, typer.Option("--to", help="Folder that gets the maps.")] = None,
) -> None:
    """Try the settings on the first rows of every extract, without a lake."""
    open_values = unfilled(settings)
    if open_values:
        raise SettingsError(settings, open_values)
    loaded = load_settings(settings)
    check_inputs(settings, loaded)
    folder = to or settings.resolve().parent / f"check-{loaded.name}"
    check_is_no_lake(folder, loaded)
    with session(f"cas-spark check {loaded.name}") as spark:
        checks, teams = check_extracts(spark, loaded, rows, show_progress)
    print_report(check_report(checks, loaded))
    drawn = [one for one in checks if one.places is not None]
    # All or none: a folder with other files gets no map at all.
    for one in drawn:
        check_may_write(picture_path(folder, one))
    for one in drawn:
        write_map(picture_path(folder, one), one, teams, loaded)
    print_report(Report([], [f"Maps: {folder}" if drawn else "No extract has places to draw."]))
    if not is_fine(checks):
        raise typer.Exit(FAILED)


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder that gets settings.yaml.")],
    extract: Annotated[Path, typer.Option("--extract", help="File of incidents.")],
    teams: Annotated[
        Path | None, typer.Option("--teams", help="File with the teams' polygons.")
    ] = None,
) -> None:
    """Look at an extract and write a first settings file, with what is left to fill in."""
    print_report(init_settings(folder, extract, teams))


@commands.command(name="generate")
def generate_country(settings: SettingsFile) -> None:
    """Make up the country that the settings describe, as extracts in its folder."""
    loaded = load(settings, {}, needs_inputs=False)
    for path, rows in generate(loaded):
        console.print(one_line(f"{path}: {rows:,} rows"), highlight=False)


commands.command(name="layers")(copy_layer)
