"""Incidents as a police force delivers them: by the year they became known, faults included."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from cas_spark.generator.streams import stream
from cas_spark.settings.generator import Faults

COLUMNS: Final = (
    "incident_number",
    "record_type",
    "correction_reason",
    "offence_code",
    "registered_at",
    "occurred_from",
    "occurred_until",
    "x",
    "y",
    "reported_by",
    "origin",
)
ORIGIN: Final = "generated"
UNKNOWN_CODE: Final = "X99"
BROKEN: Final = (
    "coordinates_zero",
    "coordinates_missing",
    "coordinates_swapped",
    "coordinates_far",
    "occurred_1900",
    "occurred_after_registered",
    "unknown_code",
    "wrong_number_of_fields",
)
LATE_DAYS: Final = (30, 400)
FAR_M: Final = 600_000.0
WITHDRAWN: Final = 0.5  # share of the corrections; the others say that it was unfounded

_DAY: Final = np.timedelta64(86400, "s")


def deliver(
    incidents: pd.DataFrame, codes: Mapping[str, str], faults: Faults, *, end: date, seed: int
) -> pd.DataFrame:
    """Rows of the extracts, sorted as they stand in them.

    Args:
        incidents: as `generate_incidents` returns them.
        codes: offence -> its code in the extracts.
        faults: the share of the incidents to which each fault happens.
        end: rows registered on or after this day are not delivered.
        seed: the same seed gives the same rows.

    Returns:
        The `COLUMNS` of an extract, times local as datetime64[s], coordinates in metres, and two
        that are not written: `extract_year`, the extract that holds the row, and `fault`, empty
        where nothing is wrong with it. A correction bears the number of the incident that it takes
        back. Most duplicates are delivered with the original, half in the next year's extract.
    """
    rng = stream(seed, "delivery")
    rows = _first_rows(incidents, codes)
    _make_late(rows, faults.late, rng)
    rows = rows.sort_values(["registered_at", "offence_code", "x", "y"], kind="stable")
    rows = rows[rows["registered_at"] < np.datetime64(end)].reset_index(drop=True)
    year = rows["registered_at"].dt.year
    rows["extract_year"] = year
    nth = year.groupby(year).cumcount() + 1
    rows["incident_number"] = "DEMO" + year.astype(str) + "-" + nth.astype(str).str.zfill(7)
    corrections = _corrections(rows, faults.corrected, end, rng)
    _break(rows, faults, rng)
    duplicates = _duplicates(rows, faults.duplicate, end, rng)
    rows = pd.concat([rows, corrections, duplicates], ignore_index=True)
    order = ["extract_year", "registered_at", "incident_number", "record_type"]
    rows = rows.sort_values(order, ignore_index=True, kind="stable")
    return rows[[*COLUMNS, "extract_year", "fault"]]


def extract_lines(rows: pd.DataFrame) -> Iterator[str]:
    """Header and lines of one extract as CSV, with the rows that have too few or many fields."""
    table = rows[list(COLUMNS)].copy()
    for column in ("registered_at", "occurred_from", "occurred_until"):
        table[column] = table[column].dt.strftime("%Y-%m-%d %H:%M:%S")
    text = table.to_csv(index=False, float_format="%.1f", lineterminator="\n")
    lines = text.splitlines()
    wrong = np.flatnonzero((rows["fault"] == "wrong_number_of_fields").to_numpy())
    for nth, number in enumerate(wrong.tolist()):
        line = lines[number + 1]
        lines[number + 1] = ",".join(line.split(",")[:-4]) if nth % 2 else f"{line},,{ORIGIN}"
    yield from lines


def _first_rows(incidents: pd.DataFrame, codes: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "record_type": "new",
            "correction_reason": "",
            "offence_code": incidents["offence"].map(dict(codes)),
            "registered_at": incidents["known_at"],
            "occurred_from": incidents["occurred_from"],
            "occurred_until": incidents["occurred_until"],
            "x": incidents["x"],
            "y": incidents["y"],
            "reported_by": incidents["reported_by"],
            "origin": ORIGIN,
            "fault": "",
        }
    )


def _make_late(rows: pd.DataFrame, share: float, rng: np.random.Generator) -> None:
    late = rng.random(len(rows)) < share
    days = rng.uniform(*LATE_DAYS, len(rows))
    minutes = (days * 24 * 60).astype(np.int64).astype("timedelta64[m]").astype("timedelta64[s]")
    moved = rows["occurred_until"].to_numpy() + minutes
    registered = np.where(late, np.maximum(moved, rows["registered_at"]), rows["registered_at"])
    rows["registered_at"] = registered.astype("datetime64[m]").astype("datetime64[s]")
    # Cutting the seconds off must not put the registration before the incident.
    early = rows["registered_at"] < rows["occurred_until"]
    rows.loc[early, "registered_at"] += pd.Timedelta(minutes=1)
    rows.loc[late, "fault"] = "late"


def _corrections(
    rows: pd.DataFrame, share: float, end: date, rng: np.random.Generator
) -> pd.DataFrame:
    """Rows that take an incident back, some weeks after it was registered."""
    taken = rng.random(len(rows)) < share
    days = np.minimum(21 * np.exp(rng.standard_normal(len(rows))), 365)
    reason = np.where(rng.random(len(rows)) < WITHDRAWN, "withdrawn", "unfounded")
    after = (days * 24 * 60).astype(np.int64).astype("timedelta64[m]").astype("timedelta64[s]")
    corrections = rows.assign(
        record_type="correction",
        correction_reason=reason,
        registered_at=rows["registered_at"] + after,
        fault="",
    )[taken]
    corrections = corrections[corrections["registered_at"] < np.datetime64(end)]
    return corrections.assign(extract_year=corrections["registered_at"].dt.year)


def _break(rows: pd.DataFrame, faults: Faults, rng: np.random.Generator) -> None:
    """Give each row at most one broken field. Changes `rows`."""
    bounds = np.cumsum([getattr(faults, kind) for kind in BROKEN])
    which = np.searchsorted(bounds, rng.random(len(rows)), side="right")
    later = rng.integers(1, 60, len(rows)) * _DAY
    x, y = rows["x"].to_numpy().copy(), rows["y"].to_numpy().copy()
    is_kind = {kind: which == number for number, kind in enumerate(BROKEN)}
    rows.loc[is_kind["coordinates_zero"], ["x", "y"]] = 0.0
    rows.loc[is_kind["coordinates_missing"], ["x", "y"]] = np.nan
    swapped = is_kind["coordinates_swapped"]
    rows.loc[swapped, "x"], rows.loc[swapped, "y"] = y[swapped], x[swapped]
    rows.loc[is_kind["coordinates_far"], ["x", "y"]] += FAR_M
    for column in ("occurred_from", "occurred_until"):
        rows.loc[is_kind["occurred_1900"], column] = np.datetime64("1900-01-01", "s")
        after = is_kind["occurred_after_registered"]
        rows.loc[after, column] = (rows["registered_at"] + later)[after]
    rows.loc[is_kind["unknown_code"], "offence_code"] = UNKNOWN_CODE
    for kind, broken in is_kind.items():
        rows.loc[broken, "fault"] = kind


def _duplicates(
    rows: pd.DataFrame, share: float, end: date, rng: np.random.Generator
) -> pd.DataFrame:
    """Rows delivered again as they are, half of them in the next extract if there is one."""
    again = rng.random(len(rows)) < share
    year = rows["extract_year"] + rng.integers(0, 2, len(rows))
    last = end.year if (end.month, end.day) != (1, 1) else end.year - 1
    # A second delivery of a broken row stays broken; its fault is reported as such.
    fault = rows["fault"].where(rows["fault"].isin(BROKEN), "duplicate")
    return rows.assign(extract_year=np.minimum(year, last), fault=fault)[again]
