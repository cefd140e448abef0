"""The errors that a user can do something about: what, what was found, expected, and what to do."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class CasError(Exception):
    """Something went wrong that a user can mend."""

    def __init__(self, what: str, found: str, expected: str, do: str) -> None:
        self.what = what
        self.found = found
        self.expected = expected
        self.do = do
        super().__init__(f"{what}: found {found}; expected {expected}. {do}")


class SettingsError(CasError):
    """The settings or arguments are wrong; holds every problem, not only the first."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(
            what=f"settings {path}",
            found=f"{len(problems)} problem{'s' if len(problems) != 1 else ''}{listed}\n",
            expected="settings as docs/settings.md describes them",
            do="Mend these and run the command again",
        )


class TaskError(Exception):
    """Carries a CasError out of a Spark task, of which Spark hands on the text alone."""


_OUT_OF_TASK = re.compile(r"TaskError: (\{.*\})")


@contextmanager
def leaving_a_task() -> Iterator[None]:
    """Let a CasError leave a Spark task so that `error_of_task` finds it on the driver.

    Raises:
        TaskError: a CasError was raised; its text holds the four parts as JSON.
    """
    try:
        yield
    except CasError as error:
        parts = ("what", "found", "expected", "do")
        raise TaskError(json.dumps({part: getattr(error, part) for part in parts})) from None


def error_of_task(text: str) -> CasError | None:
    """Return the CasError that made a Spark task fail; None where something else did.

    Args:
        text: of Spark's exception.
    """
    found = _OUT_OF_TASK.search(text)
    return CasError(**json.loads(found[1])) if found else None
