"""An indicator: one number of a cell at a poll, as a declaration that its kernel computes."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "count", "density", "ever", "weeks_since", "level", "calendar", "context",
    "suspects", "nearest_suspect",
]  # fmt: skip
Group = Literal[
    "history", "near", "others", "calendar", "surroundings", "area_statistics", "suspects"
]  # fmt: skip

ANY = "any"
"""In place of a priority: incidents of all priorities together."""

NEVER_WEEKS = 260
"""What `weeks_since` says where nothing happened in the last 260 weeks, or nothing is known."""


@dataclass(frozen=True)
class Indicator:
    """One number of a cell at a poll.

    Attributes:
        kind: which kernel computes it.
        group: which it belongs to when reasons are shown by group.
        name: derived from what it is; the column in `snapshots` or `cell_context`.
        meaning: what it is, in English.
        meaning_nl: the same in Dutch.
        unit: of its values.
        source: the table that it is computed from.
        purpose: why a model looks at it.
        of: the priority whose incidents it counts, `any` for all, None where it counts none.
        when: which ages count, in words.
        when_nl: the same in Dutch.
        window: [newest, oldest) age in weeks of what it counts; oldest None for all history.
        half_life_weeks: in place of a window: an incident weighs 2^(-age / half life).
        bandwidth_m: of the Gaussian by which it weighs distance.
        radius_m: of suspects, how far from the cell's centre their home cells' centres may lie.
        is_of_block: for weeks since, whether the 3 x 3 cells around count as well.
        is_read_by_all: whether the models of other priorities look at it too.
        transform: applied when a model reads it: log1p for counts and distances, none for the rest.
        version: raised when its meaning changes.
    """

    kind: Kind
    group: Group
    name: str
    meaning: str
    meaning_nl: str
    unit: str
    source: str
    purpose: str
    of: str | None = None
    when: str = ""
    when_nl: str = ""
    window: tuple[int, int | None] | None = None
    half_life_weeks: int | None = None
    bandwidth_m: int | None = None
    radius_m: int | None = None
    is_of_block: bool = False
    is_read_by_all: bool = False
    transform: Literal["log1p", "none"] = "log1p"
    version: int = 1

    @property
    def is_slow(self) -> bool:
        """Whether it stands in `cell_context`, since it changes with the years, not the weeks."""
        return self.kind == "context"

    @property
    def weeks_needed(self) -> int:
        """How far back the extracts must reach; all history and decay take what there is."""
        return (self.window[1] or 0) if self.window else 0

    @property
    def declaration(self) -> str:
        """All that its values depend on, as text."""
        radius = f"radius {self.radius_m} m, " if self.radius_m else ""
        return (
            f"{self.name} v{self.version}: {self.kind} of {self.of}, window {self.window}, "
            f"half-life {self.half_life_weeks} w, bandwidth {self.bandwidth_m} m, {radius}"
            f"block {self.is_of_block}, {self.transform}"
        )
