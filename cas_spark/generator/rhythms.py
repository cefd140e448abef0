"""When offences happen and how they become known, per kind: declared tables, made up.

Their shapes follow common findings (burglars come when people are out or away, fights on weekend
nights); the numbers are made up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from cas_spark.settings.generator import RhythmName


@dataclass(frozen=True)
class Rhythm:
    """Season, weekday and hour of an offence, and what is known of its moment."""

    season_amplitude: float  # share by which the peak day lies above the year's mean
    season_peak_day: int  # day of the year
    weekdays: tuple[float, ...]  # 7 weights, Monday first
    hours: tuple[float, ...]  # 24 weights, local time
    interval_share: float  # share of which only an interval is known
    interval_median_hours: float
    interval_sigma: float  # of the interval's logarithm
    interval_longest_days: float
    found_by_police_share: float


def _hours(**blocks: float) -> tuple[float, ...]:
    """24 weights from six blocks of hours."""
    names = {"night": 6, "morning": 4, "midday": 4, "afternoon": 4, "evening": 4, "late": 2}
    return tuple(blocks[name] for name, hours in names.items() for _ in range(hours))


_EVEN: Final = (1.0,) * 7
_WEEKEND: Final = (0.8, 0.8, 0.85, 0.95, 1.25, 1.5, 1.1)

RHYTHMS: Final[Mapping[RhythmName, Rhythm]] = MappingProxyType(
    {
        "dwelling": Rhythm(
            season_amplitude=0.28,
            season_peak_day=350,
            weekdays=(0.95, 0.95, 0.95, 1.0, 1.2, 1.15, 0.8),
            hours=_hours(night=0.6, morning=0.8, midday=1.3, afternoon=1.3, evening=1.5, late=0.8),
            interval_share=0.85,
            interval_median_hours=8,
            interval_sigma=1.1,
            interval_longest_days=21,
            found_by_police_share=0.02,
        ),
        "business": Rhythm(
            season_amplitude=0.08,
            season_peak_day=335,
            weekdays=(1.0, 0.9, 0.9, 0.9, 1.0, 1.2, 1.2),
            hours=_hours(night=2.0, morning=0.5, midday=0.4, afternoon=0.5, evening=0.8, late=1.4),
            interval_share=0.75,
            interval_median_hours=13,
            interval_sigma=0.6,
            interval_longest_days=5,
            found_by_police_share=0.08,
        ),
        "vehicle": Rhythm(
            season_amplitude=0.10,
            season_peak_day=320,
            weekdays=(1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 0.9),
            hours=_hours(night=1.6, morning=0.6, midday=0.6, afternoon=0.8, evening=1.1, late=1.4),
            interval_share=0.75,
            interval_median_hours=10,
            interval_sigma=0.7,
            interval_longest_days=10,
            found_by_police_share=0.05,
        ),
        "bicycle": Rhythm(
            season_amplitude=0.22,
            season_peak_day=200,
            weekdays=(0.95, 1.0, 1.05, 1.05, 1.1, 1.05, 0.8),
            hours=_hours(night=0.6, morning=0.7, midday=1.1, afternoon=1.4, evening=1.4, late=1.0),
            interval_share=0.65,
            interval_median_hours=5,
            interval_sigma=0.9,
            interval_longest_days=7,
            found_by_police_share=0.03,
        ),
        "person": Rhythm(
            season_amplitude=0.08,
            season_peak_day=180,
            weekdays=_WEEKEND,
            hours=_hours(night=1.1, morning=0.3, midday=0.7, afternoon=1.0, evening=1.5, late=1.9),
            interval_share=0.0,
            interval_median_hours=1,
            interval_sigma=0.0,
            interval_longest_days=1,
            found_by_police_share=0.15,
        ),
        "any": Rhythm(
            season_amplitude=0.05,
            season_peak_day=180,
            weekdays=_EVEN,
            hours=_hours(night=0.6, morning=0.9, midday=1.2, afternoon=1.2, evening=1.1, late=0.9),
            interval_share=0.3,
            interval_median_hours=4,
            interval_sigma=0.8,
            interval_longest_days=7,
            found_by_police_share=0.3,
        ),
    }
)

# How long after its discovery an offence is registered: (share, mean of an exponential in hours).
CITIZEN_DELAYS: Final = ((0.62, 5.0), (0.31, 48.0), (0.07, 480.0))
POLICE_DELAY_HOURS: Final = 2.0


def day_weights(rhythm: Rhythm, first_day: int, last_day: int) -> np.ndarray:
    """Weight of every day from `first_day` to `last_day`, both included.

    Days are numbered from 1970-01-01, a Thursday. Returns float64 (days,).
    """
    days = np.arange(first_day, last_day + 1)
    phase = 2 * np.pi * (_day_of_year(days) - rhythm.season_peak_day) / 365.25
    season = 1 + rhythm.season_amplitude * np.cos(phase)
    weight: np.ndarray = season * np.asarray(rhythm.weekdays)[(days + 3) % 7]
    return weight


def _day_of_year(days: np.ndarray) -> np.ndarray:
    dates = days.astype("datetime64[D]")
    number: np.ndarray = (dates - dates.astype("datetime64[Y]")).astype(np.int64) + 1
    return number
