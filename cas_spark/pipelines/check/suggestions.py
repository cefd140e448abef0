"""What the first rows of an extract suggest about its settings; each line says what was seen."""

import re
from collections.abc import Iterator

import pandas as pd

from cas_spark.pipelines.check.places import as_text, coarse_share, commonest
from cas_spark.pipelines.check.sample import FileCheck, local_times
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.settings.texts import as_seen

MOST = 0.8
"""Share of moments that look like days, from which they are likely to be days."""
MANY = 0.3
"""Share of rows that one reason rejects, from which a setting is likely to be wrong."""
COARSE_SHARE = 0.2
FEWEST_TO_JUDGE = 20
"""Rows below which shares say little."""
CODES_SHOWN = 20
MIDNIGHT = pd.Timedelta(0)

_DECIMAL_COMMA = re.compile(r"-?\d+(\.\d{3})*,\d+")


def suggestions(check: FileCheck, default_zone: str) -> list[str]:
    """Return what a person may want to look at in the settings of a source.

    Args:
        check: of one extract.
        default_zone: zone of local times where the source names none.
    """
    lines = list(check.advice)
    source = check.source
    if not isinstance(source, IncidentExtracts):
        return lines
    zone = source.timezone or default_zone
    lines += _of_codes(check, source)
    lines += _of_moments(check, source, zone)
    lines += _of_places(check, source)
    return lines


def _share_of(check: FileCheck, reason: str) -> float:
    return check.counts.get(reason, 0) / check.read if check.read else 0.0


def _of_codes(check: FileCheck, source: IncidentExtracts) -> Iterator[str]:
    codes = check.commonest_codes()
    if not codes:
        return
    column = " | ".join(source.priority.column)
    listed = ", ".join(f"{_quoted(code)} ({rows:,})" for code, rows in codes[:CODES_SHOWN])
    more = f", and {len(codes) - CODES_SHOWN:,} more" if len(codes) > CODES_SHOWN else ""
    yield (
        f"codes of {column} that neither `codes` nor `other` names, with their rows: {listed}{more}"
    )


def _quoted(code: str) -> str:
    """A code as YAML reads it."""
    return "'" + as_seen(code).replace("'", "''") + "'"


def _of_moments(check: FileCheck, source: IncidentExtracts, zone: str) -> Iterator[str]:
    occurred = local_times(check.meanings["occurred_from"], zone)
    known = local_times(check.meanings["known"], zone)
    if len(occurred) < FEWEST_TO_JUDGE:
        return
    midnights = _share_at_midnight(known)
    days_known = source.known.rule == "as_given" and midnights >= MOST
    if days_known:
        yield (
            f"{midnights:.0%} of the times in `known` are 00:00:00; if these are dates, use rule "
            "next_day"
        )
    after = _share_of(check, "occurred_after_known")
    if after >= MANY:
        of_days = "since `known` holds dates without a time: use rule next_day"
        of_slips = "look for swapped columns or a wrong timezone"
        yield (
            f"{after:.0%} of the rows were known before they happened: "
            f"{of_days if days_known else of_slips}"
        )
    yield from _of_occurred(check, source, occurred)


def _of_occurred(check: FileCheck, source: IncidentExtracts, moments: pd.Series) -> Iterator[str]:
    firsts = ((moments.dt.day == 1) & (_time_of_day(moments) == MIDNIGHT)).mean()
    months = sorted(set(moments.dt.strftime("%Y-%m")))
    if firsts >= MOST and len(months) > 1:
        yield (
            f"{firsts:.0%} of the moments in `occurred` are the first of a month at 00:00; if only "
            "the month is known, set `precision: month` there: such rows cannot say in which week "
            "anything happened"
        )
    elif (share := _share_at_midnight(moments)) >= MOST:
        yield (
            f"{share:.0%} of the times in `occurred` are 00:00:00; if these are dates, set "
            "`precision: day` there"
        )
    elif (hours := (moments.dt.floor("h") == moments).mean()) >= MOST:
        yield f"{hours:.0%} of the times in `occurred` end in :00:00, so they are whole hours"
    if len(set(moments.dt.month)) == 1 and (len(months) > 1 or check.is_whole):
        name = months[0] if len(months) == 1 else f"month {months[0][-2:]} of their years"
        patterns = ", ".join(map(repr, source.occurred.formats))
        shown = f" {patterns}" if patterns else ""
        yield f"all rows are of {name}: is the pattern{shown} right?"


def _share_at_midnight(moments: pd.Series) -> float:
    return float((_time_of_day(moments) == MIDNIGHT).mean()) if len(moments) else 0.0


def _time_of_day(moments: pd.Series) -> pd.Series:
    naive = moments.dt.tz_localize(None)
    return pd.Series(naive - naive.dt.normalize())


def _of_places(check: FileCheck, source: IncidentExtracts) -> Iterator[str]:
    examples = ", ".join(check.examples_of("coordinates_missing")).split(", ")
    if source.decimal == "." and any(_DECIMAL_COMMA.fullmatch(value) for value in examples):
        yield f"coordinates such as {examples[0]} have a decimal comma: set `decimal: ','`"
    if check.places is None:
        return
    for place in commonest(check.places):
        if place.is_heap:
            x, y = as_text(place.x), as_text(place.y)
            yield (
                f"{place.share:.1%} of the rows ({place.rows:,}) lie at x {x}, y {y}: if that is a "
                "headquarters, a hospital or a point that stands for an unknown place, add "
                f"[{x}, {y}] to exclude_points"
            )
    coarse = coarse_share(check.places, source.location)
    if coarse >= COARSE_SHARE:
        yield (
            f"{coarse:.0%} of the coordinates are rounded to about 100 m, so that a cell of 125 m "
            "cannot be distinguished from the next: set `location_precision_m` if they were masked"
        )
