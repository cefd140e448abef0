"""The catalogue: every indicator as a declaration, from which its name and kernel follow.

An indicator says what it counts, never when something was known: that is the framework's business.
Changing what a name means needs a higher `version`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["count", "density", "weeks_since", "season"]

ANY = "any"
"""In place of a priority: incidents of all priorities together."""

NEVER_WEEKS = 260
"""What `weeks_since` says where nothing happened in the last 260 weeks, or nothing is known."""


@dataclass(frozen=True)
class Indicator:
    """One number of a cell at a poll.

    Attributes:
        kind: which kernel computes it.
        name: derived from what it is; the column in `snapshots`.
        meaning: what it is, with its unit, in English.
        meaning_nl: the same in Dutch.
        of: the priority whose incidents it counts, `any` for all, None where it counts none.
        window_weeks: it looks at the window [poll - window_weeks, poll).
        bandwidth_m: of the Gaussian by which it weighs distance.
        transform: applied when a model reads it: log1p for counts, none for the rest.
        version: raised when its meaning changes.
    """

    kind: Kind
    name: str
    meaning: str
    meaning_nl: str
    of: str | None = None
    window_weeks: int | None = None
    bandwidth_m: int | None = None
    transform: Literal["log1p", "none"] = "log1p"
    version: int = 1

    @property
    def declaration(self) -> str:
        """All that its values depend on, as text."""
        return (
            f"{self.name} v{self.version}: {self.kind} of {self.of} over {self.window_weeks} w, "
            f"bandwidth {self.bandwidth_m} m"
        )


def count(of: str, window_weeks: int) -> Indicator:
    """Incidents in the cell over a window."""
    return Indicator(
        kind="count",
        name=f"{of}_count_{window_weeks}w",
        meaning=f"number of {of} incidents in the cell in the last {window_weeks} weeks",
        meaning_nl=f"aantal incidenten {of} in het vakje in de laatste {window_weeks} weken",
        of=of,
        window_weeks=window_weeks,
    )


def density(of: str, bandwidth_m: int, window_weeks: int) -> Indicator:
    """Incidents around the cell over a window, each weighed by its distance."""
    return Indicator(
        kind="density",
        name=f"{of}_density_{bandwidth_m}m_{window_weeks}w",
        meaning=f"number of {of} incidents around the cell in the last {window_weeks} weeks, each "
        f"weighed by exp(-d² / 2 · {bandwidth_m}²), d in metres between the cells' centres",
        meaning_nl=f"aantal incidenten {of} rond het vakje in de laatste {window_weeks} weken, "
        f"elk gewogen met exp(-d² / 2 · {bandwidth_m}²), d in meters tussen de middens",
        of=of,
        window_weeks=window_weeks,
        bandwidth_m=bandwidth_m,
    )


def weeks_since(of: str) -> Indicator:
    """Weeks since the last incident in the cell."""
    return Indicator(
        kind="weeks_since",
        name=f"{of}_weeks_since",
        meaning=f"weeks between the poll and the start of the week of the last {of} incident in "
        f"the cell; {NEVER_WEEKS} where there was none in that time",
        meaning_nl=f"weken tussen de peiling en het begin van de week van het laatste incident "
        f"{of} in het vakje; {NEVER_WEEKS} als er in die tijd geen was",
        of=of,
    )


SEASON = (
    Indicator(
        kind="season",
        name="season_sin",
        meaning="sine of the poll's place in the year (0 on 1 January)",
        meaning_nl="sinus van de plaats van de peiling in het jaar (0 op 1 januari)",
        transform="none",
    ),
    Indicator(
        kind="season",
        name="season_cos",
        meaning="cosine of the poll's place in the year (1 on 1 January)",
        meaning_nl="cosinus van de plaats van de peiling in het jaar (1 op 1 januari)",
        transform="none",
    ),
)


@dataclass(frozen=True)
class Catalogue:
    """The indicators of a lake, in the order in which every sum over them runs."""

    indicators: tuple[Indicator, ...]

    @property
    def names(self) -> list[str]:
        """The indicators' names: the columns of `snapshots`, in order."""
        return [indicator.name for indicator in self.indicators]

    @property
    def version(self) -> str:
        """A sha256 over all declarations: snapshots of another version are computed anew."""
        text = "\n".join(indicator.declaration for indicator in self.indicators)
        return hashlib.sha256(text.encode()).hexdigest()

    def of_priority(self, priority: str) -> list[Indicator]:
        """What the models of a priority look at: its own, those of all priorities, the season."""
        return [i for i in self.indicators if i.of in (priority, ANY, None)]

    def within(self, weeks_of_history: int) -> "Catalogue":
        """The catalogue without the indicators whose window reaches further back."""
        kept = [i for i in self.indicators if (i.window_weeks or 0) <= weeks_of_history]
        return Catalogue(tuple(kept))


def _of_incidents(of: str) -> Iterable[Indicator]:
    yield from (count(of, weeks) for weeks in (4, 13, 52, 156))
    yield density(of, 125, 13)
    yield density(of, 125, 156)
    yield density(of, 250, 52)
    yield weeks_since(of)


def catalogue_of(priorities: Sequence[str]) -> Catalogue:
    """The catalogue for these priorities, in their order."""
    own = [indicator for priority in priorities for indicator in _of_incidents(priority)]
    shared = [count(ANY, 52), density(ANY, 250, 52)]
    return Catalogue((*own, *shared, *SEASON))
