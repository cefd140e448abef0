"""Exports one model of the lake as a native Spark model, for use in `pyspark.ml`.

Its features are the transformed indicators of its priority, in catalogue order, without those that
were dropped for lack of variance. What they are stands beside it, as JSON.
"""

import json
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.indicators.catalogue import whole_catalogue
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import held
from cas_spark.lake.outputs import Outputs
from cas_spark.lake.removing import is_of_spark
from cas_spark.platform import storage
from cas_spark.reporting import Report
from cas_spark.settings import Settings
from cas_spark.settings.redaction import redacted
from cas_spark.tracking.native_model import log_native_model, run_of_team
from cas_spark.tracking.store import FOLDER, open_store
from cas_spark.training.models import Fit
from cas_spark.training.native import as_pyspark_model
from cas_spark.training.transforms import ROUNDING
from cas_spark.training.unfitted import in_words

MODEL_FOLDER, DESCRIPTION = "model", "model.json"

_PARTS = ("metadata", "data")
"""Folders of a model that Spark saves."""


@dataclass(frozen=True)
class ModelKey:
    """Which model of the lake."""

    poll: date
    team: str
    priority: str
    horizon: str

    def __str__(self) -> str:
        return f"{self.priority} of team {self.team}, {self.horizon}, poll {self.poll}"


def export_model(spark: SparkSession, settings: Settings, key: ModelKey, to: str) -> Report:
    """Write a model as Spark's own into a folder, and log it in MLflow under its team's run.

    Args:
        spark: the session.
        settings: of the lake.
        key: which model.
        to: folder, local or any that Hadoop can reach; gets `model`, which
            `LogisticRegressionModel.load` reads, and `model.json`, which says what its features
            are. What an earlier export left there, unchanged, is replaced.

    Raises:
        CasError: other files lie where the model is to go, another run holds the lake,
            there is no such model, it failed, this code no longer knows one of its indicators, or
            MLflow has no run of that team, priority and poll.
    """
    _outputs_of(spark, to).check()
    with held(spark, settings.lake, "export-model"):  # no run may replace what it is logged under
        return _export(Lake(spark, settings.lake), settings, key, to)


def _export(lake: Lake, settings: Settings, key: ModelKey, to: str) -> Report:
    spark, row = lake.spark, _model_of(lake, key)
    store = open_store(settings)
    run = run_of_team(store, key.poll, key.team, key.priority)
    description = description_of(row, settings, _target_week(lake, key))
    coefficients = tuple(pair["coefficient"] for pair in row["coefficients"])
    fit = Fit(row["intercept"], coefficients, row["iterations"])
    uid = f"{key.priority}_{key.horizon}_{key.team}_{key.poll}"
    model = as_pyspark_model(spark, fit, uid)
    outputs = _outputs_of(spark, to)
    outputs.begin()
    model.write().save(f"{to}/{MODEL_FOLDER}")
    with tempfile.TemporaryDirectory() as scratch:
        beside = Path(scratch, DESCRIPTION)
        beside.write_text(json.dumps(description, indent=1, allow_nan=False), encoding="utf-8")
        storage.upload(spark, str(beside), f"{to}/{DESCRIPTION}")
        outputs.end()
        model_id = log_native_model(store, run, model, beside, key.horizon, lake.path(FOLDER))
    return Report(
        [],
        [
            f"{key}: {row['status']} by run {row['run_number']}",
            f"features: {len(coefficients)} transformed indicators, named in {to}/{DESCRIPTION}",
            f"pyspark: LogisticRegressionModel.load('{to}/{MODEL_FOLDER}')",
            f"MLflow: mlflow.spark.load_model('models:/{model_id}')",
            f"MLflow is at {redacted(store.uri)}",
            *settings.labels,
        ],
    )


def _outputs_of(spark: SparkSession, to: str) -> Outputs:
    """What an export makes in a folder."""

    def is_expected(path: str) -> bool:
        parts = path.removeprefix(f"{MODEL_FOLDER}/").split("/", 1)
        is_part = len(parts) > 1 and parts[0] in _PARTS and is_of_spark(parts[1])
        return path == DESCRIPTION or (path.startswith(f"{MODEL_FOLDER}/") and is_part)

    return Outputs(spark, to, (MODEL_FOLDER, DESCRIPTION), is_expected)


def _model_of(lake: Lake, key: ModelKey) -> Row:
    """The row of `models`.

    Raises:
        CasError: there is none, or it failed.
    """
    models = lake.read(tables.MODELS)
    at_poll = models.where(F.col("poll_on") == F.lit(key.poll))
    asked = (
        (F.col("team_id") == key.team)
        & (F.col("priority") == key.priority)
        & (F.col("horizon") == key.horizon)
    )
    row = at_poll.where(asked).first()
    if row is None:
        names = ("team_id", "priority", "horizon")
        held = at_poll.select(*names).distinct().collect()
        found = "; ".join(f"{name} {', '.join(sorted({r[name] for r in held}))}" for name in names)
        polls = sorted(str(r["poll_on"]) for r in models.select("poll_on").distinct().collect())
        raise CasError(
            what=f"the model {key}",
            found=found if held else f"models of the polls {', '.join(polls)}",
            expected="a model of the lake",
            do="Choose one of these, or run `cas-spark weekly` with that --poll",
        )
    if row["intercept"] is None:
        raise CasError(
            what=f"the model {key}",
            found=f"status {row['status']}: {in_words(row.asDict())}",
            expected="a model that is fitted or pooled",
            do="Choose another, or mend the cause and train again",
        )
    return row


def _target_week(lake: Lake, key: ModelKey) -> date | None:
    """Return the day on which the week starts that the model forecast; None without a forecast.

    The settings may have another offset for the horizon by now, or no such horizon.
    """
    if not lake.holds(tables.FORECASTS):
        return None
    of_model = (
        (F.col("poll_on") == F.lit(key.poll))
        & (F.col("team_id") == key.team)
        & (F.col("horizon") == key.horizon)
    )
    row = lake.read(tables.FORECASTS).where(of_model).select("target_week_on").first()
    week: date | None = row[0] if row is not None else None
    return week


def description_of(row: Row, settings: Settings, target_week: date | None) -> dict[str, Any]:
    """Return what a model is and what its features are, as JSON values.

    Args:
        row: of `models`, fitted or pooled.
        settings: of the lake.
        target_week: day on which the forecast week starts; None where nothing was forecast.

    Raises:
        CasError: this code no longer knows one of its indicators.
    """
    known = {indicator.name: indicator for indicator in whole_catalogue(settings).indicators}
    unknown = [p["indicator"] for p in row["coefficients"] if p["indicator"] not in known]
    if unknown:
        raise CasError(
            what=f"the indicators of a model of run {row['run_number']}",
            found=f"{', '.join(unknown)}, which the catalogue lacks",
            expected="indicators that this code knows",
            do="Use the version of the code that trained it, or train again",
        )
    features = []
    for name, coefficient in row["coefficients"]:
        indicator = known[name]
        features.append(
            {
                "name": name,
                "transform": indicator.transform,
                "unit": indicator.unit,
                "version": indicator.version,
                "meaning": indicator.meaning,
                "coefficient": coefficient,
            }
        )
    poll, horizon = row["poll_on"], row["horizon"]
    return {
        "lake": settings.name,
        "title": settings.title,
        "labels": settings.labels,
        "poll": poll.isoformat(),
        "target_week": target_week.isoformat() if target_week is not None else None,
        "team": row["team_id"],
        "priority": row["priority"],
        "horizon": horizon,
        "run": row["run_number"],
        "status": row["status"],
        "reason": in_words(row.asDict()),
        "engine": row["engine"],
        "learned_from_polls": [row["first_poll_on"].isoformat(), row["last_poll_on"].isoformat()],
        "rows": row["rows"],
        "positives": row["positives"],
        "probability_of": "at least one incident of the priority in the cell in the target week",
        "features": "of each indicator below, in this order, the plain value as it stands in "
        "`snapshots` or `cell_context`, transformed (log1p is ln(1 + value)), then rounded to a "
        f"whole multiple of 1/{ROUNDING}",
        "dropped": list(row["dropped"]),
        "intercept": row["intercept"],
        "indicators": features,
    }
