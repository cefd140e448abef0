"""How the set-up speaks to the one who runs it."""

import sys


class SetupError(Exception):
    """The set-up cannot go on; the message says in one line what to do."""


def say(what: str) -> None:
    """Print what the set-up is doing."""
    sys.stderr.write(f"set-up: {what}\n")
