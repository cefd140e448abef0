"""The report of `check`: rows by outcome, moments, places and suggestions, as tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cas_spark.pipelines.check.places import as_text, coarse_share, commonest
from cas_spark.pipelines.check.sample import ACCEPTED, REVISION, FileCheck, local_times
from cas_spark.pipelines.check.suggestions import suggestions
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings import Settings
from cas_spark.settings.extracts import IncidentExtracts

LONGEST_VALUE = 60
_MOMENT = "%Y-%m-%d %H:%M"


def check_report(checks: Sequence[FileCheck], settings: Settings) -> Report:
    """Return the tables and lines of a check.

    Args:
        checks: of every extract.
        settings: of the lake that is yet to be.
    """
    tables = [_of_files(checks, settings)]
    for check in checks:
        if len(check.outcomes):
            tables.append(_of_reasons(check))
    moments = [row for check in checks for row in _moments(check, settings.timezone)]
    if moments:
        columns = ["extract", "of", "earliest", "latest", "days from occurrence to knowledge"]
        tables.append(ReportTable("when, in local time (rows that have it)", columns, moments))
    tables += [_of_places(check) for check in checks if check.places and len(check.places.x)]
    lines = []
    for check in checks:
        if check.refusal is not None:
            lines.append(f"REFUSED {_name(check)}: {check.refusal}")
        lines += [f"{_name(check)}: {line}" for line in suggestions(check, settings.timezone)]
    return Report(tables, [*lines, "No lake was made or touched."])


def is_fine(checks: Sequence[FileCheck]) -> bool:
    """Whether ingest would use rows of every extract."""
    return all(check.used and check.refusal is None for check in checks)


def _name(check: FileCheck) -> str:
    return f"{check.source.kind}.{check.source.name} {check.name}"


def _of_files(checks: Sequence[FileCheck], settings: Settings) -> ReportTable:
    rows = []
    for check in checks:
        rejected = check.read - check.used if len(check.outcomes) else 0
        refusal = "refused, see below" if check.refusal is not None else ""
        rows.append(
            [
                _name(check),
                f"{check.read:,}{'' if check.is_whole else ' (the first)'}",
                f"{check.counts[ACCEPTED]:,}",
                f"{check.counts[REVISION]:,}",
                f"{rejected:,}",
                refusal,
            ]
        )
    columns = ["extract", "rows read", "accepted", "revisions", "rejected", ""]
    return ReportTable(f"{settings.title}: what ingest would make of it", columns, rows)


def _of_reasons(check: FileCheck) -> ReportTable:
    rows = [
        [
            outcome,
            f"{count:,}",
            f"{count / check.read:.1%}",
            "; ".join(_short(value) for value in check.examples_of(outcome)),
        ]
        for outcome, count in check.counts.items()
        if count
    ]
    return ReportTable(_name(check), ["outcome", "rows", "share", "first values"], rows)


def _moments(check: FileCheck, default_zone: str) -> list[list[str]]:
    if not len(check.meanings):
        return []
    zone = check.source.timezone or default_zone
    ends = [check.meanings["occurred_from"], check.meanings["occurred_until"]]
    occurred = local_times(pd.concat(ends), zone)
    known = local_times(check.meanings["known"], zone)
    delays = ""
    if len(check.delays):
        low, middle, high = np.quantile(check.delays, (0.05, 0.5, 0.95))
        delays = f"median {middle:.1f}, 5 % below {low:.1f}, 5 % above {high:.1f}"
    return [
        [_name(check), "occurrence", *_range_of(occurred), delays],
        ["", "knowledge", *_range_of(known), ""],
    ]


def _range_of(moments: pd.Series) -> tuple[str, str]:
    if not len(moments):
        return "none", "none"
    return moments.min().strftime(_MOMENT), moments.max().strftime(_MOMENT)


def _of_places(check: FileCheck) -> ReportTable:
    assert check.places is not None  # noqa: S101  # the caller looked
    assert isinstance(check.source, IncidentExtracts)  # noqa: S101  # others show no place
    rows = [
        [as_text(place.x), as_text(place.y), f"{place.rows:,}", f"{place.share:.2%}"]
        for place in commonest(check.places)
        if place.rows > 1
    ]
    coarse = coarse_share(check.places, check.source.location)
    title = f"{_name(check)}: places named more than once, the commonest; {coarse:.0%} of all are "
    title += "rounded to about 100 m"
    return ReportTable(title, ["x", "y", "rows", "share"], rows)


def _short(value: str) -> str:
    """A value on one line, cut where it is long."""
    line = " ".join(value.split())
    return line if len(line) <= LONGEST_VALUE else f"{line[:LONGEST_VALUE]}..."
