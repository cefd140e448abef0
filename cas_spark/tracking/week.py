"""A week in MLflow: a parent run with the model of all teams, a child run per team and priority."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any

from mlflow.entities import Metric, Param, Run
from pyspark.sql import Row

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.tables import MODELS
from cas_spark.settings import Settings
from cas_spark.settings.redaction import redacted
from cas_spark.settings.texts import one_line
from cas_spark.tracking.registry import forget_models_of, keep_latest, log_week_model, register
from cas_spark.tracking.store import PARENT, TEAM, WEEK, Store, milliseconds
from cas_spark.training.unfitted import in_words

COMPLETE = "complete"
CONTENT = "content"
NOTE = "mlflow.note.content"
SETTINGS_FILE = "settings.json"
LONGEST_TAG = 4000
"""Characters; MLflow refuses far longer ones."""
LONGEST_RUN_NAME = 250
"""Characters, as its databases hold them."""


@dataclass(frozen=True)
class Heading:
    """How the runs of a poll's models are called and found.

    Attributes:
        experiment: MLflow's, by its name.
        title: of the parent run.
        model: name of the logged model.
        level, team_level: values of the tag `level` of the parent run and of its children.
        content: a digest of all that is logged.
        tags: further tags of all runs and of the model.
    """

    experiment: str
    title: str
    model: str
    level: str
    team_level: str
    content: str
    tags: Mapping[str, str] = field(default_factory=dict)


def log_models(
    store: Store,
    settings: Settings,
    manifest: Manifest,
    models: Sequence[Row],
    catalogue: Catalogue,
    team_names: Mapping[str, str] | None = None,
) -> str:
    """Log the models of a poll: the same content once, other content in place of the old.

    What a crash left half-logged (it lacks the tag `complete`) is deleted and logged again.

    Args:
        store: where to.
        settings: of the lake.
        manifest: of the complete run that published them.
        models: all rows of `models` of one poll.
        catalogue: the indicators that the models read.
        team_names: team id -> name, where the teams have one.

    Returns:
        The id of the week's parent run.

    Raises:
        ValueError: the rows are none, or of several polls.
    """
    models = sorted(models, key=lambda m: (m["team_id"], m["priority"], m["horizon"]))
    poll = _only_poll(models)
    content = content_of(settings, models, catalogue)
    kept = keep_only(store, store.weeks_of(poll), content)
    if kept is not None:
        keep_latest(store)
        return str(kept.info.run_id)
    name, title = store.experiment_name(poll), poll.isoformat()
    heading = Heading(name, title, "week", WEEK, TEAM, content)
    parent, model_id = log_runs(
        store, heading, settings, manifest, models, catalogue, team_names or {}
    )
    register(store, model_id, parent, common_tags(settings, poll))
    return complete(store, parent, manifest)


def week_of(store: Store, poll: date) -> Run | None:
    """The complete parent run of a poll."""
    weeks = [week for week in store.weeks_of(poll) if week.data.tags.get(COMPLETE) == "true"]
    return weeks[0] if weeks else None


def keep_only(store: Store, parents: Sequence[Run], content: str) -> Run | None:
    """The complete parent run of this content, if any; all others are deleted."""
    kept = None
    for parent in parents:
        tags = parent.data.tags
        if kept is None and tags.get(COMPLETE) == "true" and tags.get(CONTENT) == content:
            kept = parent
        else:
            forget(store, parent)
    return kept


def content_of(settings: Settings, models: Sequence[Row], catalogue: Catalogue) -> str:
    """A sha256 over all that the models of a poll say; clocks and run numbers left out."""
    rows = [[_plain(model[name]) for name in MODELS.digest_columns] for model in models]
    text = json.dumps([settings.sha256(), settings.labels, catalogue.version, rows])
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A value of a row as JSON can hold it, floats by their bits."""
    if isinstance(value, float | bytes | bytearray):
        return value.hex()
    if isinstance(value, list | tuple):  # a Row is a tuple
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, date | datetime) else value


def _only_poll(models: Sequence[Row]) -> date:
    polls = sorted({model["poll_on"] for model in models})
    if len(polls) != 1:
        raise ValueError(f"models of one poll are logged together, found polls {polls}")
    poll: date = polls[0]
    return poll


def forget(store: Store, parent: Run) -> None:
    """Delete a week; its own run last, so that a crash in the middle leaves it to be found."""
    for child in store.children_of(parent):
        store.client.delete_run(child.info.run_id)
    forget_models_of(store, parent)
    store.client.delete_run(parent.info.run_id)


def log_runs(
    store: Store,
    heading: Heading,
    settings: Settings,
    manifest: Manifest,
    models: Sequence[Row],
    catalogue: Catalogue,
    team_names: Mapping[str, str],
) -> tuple[Run, str]:
    """Log a parent run with the model of all teams, and a child run per team and priority.

    Args:
        store: where to.
        heading: how they are called and found.
        settings: with which the models were made.
        manifest: of the complete run that published them.
        models: all rows of one poll, sorted by team, priority and horizon.
        catalogue: the indicators that the models read.
        team_names: team id -> name, where the teams have one.

    Returns:
        The parent run, which lacks the tag `complete` still, and the id of the logged model.
    """
    client = store.client
    poll = _only_poll(models)
    experiment = store.make_experiment(heading.experiment)
    finished = milliseconds(manifest.finished_at)
    started = finished - round(sum(manifest.stages.values()) * 1000)
    common = {**common_tags(settings, poll), **heading.tags}
    # MLflow shows the note above a run's figures.
    note = {NOTE: common["labels"]} if "labels" in common else {}
    parent = client.create_run(
        experiment,
        start_time=started,
        run_name=heading.title,
        tags={
            **common,
            **note,
            "level": heading.level,
            CONTENT: heading.content,
            "run_number": str(max(model["run_number"] for model in models)),
        },
    )
    run_id = parent.info.run_id

    def at_the_end(key: str, value: float) -> Metric:
        return Metric(key, float(value), finished, manifest.number)

    statuses = Counter(model["status"] for model in models)
    overall = {
        **{f"models.{status}": statuses[status] for status in ("fitted", "pooled", "failed")},
        **{f"seconds.{stage}": seconds for stage, seconds in manifest.stages.items()},
    }
    client.log_batch(
        run_id,
        metrics=[at_the_end(key, value) for key, value in overall.items()],
        params=_params(_of_the_week(settings, manifest, models, catalogue)),
    )
    client.log_text(run_id, _manifest_as_json(manifest), "manifest.json")
    client.log_text(run_id, _settings_as_json(settings), SETTINGS_FILE)
    client.log_text(run_id, _table_of(models), "models.csv")
    for (team, priority), group in groupby(models, lambda m: (m["team_id"], m["priority"])):
        of_group = list(group)
        name = team_names.get(team, team)
        child = client.create_run(
            experiment,
            start_time=started,
            run_name=one_line(f"{name} {priority}", LONGEST_RUN_NAME),
            tags={
                **common,
                **note,
                PARENT: run_id,
                "level": heading.team_level,
                "team": team,
                "team_name": name[:LONGEST_TAG],
                "priority": priority,
                **{f"status.{m['horizon']}": m["status"] for m in of_group},
            },
        )
        client.log_batch(
            child.info.run_id,
            metrics=[
                at_the_end(f"{figure}.{model['horizon']}", model[figure])
                for model in of_group
                for figure in ("rows", "positives", "iterations", "seconds")
                if model[figure] is not None
            ],
            params=_params(_of_the_team(settings, of_group)),
        )
        client.log_text(child.info.run_id, _coefficients(of_group, catalogue), "coefficients.csv")
        client.set_terminated(child.info.run_id, end_time=finished)
    metadata = {**common, "indicators": catalogue.version}
    return parent, log_week_model(store, parent, heading.model, models, catalogue, metadata)


def complete(store: Store, parent: Run, manifest: Manifest) -> str:
    """Say that all of a parent run is logged; its id."""
    run_id = parent.info.run_id
    store.client.set_terminated(run_id, end_time=milliseconds(manifest.finished_at))
    store.client.set_tag(run_id, COMPLETE, "true")
    return str(run_id)


def common_tags(settings: Settings, poll: date) -> dict[str, str]:
    """What every run, model and version of a poll is found by, and must say with its figures."""
    labels = " ".join(settings.labels)[:LONGEST_TAG]
    tags = {
        "lake": settings.name,
        "poll": poll.isoformat(),
        "is_generated": str(settings.is_generated).lower(),
        "is_assumed": str(any(source.is_assumed for source in settings.incidents)).lower(),
        "is_proxy": str(settings.grid.teams.is_proxy).lower(),
    }
    return {**tags, "labels": labels} if labels else tags


def _of_the_week(
    settings: Settings, manifest: Manifest, models: Sequence[Row], catalogue: Catalogue
) -> dict[str, Any]:
    facts = manifest.facts
    training = settings.training
    return {
        "settings_sha256": manifest.settings_sha256,
        "grid_version": settings.grid.version,
        "run_number": max(model["run_number"] for model in models),
        "commit": manifest.commit,
        "lock_sha256": manifest.lock_sha256,
        "engine": " ".join(sorted({model["engine"] for model in models})),
        "reg_param": training.reg_param,
        "tolerance": training.tolerance,
        "max_iterations": training.max_iterations,
        "minimum_positives": training.minimum_positives,
        "polls": settings.polls.count,
        "first_poll": min(model["first_poll_on"] for model in models),
        "last_poll": max(model["last_poll_on"] for model in models),
        "settling_days": facts.get("settling_days"),
        "catalogue_version": catalogue.version,
        "indicators": len(catalogue.indicators),
        "left_out_indicators": " ".join(facts.get("left_out_indicators", [])),
        "teams": len({model["team_id"] for model in models}),
        "priorities": " ".join(settings.priorities),
        "horizons": " ".join(settings.horizons),
        "chosen_share": settings.forecast.share,
    }


def _of_the_team(settings: Settings, models: Sequence[Row]) -> dict[str, Any]:
    first = models[0]
    return {
        "team": first["team_id"],
        "priority": first["priority"],
        "engine": first["engine"],
        "reg_param": settings.training.reg_param,
        "first_poll": first["first_poll_on"],
        "last_poll": first["last_poll_on"],
        **{f"reason.{m['horizon']}": in_words(m.asDict()) for m in models},
        **{f"dropped.{m['horizon']}": " ".join(m["dropped"])[:LONGEST_TAG] for m in models},
    }


def _params(values: Mapping[str, Any]) -> list[Param]:
    """Parameters of a run; what is not known or empty is left out."""
    texts = {key: str(value)[:LONGEST_TAG] for key, value in values.items() if value is not None}
    return [Param(key, value) for key, value in texts.items() if value]


def _manifest_as_json(manifest: Manifest) -> str:
    row = {key: value for key, value in manifest.to_row().items() if key != "settings"}
    return json.dumps(row, default=str, indent=1)


def _settings_as_json(settings: Settings) -> str:
    """All settings but where MLflow is, without secrets."""
    return json.dumps(redacted(settings.model_dump(mode="json", exclude={"tracking"})), indent=1)


def _table_of(models: Sequence[Row]) -> str:
    """All models of the week as CSV, without their coefficients."""
    columns = [c.name for c in MODELS.columns if c.name not in ("coefficients", "draws", "dropped")]
    return _csv([columns, *([model[name] for name in columns] for model in models)])


def _coefficients(models: Sequence[Row], catalogue: Catalogue) -> str:
    """A row per indicator and a column per horizon; empty where it was left out."""
    horizons = [model["horizon"] for model in models]
    of_horizon = [dict(model["coefficients"]) for model in models]
    used = [name for name in catalogue.names if any(name in values for values in of_horizon)]
    return _csv(
        [
            ["indicator", *horizons],
            ["intercept", *(model["intercept"] for model in models)],
            *([name, *(values.get(name) for values in of_horizon)] for name in used),
        ]
    )


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
