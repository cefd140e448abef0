"""The errors that a user can do something about: what, what was found, expected, and what to do."""

from collections.abc import Sequence
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
            expected="settings as told in docs/settings.md",
            do="Mend these and run the command again",
        )
