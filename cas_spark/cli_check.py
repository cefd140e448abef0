"""The commands before there is a lake: `init` writes a first settings file, `check` tries one."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cas_spark.errors import SettingsError
from cas_spark.lake.session import start_session
from cas_spark.pipelines.check import check_extracts
from cas_spark.pipelines.check_map import check_is_no_lake, check_may_write, picture_path, write_map
from cas_spark.pipelines.check_report import check_report, is_fine
from cas_spark.pipelines.init import init_settings
from cas_spark.pipelines.job import ShowProgress
from cas_spark.pipelines.report import TextReport
from cas_spark.settings import check_inputs, load_settings
from cas_spark.settings.unfilled import unfilled

NOT_FINE = 1
ROWS = 10_000


def add_to(
    app: typer.Typer, show: Callable[[TextReport], None], show_progress: ShowProgress
) -> None:
    """Add the commands to the command line.

    Args:
        app: gets them.
        show: prints a report.
        show_progress: shows how far a command is.
    """

    @app.command()
    def check(
        settings: Annotated[Path, typer.Option("--settings", help="Settings file (YAML).")],
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
        spark = start_session(f"cas-spark check {loaded.name}")
        try:
            checks, teams = check_extracts(spark, loaded, rows, show_progress)
        finally:
            spark.stop()
        show(check_report(checks, loaded))
        drawn = [one for one in checks if one.places is not None]
        # All or none: a folder of somebody else gets no map at all.
        for one in drawn:
            check_may_write(picture_path(folder, one))
        for one in drawn:
            write_map(picture_path(folder, one), one, teams, loaded)
        show(TextReport([], [f"Maps: {folder}" if drawn else "No extract has places to draw."]))
        if not is_fine(checks):
            raise typer.Exit(NOT_FINE)

    @app.command()
    def init(
        folder: Annotated[Path, typer.Argument(help="Folder that gets settings.yaml.")],
        extract: Annotated[Path, typer.Option("--extract", help="File of incidents.")],
        teams: Annotated[
            Path | None, typer.Option("--teams", help="File with the teams' polygons.")
        ] = None,
    ) -> None:
        """Look at an extract and write a first settings file, with what is left to fill in."""
        show(init_settings(folder, extract, teams))
