"""The model that MLflow loads: all teams, priorities and horizons of a week.

This file is copied into the logged model and run there, where cas_spark is not installed: it stands
on numpy, pandas and MLflow alone, and repeats the few lines of arithmetic that it needs. A test
holds it to the project's own scores.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

KEYS = ["team", "priority", "horizon"]


class WeekModel(PythonModel):
    """Probability of at least one incident in a cell and target week.

    Input: a row per cell with team, priority, horizon, and the indicators' plain values as they
    stand in `snapshots`. Output, in the same order: logit and probability.
    """

    transforms: Mapping[str, str]
    models: Mapping[tuple[Any, ...], Mapping[str, Any]]
    rounding: int

    def load_context(self, context: PythonModelContext) -> None:
        """Read the coefficients."""
        content = json.loads(Path(context.artifacts["models"]).read_text(encoding="utf-8"))
        self.rounding = content["rounding"]
        self.transforms = {i["name"]: i["transform"] for i in content["indicators"]}
        self.models = {tuple(model[key] for key in KEYS): model for model in content["models"]}

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow passes it
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> pd.DataFrame:
        """Logits and probabilities.

        Raises:
            ValueError: there is no model for a team, priority and horizon asked for, or a value
                that its model needs is missing.
        """
        logits = np.empty(len(model_input))
        places = model_input.reset_index(drop=True)
        for key, rows in places.groupby(KEYS, sort=True):
            logits[rows.index.to_numpy()] = self._logits(key, rows)
        missing = places[KEYS].isna().any(axis=1)
        if missing.any():
            raise ValueError(f"row {missing.idxmax()}: team, priority or horizon is missing")
        probabilities = 1.0 / (1.0 + np.exp(-logits))
        return pd.DataFrame(
            {"logit": logits, "probability": probabilities}, index=model_input.index
        )

    def _logits(self, key: tuple[Any, ...], rows: pd.DataFrame) -> "np.ndarray[Any, Any]":
        """Intercept plus contributions, one by one in catalogue order: the same everywhere."""
        model = self.models.get(key)
        asked = ", ".join(f"{name} {value}" for name, value in zip(KEYS, key, strict=True))
        if model is None:
            known = sorted(self.models)
            raise ValueError(f"no model for {asked}; there are {len(known)}, such as {known[:1]}")
        if model["intercept"] is None:
            raise ValueError(f"the model for {asked} failed: {model['reason']}")
        logits = np.full(len(rows), model["intercept"])
        for name, coefficient in model["coefficients"].items():
            values = rows[name].to_numpy(np.float64)
            if np.isnan(values).any():
                raise ValueError(f"indicator {name} is missing in a row for {asked}")
            if self.transforms[name] == "log1p":
                values = np.log1p(values)
            logits = logits + coefficient * (np.rint(values * self.rounding) / self.rounding)
        return logits


set_model(WeekModel())
