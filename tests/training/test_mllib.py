"""The reference engine against scipy's optimiser on the objective as the design states it."""

from datetime import date, timedelta

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from scipy.optimize import minimize

from cas_spark.indicators.catalogue import Catalogue, count
from cas_spark.settings.learning import Training
from cas_spark.training.design_matrix import training_rows
from cas_spark.training.mllib import FitError, fit
from cas_spark.training.models import Expected, TrainedModel, train

pytestmark = pytest.mark.spark
POLLS = tuple(date(2024, 1, 1) + timedelta(weeks=i) for i in range(20))
CATALOGUE = Catalogue((count("burglary", 4), count("burglary", 13), count("burglary", 52)))
EXPECTED = Expected(POLLS[-1], POLLS, ("A", "B"), ("burglary",), ("current", "early_1w"), CATALOGUE)
SETTINGS = Training(minimum_positives=20, reg_param=0.01, tolerance=1e-10, maximum_failed_share=1)


def toy_rows(spark: SparkSession) -> tuple[DataFrame, DataFrame]:
    """Snapshots of two teams whose first column drives the outcome; B hardly has incidents."""
    random = np.random.default_rng(3)
    rows, labels = [], []
    for team, base in (("A", -2.0), ("B", -6.0)):
        for cell in range(30):
            for poll in POLLS:
                first, second = float(random.poisson(1.0)), float(random.poisson(2.0))
                rows.append((team, poll, cell + (100 if team == "B" else 0), first, second, 5.0))
                if random.random() < 1 / (1 + np.exp(-(base + 1.5 * np.log1p(first)))):
                    labels.append(("burglary", rows[-1][2], poll, ["current"]))
    names = ", ".join(f"{i.name} float" for i in CATALOGUE.indicators)
    return (
        spark.createDataFrame(rows, f"team_id string, poll_on date, cell_id long, {names}"),
        spark.createDataFrame(
            labels, "priority string, cell_id long, poll_on date, horizons array<string>"
        ),
    )


@pytest.fixture(scope="module")
def models(spark: SparkSession) -> dict[tuple[str, str], TrainedModel]:
    snapshots, labels = toy_rows(spark)
    done: list[int] = []
    models = train(snapshots, labels, EXPECTED, SETTINGS, done.append)
    assert sum(done) == len(models) == 4
    return {(m.team_id, m.horizon): m for m in models}


def test_the_fit_minimises_the_stated_objective(
    spark: SparkSession, models: dict[tuple[str, str], TrainedModel]
) -> None:
    snapshots, labels = toy_rows(spark)
    frame = snapshots.where("team_id = 'A'").toPandas()
    positive = {(r["cell_id"], r["poll_on"]) for r in labels.collect()}
    y = np.array(
        [(c, p) in positive for c, p in zip(frame["cell_id"], frame["poll_on"], strict=True)]
    )
    x = np.log1p(frame[[i.name for i in CATALOGUE.indicators[:2]]].to_numpy())
    scale = x.std(axis=0, ddof=1)

    def objective(beta: np.ndarray) -> float:
        logit = beta[0] + (x / scale) @ beta[1:]
        loss = np.mean(np.logaddexp(0, logit) - y * logit)
        return float(loss + SETTINGS.reg_param / 2 * beta[1:] @ beta[1:])

    best = minimize(objective, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    model = models["A", "current"]
    assert model.fit is not None
    assert model.dropped == ("burglary_count_52w",)
    found = [model.fit.intercept, *(np.array(model.fit.coefficients[:2]) * scale)]
    np.testing.assert_allclose(found, best, atol=1e-4)


def test_a_team_with_too_few_gets_the_country_model_and_one_without_any_fails(
    models: dict[tuple[str, str], TrainedModel],
) -> None:
    a, b = models["A", "current"], models["B", "current"]
    assert (a.status, b.status) == ("fitted", "pooled")
    assert b.reason is not None
    assert "20 needed" in b.reason
    assert b.fit is not None
    assert b.fit != a.fit
    for team in ("A", "B"):
        model = models[team, "early_1w"]
        assert (model.status, model.fit) == ("failed", None)
        assert "whole country" in (model.reason or "")


def test_a_fit_that_does_not_converge_says_so(spark: SparkSession) -> None:
    snapshots, labels = toy_rows(spark)
    rows = training_rows(snapshots, labels, CATALOGUE.indicators, ["current"])
    with pytest.raises(FitError, match="did not converge within 1 iterations"):
        fit(rows, "label_current", Training(max_iterations=1))
