"""The first rows of an extract, and what became of each: what `check` counts and draws."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from cas_spark.errors import CasError
from cas_spark.settings.extracts import Extracts

ACCEPTED, REVISION = "accepted", "revision"
OUTCOMES = ("row_number", "outcome", "found")
MEANINGS = ("row_number", "code", "occurred_from", "occurred_until", "known")
POINTS = ("row_number", "x", "y")
DAY_MICROS = 86_400_000_000
FIRST_MICROS, LAST_MICROS = -62_000_000_000_000_000, 250_000_000_000_000_000
"""The years 6 to 9892: what calendars of Python reach in every zone."""
EXAMPLES = 3

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Places:
    """Coordinates of some rows, as delivered (numbers) and on the grid's plane.

    Attributes:
        row_number: of each row that has both coordinates.
        x, y: in the units of the source's CRS.
        east, north: metres in the grid's CRS; infinite where the transformation does not reach.
    """

    row_number: npt.NDArray[np.int64]
    x: Doubles
    y: Doubles
    east: Doubles
    north: Doubles


@dataclass(frozen=True)
class FileCheck:
    """What became of the first rows of one extract.

    Attributes:
        source: of the extract.
        name: of its file.
        read: how many rows were read.
        is_whole: whether these are all of the file's rows.
        outcomes: per row `row_number`, `outcome` (`accepted`, `revision` or the reason of its
            rejection) and `found` (text); empty where the extract was refused.
        meanings: per row of incidents `row_number`, `code`, and as microseconds UTC
            `occurred_from`, `occurred_until` and `known`; empty where these cannot be read.
        places: of the rows of incidents; None for other extracts and for those without a place.
        refusal: why the extract is refused as a whole; None where it is not.
        advice: what a look at the file itself suggests.
    """

    source: Extracts
    name: str
    read: int
    is_whole: bool
    outcomes: pd.DataFrame
    meanings: pd.DataFrame
    places: Places | None = None
    refusal: CasError | None = None
    advice: tuple[str, ...] = ()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by outcome: those that are used first, then reasons, the commonest first."""
        counted = Counter(self.outcomes["outcome"].tolist())
        used = {name: counted.pop(name, 0) for name in (ACCEPTED, REVISION)}
        return used | dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def used(self) -> int:
        """Rows that ingest would use."""
        return self.counts[ACCEPTED] + self.counts[REVISION]

    def examples_of(self, reason: str) -> list[str]:
        """The first values that failed for a reason, each once."""
        found = self.outcomes.loc[self.outcomes["outcome"] == reason].sort_values("row_number")
        return [str(value) for value in found["found"].dropna().unique()[:EXAMPLES]]

    @property
    def delays(self) -> Doubles:
        """Days between the end of occurrence and knowledge, of rows that have both."""
        between = (self.meanings["known"] - self.meanings["occurred_until"]) / DAY_MICROS
        return between.dropna().to_numpy(np.float64)

    def commonest_codes(self) -> list[tuple[str, int]]:
        """The codes that the settings do not name, and how often each occurs."""
        unknown = self.outcomes.loc[self.outcomes["outcome"] == "unknown_code", "found"]
        return [(str(code), int(rows)) for code, rows in unknown.value_counts().items()]


def empty(columns: tuple[str, ...]) -> pd.DataFrame:
    """A frame without rows."""
    return pd.DataFrame({name: [] for name in columns})


def local_times(micros: pd.Series, zone: str) -> pd.Series:
    """Instants (microseconds UTC) as local times; those beyond the calendar are left out."""
    present = micros.dropna()
    within = present[(present > FIRST_MICROS) & (present < LAST_MICROS)]
    return pd.Series(
        pd.to_datetime(within.astype("int64"), unit="us", utc=True).dt.tz_convert(zone)
    )
