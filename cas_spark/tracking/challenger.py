"""A challenger in MLflow: logged as a week is, in an experiment of its own, beside the champion.

Its model can be loaded, but is no version of the lake's registered model, so it is never `latest`.
"""

import hashlib
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
from mlflow.entities import Metric, RunTag
from pyspark.sql import Row

from cas_spark.evaluation.comparing import ACROSS
from cas_spark.evaluation.measures import CHALLENGER, MODEL, measure_name
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.manifest import Manifest
from cas_spark.settings import Settings
from cas_spark.tracking.store import CHALLENGE, CHALLENGE_TEAM, Store, milliseconds
from cas_spark.tracking.week import Heading, complete, content_of, keep_only, log_runs

CHAMPION = "champion"


def log_experiment(
    store: Store,
    settings: Settings,
    manifest: Manifest,
    models: Sequence[Row],
    catalogue: Catalogue,
    results: pd.DataFrame,
    in_teams: pd.DataFrame,
    team_names: Mapping[str, str],
) -> str:
    """Log a challenger and its comparison: the same content once, other content in place of it.

    The parent run gets `<priority>/<measure>.<horizon>.<figure>` for the figures champion,
    challenger, ratio, low and high, with `across_teams/` before it where the cells are chosen
    across all teams; and the tag `verdict/<priority>.<horizon>`, or `verdict/across_teams/…`. A
    team's run gets `<measure>.<horizon>.champion` and `….challenger`.

    Args:
        store: where to.
        settings: of the challenger.
        manifest: of the experiment's run; its facts name the experiment and the champion's run.
        models: the rows of `challengers` of one experiment and poll.
        catalogue: the indicators that the challenger reads.
        results: of `comparing.paired`.
        in_teams: of `comparing.caught_in_teams`.
        team_names: team id -> name, where the teams have one.

    Returns:
        The id of the parent run.
    """
    models = sorted(models, key=lambda m: (m["team_id"], m["priority"], m["horizon"]))
    name, poll = manifest.facts["experiment"], models[0]["poll_on"]
    first, last = manifest.facts["scored_polls"]
    tags = {
        "experiment": name,
        "champion_run": str(manifest.facts["champion_run"]),
        "scored_polls": f"{first} to {last}",
    }
    content = _content(settings, models, catalogue, tags, results, in_teams)
    kept = keep_only(store, store.challenges_of(name, poll), content)
    if kept is not None:
        return str(kept.info.run_id)
    heading = Heading(
        experiment=store.challenge_name(name),
        title=f"{name} {poll}",
        model=CHALLENGER,
        level=CHALLENGE,
        team_level=CHALLENGE_TEAM,
        content=content,
        tags=tags,
    )
    parent, _ = log_runs(store, heading, settings, manifest, models, catalogue, team_names)
    measure = measure_name(settings.forecast.share)
    store.client.log_batch(
        parent.info.run_id,
        metrics=_metrics(_figures(results, measure), manifest),
        tags=_verdicts(results),
    )
    of_teams = _figures_of_teams(in_teams, measure)
    for child in store.children_of(parent):
        figures = of_teams.get((child.data.tags["team"], child.data.tags["priority"]), {})
        store.client.log_batch(child.info.run_id, metrics=_metrics(figures, manifest))
    return complete(store, parent, manifest)


def _content(
    settings: Settings,
    models: Sequence[Row],
    catalogue: Catalogue,
    tags: Mapping[str, str],
    results: pd.DataFrame,
    in_teams: pd.DataFrame,
) -> str:
    """A sha256 over all that is logged; clocks and the experiment's own run number left out."""
    figures = [frame.to_json(double_precision=15) for frame in (results, in_teams)]
    text = json.dumps([content_of(settings, models, catalogue), dict(tags), figures])
    return hashlib.sha256(text.encode()).hexdigest()


def _figures(results: pd.DataFrame, measure: str) -> dict[str, float]:
    return {
        f"{_across(line)}{line['priority']}/{measure}.{line['horizon']}.{figure}": line[figure]
        for line in results.to_dict("records")
        for figure in (CHAMPION, CHALLENGER, "ratio", "low", "high")
    }


def _verdicts(results: pd.DataFrame) -> list[RunTag]:
    return [
        RunTag(f"verdict/{_across(line)}{line['priority']}.{line['horizon']}", line["verdict"])
        for line in results.to_dict("records")
    ]


def _across(line: Mapping[Hashable, Any]) -> str:
    return "across_teams/" if line["choice"] == ACROSS else ""


def _figures_of_teams(
    in_teams: pd.DataFrame, measure: str
) -> dict[tuple[str, str], dict[str, float]]:
    """(team, priority) -> name of the metric -> value."""
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for line in in_teams.to_dict("records"):
        side = {MODEL: CHAMPION, CHALLENGER: CHALLENGER}.get(line["method"])
        if side is not None:
            of_team = figures.setdefault((line["team_id"], line["priority"]), {})
            of_team[f"{measure}.{line['horizon']}.{side}"] = line["value"]
    return figures


def _metrics(figures: Mapping[str, float], manifest: Manifest) -> list[Metric]:
    """At the moment at which the run was published; what is not a number is left out."""
    moment = milliseconds(manifest.finished_at)
    return [
        Metric(name, float(value), moment, manifest.number)
        for name, value in figures.items()
        if not math.isnan(value)
    ]
