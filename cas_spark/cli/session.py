"""What commands begin with: settings that are checked, and a session for their lake."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from cas_spark.errors import SettingsError
from cas_spark.indicators.checks import problems_of_indicators
from cas_spark.platform.failures import explaining_storage_failures
from cas_spark.platform.session import start_session
from cas_spark.settings import Settings, check_inputs, load_settings


@contextmanager
def session(name: str, root: str | None = None) -> Iterator[SparkSession]:
    """Start a session, and stop it in the end.

    Args:
        name: of the work, in Spark's UI.
        root: of the lake, whose failures then name table and file; None where there is no lake.
    """
    spark = start_session(name)
    try:
        with explaining_storage_failures(root) if root is not None else nullcontext():
            yield spark
    finally:
        spark.stop()


def load(
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
