"""Status: what runs at the moment, what broke, and the last complete runs."""

from typing import Any

from cas_spark.lake.claims import AHEAD_SECONDS, claims_on
from cas_spark.lake.lake import Lake
from cas_spark.reporting import Report, ReportTable

RUNS_SHOWN = 10


def status_of(lake: Lake, runs: int = RUNS_SHOWN) -> Report:
    """The newest complete runs, newest first, and which runs hold the lake or left it broken.

    Minutes are of the stages till a run was published: maps and MLflow come after it.

    Args:
        lake: of which.
        runs: how many of the complete runs.
    """
    found = lake.runs
    newest = [] if found is None else found.orderBy(found["number"].desc()).limit(runs).collect()
    columns = [
        "run",
        "step",
        "poll",
        "published (UTC)",
        "minutes of stages",
        "longest stages",
        "commit",
    ]
    table = ReportTable(f"{lake.root}, the last complete runs", columns, [_row(r) for r in newest])
    claims = claims_on(lake.spark, lake.root)
    lines = [f"At work: {claim}, {_heard(age)}" for claim, age in claims.live]
    lines += [f"Broke off: {claim}. Run the same command again" for claim in claims.over]
    return Report([table], lines or ["Nothing runs on this lake, and nothing broke off."])


def _heard(seconds_ago: float) -> str:
    if seconds_ago < -AHEAD_SECONDS:
        return f"last heard of {-seconds_ago:.0f} s ahead of this machine's clock"
    return f"last heard of {max(seconds_ago, 0):.0f} s ago"


def _row(run: Any) -> list[str]:
    stages = {pair["stage"]: pair["seconds"] for pair in run["stages"]}
    longest = sorted(stages.items(), key=lambda pair: -pair[1])[:3]
    return [
        str(run["number"]),
        run["step"],
        str(run["poll_on"] or ""),
        f"{run['finished_at']:%Y-%m-%d %H:%M}",
        f"{sum(stages.values()) / 60:.1f}",
        ", ".join(f"{name} {seconds:.0f} s" for name, seconds in longest),
        run["commit"][:12],
    ]
