"""Made-up suspects: pseudonyms that are linked to incidents, and the decisions about the links."""

import hashlib
from datetime import date
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd

from cas_spark.generator.delivery import BROKEN, ORIGIN
from cas_spark.generator.places import scatter_points
from cas_spark.generator.streams import stream

LINKS_PER_PERSON: Final = 2.5
CANDIDATES: Final = 8  # the nearest home of so many random persons: most offend near home
MEAN_DAYS_TO_SUSPECT: Final = 21.0
MEAN_DAYS_TO_DECISION: Final = 120.0
DISMISSALS: Final = 0.8  # share of the decisions; the others are acquittals


def generate_suspects(
    rows: pd.DataFrame,
    areas: gpd.GeoDataFrame,
    *,
    share: float,
    dismissed_share: float,
    end: date,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Links of suspects to incidents, and the dismissals and acquittals that end some.

    Args:
        rows: as `deliver` returns them; only sound new rows get suspects.
        areas: where people live: polygons with a `weight`.
        share: of the incidents with a suspect.
        dismissed_share: of the links that are ended by a decision.
        end: what became known on or after this day is not delivered.
        seed: the same seed gives the same suspects.

    Returns:
        Links: `pseudonym`, `incident_number`, `offence_code`, `home_x`, `home_y` (metres),
        `known_at` (local).
        Decisions: `pseudonym`, `incident_number`, `decision` (dismissed or acquitted),
        `decided_on` (date), `known_at` (local). Both sorted by `known_at`, marked by `origin`.
    """
    rng = stream(seed, "suspects")
    sound = rows[(rows["record_type"] == "new") & ~rows["fault"].isin([*BROKEN, "duplicate"])]
    solved = sound[rng.random(len(sound)) < share]
    size = len(solved)
    persons = max(CANDIDATES, int(size / LINKS_PER_PERSON))
    home_x, home_y = _homes(areas, persons, rng)
    candidates = rng.integers(0, persons, (size, CANDIDATES))
    distance = np.hypot(
        home_x[candidates] - solved[["x"]].to_numpy(), home_y[candidates] - solved[["y"]].to_numpy()
    )
    person = candidates[np.arange(size), distance.argmin(axis=1)]
    names = np.array([_pseudonym(seed, number) for number in range(persons)], dtype=object)
    links = pd.DataFrame(
        {
            "pseudonym": names[person],
            "incident_number": solved["incident_number"].to_numpy(),
            "offence_code": solved["offence_code"].to_numpy(),
            "home_x": home_x[person],
            "home_y": home_y[person],
            "known_at": solved["registered_at"].to_numpy()
            + _minutes(MEAN_DAYS_TO_SUSPECT * rng.standard_exponential(size)),
            "origin": ORIGIN,
        }
    )
    links = links[links["known_at"] < np.datetime64(end)]
    decisions = _decisions(links, dismissed_share, end, rng)
    order = ["known_at", "pseudonym", "incident_number"]
    return links.sort_values(order, ignore_index=True), decisions.sort_values(
        order, ignore_index=True
    )


def _homes(
    areas: gpd.GeoDataFrame, persons: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    weight = areas["weight"].to_numpy(float)
    counts = rng.multinomial(persons, weight / weight.sum())
    x, y, _ = scatter_points(np.asarray(areas.geometry), counts, rng)
    return x, y


def _decisions(
    links: pd.DataFrame, share: float, end: date, rng: np.random.Generator
) -> pd.DataFrame:
    ended = links[rng.random(len(links)) < share]
    size = len(ended)
    days = MEAN_DAYS_TO_DECISION * rng.standard_exponential(size)
    decided_on = (ended["known_at"].to_numpy() + _minutes(days)).astype("datetime64[D]")
    known_after = _minutes(1 + 10 * rng.standard_exponential(size))
    decisions = pd.DataFrame(
        {
            "pseudonym": ended["pseudonym"].to_numpy(),
            "incident_number": ended["incident_number"].to_numpy(),
            "decision": np.where(rng.random(size) < DISMISSALS, "dismissed", "acquitted"),
            "decided_on": decided_on.astype("datetime64[s]"),
            "known_at": decided_on.astype("datetime64[s]") + known_after,
            "origin": ORIGIN,
        }
    )
    return decisions[decisions["known_at"] < np.datetime64(end)]


def _minutes(days: np.ndarray) -> np.ndarray:
    return (days * 24 * 60).astype(np.int64).astype("timedelta64[m]").astype("timedelta64[s]")


def _pseudonym(seed: int, number: int) -> str:
    return hashlib.sha256(f"generated person {seed} {number}".encode()).hexdigest()[:16]
