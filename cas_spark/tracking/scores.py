"""Measures in MLflow: added to a poll's runs when its target weeks have settled, weeks later."""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from mlflow.entities import Metric, Run, RunTag
from pyspark.sql import Row

from cas_spark.evaluation.measures import ALL_TEAMS, MODEL
from cas_spark.lake.tables import EVALUATIONS
from cas_spark.tracking.store import Store, milliseconds
from cas_spark.tracking.week import week_of

log = logging.getLogger(__name__)

SHARE = "caught_share_"
"""Measures that start so are shares of incidents: methods are compared by them, and teams can be
taken together."""


def not_yet_logged(
    store: Store, scored: Iterable[tuple[date, str, datetime]]
) -> list[tuple[date, str]]:
    """Which scored forecasts MLflow does not know of yet, so that only those need be collected.

    Args:
        store: where to look.
        scored: poll, horizon and `scored_as_of_at` of what `evaluations` holds.

    Returns:
        Polls and horizons to pass to `log_measures`, sorted. Polls whose models were never logged
        are left out.
    """
    per_poll: dict[date, list[tuple[str, datetime]]] = defaultdict(list)
    for poll, horizon, moment in scored:
        per_poll[poll].append((horizon, moment))
    missing = []
    for poll, horizons in per_poll.items():
        week = week_of(store, poll)
        if week is None:
            continue
        tags = week.data.tags
        missing += [
            (poll, horizon)
            for horizon, moment in horizons
            if tags.get(f"scored_as_of.{horizon}") != _instant(moment)
        ]
    return sorted(missing)


def log_measures(store: Store, evaluations: Sequence[Row]) -> int:
    """Add measures to the runs of their polls; those that are there already are left alone.

    A team's run gets `<measure>.<horizon>` of the model, and `<measure>.<horizon>.<baseline>` of
    what share of the incidents a baseline catches (all else of baselines is in `evaluations`). The
    week's run gets shares of all teams together, and per priority as
    `<priority>/<measure>.<horizon>`; with `across_teams/` before it where the cells are chosen
    across all teams.

    Args:
        store: where to.
        evaluations: rows of `evaluations`; of a poll and horizon all of them.

    Returns:
        The number of polls and horizons that were added.
    """
    groups: dict[tuple[date, str], list[Row]] = defaultdict(list)
    for row in evaluations:
        groups[row["poll_on"], row["horizon"]].append(row)
    weeks = {poll: week_of(store, poll) for poll in sorted({poll for poll, _ in groups})}
    unknown = [poll.isoformat() for poll, week in weeks.items() if week is None]
    if unknown:
        log.warning("MLflow has no models of %s; their measures are in the lake", unknown)
    added = 0
    for poll, week in weeks.items():
        if week is None:
            continue
        new = {
            horizon: rows
            for (poll_of_rows, horizon), rows in sorted(groups.items())
            if poll_of_rows == poll and week.data.tags.get(f"measures.{horizon}") != _digest(rows)
        }
        if new:
            _add(store, week, new)
            added += len(new)
    return added


def _add(store: Store, week: Run, new: dict[str, list[Row]]) -> None:
    """Add the measures of a poll's horizons; the week's own tags last, which say it is done."""
    of_team: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for rows in new.values():
        for row in rows:
            of_team[row["team_id"], row["priority"]].append(row)
    for child in store.children_of(week):
        rows = of_team.get((child.data.tags["team"], child.data.tags["priority"]), [])
        if rows:
            store.client.log_batch(child.info.run_id, metrics=_of_team(rows))
    scored = [
        RunTag(f"scored_as_of.{horizon}", _instant(rows[0]["scored_as_of_at"]))
        for horizon, rows in new.items()
    ]
    every = [row for rows in new.values() for row in rows]
    digests = [RunTag(f"measures.{horizon}", _digest(rows)) for horizon, rows in new.items()]
    store.client.log_batch(week.info.run_id, metrics=_of_week(every), tags=[*scored, *digests])


def _of_team(rows: Sequence[Row]) -> list[Metric]:
    metrics = [
        _metric(_name(row), row["value"], row)
        for row in rows
        if row["value"] is not None and (row["method"] == MODEL or _is_share(row))
    ]
    per_horizon = {row["horizon"]: row for row in rows}
    for horizon, row in per_horizon.items():
        metrics.append(_metric(f"incidents.{horizon}", row["incidents"], row))
    return metrics


def _of_week(rows: Sequence[Row]) -> list[Metric]:
    """Shares of the incidents of all teams together."""
    caught: dict[str, int] = defaultdict(int)
    incidents: dict[str, int] = defaultdict(int)
    example: dict[str, Row] = {}
    for row in rows:
        if not _is_share(row):
            continue
        across = "across_teams/" if row["team_id"] == ALL_TEAMS else ""
        for name in (f"{across}{_name(row)}", f"{across}{row['priority']}/{_name(row)}"):
            caught[name] += row["caught"]
            incidents[name] += row["incidents"]
            example[name] = row
    return [
        _metric(name, caught[name] / incidents[name], row)
        for name, row in example.items()
        if incidents[name] > 0
    ]


def _is_share(row: Row) -> bool:
    return str(row["measure"]).startswith(SHARE)


def _name(row: Row) -> str:
    of_method = "" if row["method"] == MODEL else f".{row['method']}"
    return f"{row['measure']}.{row['horizon']}{of_method}"


def _metric(name: str, value: float, row: Row) -> Metric:
    """A metric at the moment as of which it was scored; the same again is the same metric."""
    return Metric(name, float(value), milliseconds(row["scored_as_of_at"]), row["run_number"])


def _instant(moment: datetime) -> str:
    """A moment as a tag holds it, in UTC."""
    return datetime.fromtimestamp(milliseconds(moment) / 1000, tz=UTC).isoformat()


def _digest(rows: Sequence[Row]) -> str:
    names = [name for name in EVALUATIONS.digest_columns if name != "scored_as_of_at"]
    values = [[str(row[name]) for name in names] for row in rows]
    moments = [_instant(row["scored_as_of_at"]) for row in rows]
    return hashlib.sha256(json.dumps([sorted(values), sorted(moments)]).encode()).hexdigest()
