"""The command line: `cas-spark STEP --settings FILE [--poll YYYY-MM-DD]`.

Exit codes: 0 done, 1 failed, 2 wrong settings or arguments.
"""

import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from cas_spark.cli import lake, models, preparation, steps
from cas_spark.cli.exit_codes import FAILED, WRONG_SETTINGS
from cas_spark.cli.printing import LogHandler, console, print_error
from cas_spark.errors import CasError, SettingsError
from cas_spark.pipelines.commands import STEPS, WEEKLY
from cas_spark.platform.session import RUNTIME
from cas_spark.settings.redaction import print_redacted, redact_record

app = typer.Typer(
    help="Place-based crime anticipation: forecasts places, never persons; people decide.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _group in (steps, lake, models, preparation):
    app.add_typer(_group.commands)


def run_cli(arguments: list[str]) -> int:
    """Run a command line and return its exit code; errors are printed without a traceback."""
    handler = LogHandler(console=console, show_path=False, show_level=False)
    handler.addFilter(redact_record)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("cas_spark").setLevel(logging.INFO)
    try:
        with _with_a_line_to_go_on(arguments):
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
def _with_a_line_to_go_on(arguments: list[str]) -> Iterator[None]:
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
