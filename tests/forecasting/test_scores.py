"""What raises a chosen cell is what it has more of than the others of its team."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.errors import CasError
from cas_spark.forecasting.forecast import Scorer, scores_of_team
from cas_spark.indicators.catalogue import catalogue_of
from tests.toy import settings_of_toy

CATALOGUE = catalogue_of(["burglary"])


def scores_of(values: dict[str, list[float]], *models: dict[str, float]) -> list[dict[str, Any]]:
    """What models with these coefficients think of cells with these values, others 0."""
    cells = len(next(iter(values.values())))
    rows = pa.table(
        {"cell_id": np.arange(cells)}
        | {
            name: pa.array(values.get(name, [0.0] * cells), pa.float32())
            for name in CATALOGUE.names
        }
    )
    scorers = [Scorer("burglary", "current", -3.0, tuple(of.items()), None) for of in models]
    forecast = settings_of_toy(Path("/nowhere")).forecast
    scored: pa.Table = scores_of_team("A", rows, scorers, cells, CATALOGUE, forecast)
    return list(scored.to_pylist())


def test_a_value_that_is_no_number_matters_to_the_models_that_look_at_it_and_to_no_other() -> None:
    values = {"burglary_count_4w": [3.0, 0.0], "land_share": [0.7, float("nan")]}
    assert len(scores_of(values, {"burglary_count_4w": 1.0})) == 2
    assert scores_of(values) == []
    with pytest.raises(CasError, match="land_share"):
        scores_of(values, {"land_share": 1.0})


def test_what_is_alike_in_all_cells_is_no_reason_however_it_is_rounded() -> None:
    values = {"burglary_count_4w": [3.0, 0.0, 1.0], "land_share": [0.7, 0.7, 0.7]}
    for weight in (0.1, -0.3, 0.7, 1 / 3):
        scored = scores_of(values, {"burglary_count_4w": 1.0, "land_share": weight})
        [chosen] = [row for row in scored if row["reasons"] is not None]
        assert chosen["cell_id"] == 0
        assert [reason["indicator"] for reason in chosen["reasons"]] == ["burglary_count_4w"]
        raised = {pair["group"]: pair["above_mean"] for pair in chosen["raised_by"]}
        groups = {i.name: i.group for i in CATALOGUE.indicators}
        assert raised[groups["land_share"]] == 0.0
