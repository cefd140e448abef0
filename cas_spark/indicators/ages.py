"""Which ages of incidents count in an indicator, and how; in its name and in words."""

from dataclasses import dataclass

ALL_HISTORY = (0, None)


@dataclass(frozen=True)
class Ages:
    """Which ages count and how, in a name and in words."""

    name: str
    words: str
    words_nl: str
    window: tuple[int, int | None] | None = None
    half_life_weeks: int | None = None


def in_last(weeks: int) -> Ages:
    """The weeks just before the poll."""
    return Ages(
        f"{weeks}w",
        f"in the last {weeks} weeks",
        f"in de laatste {weeks} weken",
        window=(0, weeks),
    )


def between(newest: int, oldest: int) -> Ages:
    """A window that ended some weeks ago."""
    return Ages(
        f"{newest}w_to_{oldest}w",
        f"between {newest} and {oldest} weeks ago",
        f"tussen {newest} en {oldest} weken geleden",
        window=(newest, oldest),
    )


IN_ALL_HISTORY = Ages("all", "in all history", "in de hele historie", window=ALL_HISTORY)


def decayed(half_life_weeks: int) -> Ages:
    """All history, the older the less."""
    return Ages(
        f"decayed_{half_life_weeks}w",
        f"in all history, each weighing half as much for every {half_life_weeks} weeks of age",
        f"in de hele historie, elk half zo zwaar voor elke {half_life_weeks} weken ouderdom",
        half_life_weeks=half_life_weeks,
    )
