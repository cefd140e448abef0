"""The report of a rebuild: each part compared with the record, and the refit."""

import json

from cas_spark.lake import manifest as record
from cas_spark.pipelines.former_ids import UNCOMPARABLE
from cas_spark.pipelines.rebuild import REFIT_TOLERANCE, Rebuilt
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings import Settings

SHOWN = 20
"""Cells that are listed; all are counted."""
SHORT = 16


def rebuild_report(rebuilt: Rebuilt, settings: Settings) -> Report:
    """The rebuild of a run as tables and lines.

    Args:
        rebuilt: the rebuild.
        settings: of the lake.
    """
    manifest = rebuilt.manifest
    rows = [
        [part, digest[:SHORT], found[:SHORT], "equal" if digest == found else "DIFFERS"]
        for part, digest in rebuilt.recorded.items()
        for found in [rebuilt.found.get(part, "none")]
    ]
    title = f"{settings.title}: run {manifest.number}, poll {manifest.poll_on}, rebuilt"
    tables = [ReportTable(title, ["part", "recorded", "rebuilt", ""], rows)]
    lines = [*_of_former_ids(rebuilt), *_of_the_code(rebuilt), *_of_the_refit(rebuilt)]
    if rebuilt.removed:
        gone = [
            [*(str(value) for value in row[:4]), f"{row['facts']:,}"] for row in rebuilt.removed
        ]
        columns = ["of", "reason", "source", "extract", "facts"]
        tables.append(ReportTable("Removed since, so not rebuilt", columns, gone))
        lines.insert(0, "parts that differ stood on what was removed since; shown without it")
    if rebuilt.refit is not None and rebuilt.refit.moved:
        columns = ["team", "priority", "horizon", "cell"]
        moved = [[str(value) for value in row] for row in rebuilt.refit.moved[:SHOWN]]
        tables.append(ReportTable("Cells that only one of the two fits chose", columns, moved))
    return Report(tables, lines, labels=settings.labels)


def _of_former_ids(rebuilt: Rebuilt) -> list[str]:
    """Which facts cannot be compared: they were not what the run recorded when ids were keyed."""
    names = rebuilt.manifest.facts.get(UNCOMPARABLE)
    if not names:
        return []
    line = f"not compared: {', '.join(names)}. What the run recorded of them is of former ids"
    return [line]


def _of_the_code(rebuilt: Rebuilt) -> list[str]:
    """Where other code made the run: that may be why parts differ."""
    then, now = rebuilt.manifest.commit, record.commit_of_the_code()
    return [] if then == now else [f"code: the run was made by {then}, rebuilt by {now}"]


def _of_the_refit(rebuilt: Rebuilt) -> list[str]:
    refit = rebuilt.refit
    if refit is None:
        return []
    if refit.is_equal:
        return ["refit: equal, byte for byte"]
    found = (
        f"refit: coefficients differ by at most {refit.difference:.1e} (expected at most "
        f"{REFIT_TOLERANCE:.0e}), models of another status: {refit.statuses}, cells that only "
        f"one of the two fits chose: {len(refit.moved)}"
    )
    lines = [found]
    if refit.is_same_machine:
        lines.append("refit: the machine's fingerprint is that of the run, so it should be equal")
    else:
        now = json.loads(record.fingerprint_of_the_machine())
        then = json.loads(rebuilt.manifest.fingerprint)
        names = ", ".join(name for name in now if now[name] != then.get(name))
        lines.append(f"refit: the machine's fingerprint is another in {names}, so it may differ")
    return lines
