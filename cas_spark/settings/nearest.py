"""Finds the name that was probably meant."""

from collections.abc import Sequence
from difflib import get_close_matches

LONGEST = 80


def nearest(name: str, known: Sequence[str], most: int = 1, *, at_least: float = 0.6) -> list[str]:
    """The known names that look most like a name; none where nothing looks like it.

    Args:
        name: as it is written.
        known: the names that there are.
        most: how many to return.
        at_least: how alike, between 0 and 1.
    """
    return get_close_matches(name[:LONGEST], known, n=most, cutoff=at_least)
