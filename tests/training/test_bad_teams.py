"""An odd team gets its models all the same, each with what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.indicators.catalogue import Catalogue, catalogue_of
from cas_spark.lake.arrow_access import write_file
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.platform.failures import UnreadableFileError
from cas_spark.settings.learning import Training
from cas_spark.training.grouped import train_team
from cas_spark.training.models import Expected, TrainedModel
from cas_spark.training.pools import Pools

POLLS = tuple(date(2024, 1, 1) + timedelta(weeks=i) for i in range(40))
FAST = ("burglary_count_4w", "burglary_count_13w")
CATALOGUE = Catalogue(
    tuple(i for i in catalogue_of(["burglary"]).indicators if i.name in (*FAST, "land_share"))
)
EXPECTED = Expected(
    poll=POLLS[-1],
    polls=POLLS,
    teams={"A": None},
    rows=len(POLLS) * 5,
    priorities=("burglary",),
    horizons=("current",),
    catalogue=CATALOGUE,
    task_memory_bytes=2**30,
)
NO_POOLS = Pools({}, 1)
SETTINGS = Training(minimum_positives=10, reg_param=0.01)


def model_of(
    folder: Path,
    values: Mapping[str, np.ndarray],
    hits: Sequence[tuple[int, int]],
    expected: Expected = EXPECTED,
    settings: Training = SETTINGS,
) -> TrainedModel:
    """The model of a team with these values, shape (polls, cells), and hits as (poll, cell)."""
    cells = next(iter(values.values())).shape[1]
    ids = np.arange(cells)
    slices = [
        pa.table(
            {"poll_on": pa.array([poll] * cells), "cell_id": ids}
            | {name: values[name][place].astype(np.float32) for name in FAST}
        )
        for place, poll in enumerate(POLLS)
    ]
    written, _ = write_file(str(folder), "snapshots", "A", slices, FAST)
    context = pa.table(
        {
            "valid_from_on": pa.array([POLLS[0]] * cells),
            "cell_id": ids,
            "land_share": np.ones(cells, np.float32),
        }
    )
    labels = pa.table(
        {
            "priority": pa.array(["burglary"] * len(hits)),
            "cell_id": pa.array([cell for _, cell in hits], pa.int64()),
            "poll_on": pa.array([POLLS[poll] for poll, _ in hits]),
            "horizons": pa.array([["current"]] * len(hits), pa.list_(pa.string())),
        }
    )
    files = SnapshotFiles(str(folder), "snapshots", {"A": (written.name,)})
    [model], given = train_team("A", context, labels, files, expected, settings, NO_POOLS)
    assert given.num_rows == 0
    return model


def counts(cells: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).poisson(1.0, (len(POLLS), cells))


def test_no_incident_at_all_asks_for_a_stand_in(tmp_path: Path) -> None:
    model = model_of(tmp_path, dict.fromkeys(FAST, counts(5)), [])
    assert (model.status, model.positives, model.fit) == ("pooled", 0, None)
    assert model.reason == "too_few_positives"


def test_an_incident_in_every_cell_and_week_fails_with_the_reason(tmp_path: Path) -> None:
    every = [(poll, cell) for poll in range(len(POLLS)) for cell in range(3)]
    model = model_of(tmp_path, dict.fromkeys(FAST, counts(3)), every)
    assert (model.status, model.reason) == ("failed", "all_positive")


def test_a_team_beyond_the_bound_of_memory_has_the_same_model_to_the_last_bit(
    tmp_path: Path,
) -> None:
    hits = [(poll, poll % 5) for poll in range(0, len(POLLS), 2)]
    values = dict.fromkeys(FAST, counts(5))
    in_memory = model_of(tmp_path / "in_memory", values, hits)
    bounded = replace(EXPECTED, task_memory_bytes=1)
    on_disk = model_of(tmp_path / "on_disk", values, hits, bounded)
    assert in_memory.fit is not None
    assert on_disk.fit == in_memory.fit


def test_a_column_that_repeats_another_shares_its_weight(tmp_path: Path) -> None:
    hits = [(poll, 0) for poll in range(0, len(POLLS), 2)]
    model = model_of(tmp_path, dict.fromkeys(FAST, counts(4)), hits)
    assert (model.status, model.dropped) == ("fitted", ("land_share",))
    assert model.fit is not None
    assert model.fit.coefficients[0] == pytest.approx(model.fit.coefficients[1], abs=1e-6)


def test_a_file_that_cannot_be_read_is_no_fault_of_the_team_so_its_task_is_tried_again(
    tmp_path: Path,
) -> None:
    gone = SnapshotFiles(str(tmp_path), "snapshots", {"A": ("gone.parquet",)})
    context = pa.table({"valid_from_on": [POLLS[0]], "cell_id": [1], "land_share": [1.0]})
    labels = pa.table({name: [] for name in ("priority", "cell_id", "poll_on", "horizons")})
    with pytest.raises(UnreadableFileError, match=r"gone\.parquet of table snapshots"):
        train_team("A", context, labels, gone, EXPECTED, SETTINGS, NO_POOLS)


def test_a_fit_that_breaks_down_fails_the_team_with_the_reason_and_not_the_run(
    tmp_path: Path,
) -> None:
    """Nothing tells two equal columns apart where nothing shrinks: no curvature can be inverted."""
    unpenalised = SETTINGS.model_copy(update={"reg_param": 0.0})
    hits = [(poll, 0) for poll in range(0, len(POLLS), 2)]
    models = [
        model_of(
            tmp_path / str(seed), dict.fromkeys(FAST, counts(4, seed)), hits, settings=unpenalised
        )
        for seed in range(4)  # rounding may hide it in one of them
    ]
    failed = [model.detail for model in models if model.reason == "error"]
    assert "2-th leading minor of the array is not positive definite" in failed


def test_a_single_cell_where_nothing_varies_is_told_by_its_base_rate(tmp_path: Path) -> None:
    hits = [(poll, 0) for poll in range(0, len(POLLS), 4)]
    model = model_of(tmp_path, dict.fromkeys(FAST, np.ones((len(POLLS), 1))), hits)
    assert (model.status, model.rows, model.positives) == ("fitted", 40, 10)
    assert model.dropped == (*FAST, "land_share")
    assert model.fit is not None
    assert model.fit.intercept == pytest.approx(np.log(10 / 30), abs=1e-6)


def test_a_priority_that_appears_halfway_is_fitted_on_all_polls(tmp_path: Path) -> None:
    """Before it appears there is nothing to count and nothing happens: that is what was known."""
    later = counts(6) * (np.arange(len(POLLS)) >= 20)[:, None]
    hits = [(poll, cell) for poll, cell in np.argwhere(later > 1).tolist()]
    model = model_of(tmp_path, dict.fromkeys(FAST, later), hits)
    assert (model.status, model.rows, model.positives) == ("fitted", 240, len(hits))
    assert model.fit is not None
    assert min(model.fit.coefficients[:2]) > 0
