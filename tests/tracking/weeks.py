"""Rows of `models` and `evaluations` as Spark would give them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Row

from cas_spark.evaluation.comparing import ACROSS, OPEN, WINS, WITHIN
from cas_spark.evaluation.measures import CHALLENGER, MODEL
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.manifest import Manifest
from cas_spark.settings import Settings
from cas_spark.training.coefficient_draws import DRAWS, stored
from tests.toy import content_of_toy

POLL = date(2025, 1, 6)
TEAMS = ("a1", "b2", "c3")
PRIORITIES = ("burglary", "robbery")
HORIZONS = ("current", "early_1w")
FINISHED = datetime(2025, 4, 1, 12, tzinfo=UTC)


def settings_of(lake: Path | str, **changes: Any) -> Settings:
    """The toy's settings, with moments of knowing that are assumed."""
    content = content_of_toy(Path("/nowhere"))
    known = {"column": "known", "rule": "assumed_delay", "delay_days": 7}
    content["incidents"]["register"]["known"] = known
    content["lake"] = str(lake)
    return Settings.model_validate(content | {"horizons": {"current": 0, "early_1w": 1}} | changes)


def manifest_of(settings: Settings, number: int = 1, poll: date = POLL) -> Manifest:
    return Manifest(
        number=number,
        schema_version=1,
        step="weekly",
        poll_on=poll,
        settings=settings.as_json(),
        settings_sha256=settings.sha256(),
        finished_at=FINISHED + timedelta(hours=number),
        commit="c0ffee",
        lock_sha256="10cc",
        fingerprint="{}",
        versions_out={"models": number},
        digests={"models": "d1"},
        facts={"settling_days": 21, "left_out_indicators": ["burglary_count_156w"]},
        stages={"train": 12.5, "forecast": 3.0},
    )


def models_of(
    catalogue: Catalogue,
    poll: date = POLL,
    teams: Sequence[str] = TEAMS,
    priorities: Sequence[str] = PRIORITIES,
    horizons: Sequence[str] = HORIZONS,
    seed: int = 1,
    run_number: int = 1,
) -> list[Row]:
    """A fitted model of every team, priority and horizon; the last team's first has failed."""
    random = np.random.default_rng(seed)
    pair = Row("indicator", "coefficient")
    rows = []
    for team in teams:
        for priority in priorities:
            for horizon in horizons:
                is_failed = (team, priority, horizon) == (teams[-1], priorities[0], horizons[0])
                names = [i.name for i in catalogue.of_priority(priority)][1:]
                values = random.normal(size=len(names))
                coefficients = [pair(n, float(v)) for n, v in zip(names, values, strict=True)]
                draws = np.zeros((DRAWS, 1 + len(names)))
                rows.append(
                    Row(
                        poll_on=poll,
                        team_id=team,
                        priority=priority,
                        horizon=horizon,
                        status="failed" if is_failed else "fitted",
                        reason="all_positive" if is_failed else None,
                        pool=None,
                        pool_reason=None,
                        detail=None,
                        intercept=None if is_failed else float(random.normal()),
                        coefficients=[] if is_failed else coefficients,
                        draws=None if is_failed else bytearray(stored(draws)),  # as Spark has it
                        dropped=[f"{priority}_count_4w"],
                        first_poll_on=poll - timedelta(weeks=120),
                        last_poll_on=poll - timedelta(weeks=17),
                        rows=104_000,
                        positives=321,
                        iterations=None if is_failed else 17,
                        engine="mllib",
                        seconds=None if is_failed else 1.25,
                        run_number=run_number,
                    )
                )
    return rows


def evaluations_of(
    poll: date = POLL,
    caught: int = 2,
    teams: Sequence[str] = TEAMS,
    priorities: Sequence[str] = PRIORITIES,
    horizons: Sequence[str] = HORIZONS,
    run_number: int = 1,
) -> list[Row]:
    """In each team 10 incidents a week, of which the model catches `caught` and counting one."""
    return [
        Row(
            poll_on=poll,
            team_id=team,
            priority=priority,
            horizon=horizon,
            target_week_on=poll,
            method=method,
            measure="caught_share_at_3_percent",
            value=hits / 10,
            cells=30,
            caught=hits,
            incidents=10,
            scored_as_of_at=FINISHED.replace(tzinfo=None),
            run_number=run_number,
        )
        for team in teams
        for priority in priorities
        for horizon in horizons
        for method, hits in (("model", caught), ("all_history_count", 1))
    ]


def challenge_results(ratio: float = 1.5) -> pd.DataFrame:
    """A challenger that wins across all teams; chosen in each team the champion caught none."""
    figures = {"priority": "burglary", "horizon": "current", "incidents": 80, "weeks": 4}
    figures |= {"champion": 0.2, "challenger": 0.2 * ratio, "ratio": ratio}
    across = {"choice": ACROSS, "low": 1.1, "high": 1.9, "verdict": WINS}
    nan = float("nan")
    within = {"choice": WITHIN, "ratio": nan, "low": nan, "high": nan, "verdict": OPEN}
    return pd.DataFrame([figures | across, figures | within])


def shares_in_teams() -> pd.DataFrame:
    """What each method caught in the first team."""
    key = {"team_id": "a1", "priority": "burglary", "horizon": "current"}
    shares = {MODEL: 0.2, CHALLENGER: 0.3, "all_history_count": 0.1}
    return pd.DataFrame([key | {"method": of, "value": share} for of, share in shares.items()])


def challenge_manifest_of(settings: Settings, number: int) -> Manifest:
    """Of a run that found these."""
    facts = {
        "experiment": "bold",
        "champion_run": 1,
        "scored_polls": ["2024-07-01", "2024-12-23"],
        "settling_days": 21,
    }
    return replace(manifest_of(settings, number), facts=facts)
