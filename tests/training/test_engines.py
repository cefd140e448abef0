"""Both engines on the same rows: the same models, told in the same way."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cas_spark.indicators.catalogue import Catalogue, catalogue_of
from cas_spark.knowledge.editions import turn_of
from cas_spark.lake.arrow_access import write_file
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.settings.learning import Training
from cas_spark.training.models import Expected, TrainedModel, TrainingData
from cas_spark.training.team_rows import team_rows
from cas_spark.training.train import train

pytestmark = pytest.mark.spark
POLLS = tuple(date(2024, 1, 1) + timedelta(weeks=i) for i in range(20))
USED = ("burglary_count_4w", "burglary_count_13w", "burglary_count_52w", "land_share")
CATALOGUE = Catalogue(tuple(i for i in catalogue_of(["burglary"]).indicators if i.name in USED))
# A has plenty; B and C hardly any, C in a region of its own; D is a single cell.
TEAMS = {"A": ("north", 30, -2.0), "B": ("north", 30, -6.0), "C": ("south", 25, -5.5)}
TEAMS["D"] = ("north", 1, -1.0)
EXPECTED = Expected(
    poll=POLLS[-1],
    polls=POLLS,
    teams={team: region for team, (region, _, _) in TEAMS.items()},
    rows=len(POLLS) * sum(cells for _, cells, _ in TEAMS.values()),
    priorities=("burglary",),
    horizons=("current", "early_1w"),
    catalogue=CATALOGUE,
    task_memory_bytes=2**30,
)
ROUGH = Training(minimum_positives=20, reg_param=0.01)
GROUPED = ROUGH.model_copy(update={"tolerance": 1e-9})
MLLIB = ROUGH.model_copy(update={"engine": "mllib", "tolerance": 1e-12})
Key = tuple[str, str]


TURNS = (POLLS[0], POLLS[8])
"""The polls from which other slow indicators are seen."""


def toy_data(spark: SparkSession, folder: Path) -> TrainingData:
    """Snapshots whose first column drives the outcome; the third says nothing, always 5.

    Half of the land of every cell is lost at the second turn.
    """
    random = np.random.default_rng(3)
    labels, context, files = [], [], {}
    for number, (team, (_, cells, base)) in enumerate(TEAMS.items()):
        ids = np.arange(cells) + 100 * number
        for cell in ids:
            land = float(random.uniform(0.5, 1))
            context += [(team, TURNS[0], int(cell), land), (team, TURNS[1], int(cell), land / 2)]
        slices = []
        for poll in POLLS:
            first, second = random.poisson(1.0, cells), random.poisson(2.0, cells)
            columns = [first, first + second, np.full(cells, 5)]
            slices.append(
                pa.table(
                    {"poll_on": pa.array([poll] * cells), "cell_id": ids}
                    | {
                        name: values.astype(np.float32)
                        for name, values in zip(USED[:3], columns, strict=True)
                    }
                )
            )
            chance = 1 / (1 + np.exp(-(base + 1.5 * np.log1p(first))))
            hit = ids[random.random(cells) < chance]
            labels += [("burglary", team, int(cell), poll, ["current"]) for cell in hit]
        written, _ = write_file(str(folder), "snapshots", team, slices, USED[:3])
        files[team] = (written.name,)
    schema = "team_id string, valid_from_on date, cell_id long, land_share float"
    slow = spark.createDataFrame(context, schema)
    return TrainingData(
        snapshots=with_context(spark.read.parquet(str(folder / "snapshots")), slow),
        files=SnapshotFiles(str(folder), "snapshots", files),
        labels=spark.createDataFrame(
            labels,
            "priority string, team_id string, cell_id long, poll_on date, horizons array<string>",
        ),
        context=slow,
    )


def with_context(snapshots: DataFrame, context: DataFrame) -> DataFrame:
    turn = turn_of(F.col("poll_on"), TURNS)
    return snapshots.withColumn("valid_from_on", turn).join(context, ["valid_from_on", "cell_id"])


@pytest.fixture(scope="module")
def data(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return toy_data(spark, tmp_path_factory.mktemp("engines"))


def by_key(models: list[TrainedModel]) -> dict[Key, TrainedModel]:
    return {(m.team_id, m.horizon): m for m in models}


@pytest.fixture(scope="module")
def grouped_models(data: TrainingData) -> dict[Key, TrainedModel]:
    models = train(data, EXPECTED, GROUPED, lambda _: None)
    assert len(models) == len(TEAMS) * len(EXPECTED.horizons)
    return by_key(models)


@pytest.fixture(scope="module")
def mllib_models(data: TrainingData) -> dict[Key, TrainedModel]:
    done: list[int] = []
    models = train(data, EXPECTED, MLLIB, done.append)
    assert sum(done) == len(models)
    return by_key(models)


def test_both_engines_find_the_same_coefficients_and_tell_the_same(
    grouped_models: dict[Key, TrainedModel], mllib_models: dict[Key, TrainedModel]
) -> None:
    for key, grouped in grouped_models.items():
        reference = mllib_models[key]
        told = [
            (m.status, m.reason, m.rows, m.positives, m.dropped, m.indicators)
            for m in (grouped, reference)
        ]
        assert told[0] == told[1]
        if grouped.fit is not None:
            assert reference.fit is not None
            np.testing.assert_allclose(
                [grouped.fit.intercept, *grouped.fit.coefficients],
                [reference.fit.intercept, *reference.fit.coefficients],
                atol=1e-5,
            )


def test_every_model_is_there_whatever_became_of_it(
    grouped_models: dict[Key, TrainedModel],
) -> None:
    a, b, c, d = (grouped_models[team, "current"] for team in "ABCD")
    assert (a.status, a.reason, a.dropped) == ("fitted", None, ("burglary_count_52w",))
    for small, pool in ((b, "north"), (c, ""), (d, "north")):
        assert (small.status, small.reason) == ("pooled", "too_few_positives")
        assert (small.pool, small.pool_reason) == (pool, None)
        assert small.fit not in (None, a.fit)
    assert b.fit == d.fit != c.fit
    for team in TEAMS:
        model = grouped_models[team, "early_1w"]
        assert (model.status, model.fit) == ("failed", None)
        assert (model.reason, model.pool) == ("too_few_positives", "")
        assert model.pool_reason == "too_few_positives"


def test_a_sample_of_the_rows_without_incident_makes_nearly_the_model_of_all(
    data: TrainingData, grouped_models: dict[Key, TrainedModel]
) -> None:
    sampled = by_key(
        train(
            data,
            EXPECTED,
            GROUPED.model_copy(update={"pooled_rows": len(POLLS) * 29}),
            lambda _: None,
        )
    )
    full, part = grouped_models["B", "current"].fit, sampled["B", "current"].fit
    assert full is not None
    assert part is not None
    assert part != full
    np.testing.assert_allclose(part.coefficients, full.coefficients, atol=0.25)
    assert part.intercept == pytest.approx(full.intercept, abs=0.25)


def test_a_team_whose_files_lack_rows_fails_with_the_reason_and_the_others_go_on(
    data: TrainingData,
) -> None:
    without_b = {team: names for team, names in data.files.of_team.items() if team != "B"}
    broken = replace(data, files=replace(data.files, of_team=without_b))
    settings = GROUPED.model_copy(update={"minimum_positives": 1})
    only = replace(EXPECTED, horizons=("current",))
    models = by_key(train(broken, only, settings, lambda _: None))
    assert models["A", "current"].status == "fitted"
    assert models["B", "current"].status == "failed"
    assert models["B", "current"].reason == "error"
    assert "snapshots of team B" in (models["B", "current"].detail or "")


def test_each_poll_is_learned_from_with_the_slow_indicators_that_it_sees(
    data: TrainingData,
) -> None:
    of_a = {name: getattr(data, name).where("team_id = 'A'") for name in ("context", "labels")}
    context = of_a["context"].toArrow()
    rows = team_rows("A", context, of_a["labels"].toArrow(), data.files, EXPECTED)
    land = rows.matrix[CATALOGUE.names.index("land_share")].reshape(len(POLLS), 30)
    assert (land[:8] == land[0]).all()
    assert (land[8:] == land[8]).all()
    np.testing.assert_allclose(land[8], land[0] / 2, atol=2**-16)
    [first] = of_a["context"].where("cell_id = 0").orderBy("valid_from_on").limit(1).collect()
    assert land[0, 0] == pytest.approx(first["land_share"], abs=2**-16)


@pytest.mark.parametrize("settings", [GROUPED, MLLIB], ids=["grouped", "mllib"])
def test_a_team_with_a_value_that_is_no_number_fails_with_the_reason_and_the_others_go_on(
    data: TrainingData, settings: Training
) -> None:
    is_bad = (F.col("team_id") == "B") & (F.col("valid_from_on") == F.lit(TURNS[1]))
    land = F.when(is_bad, float("nan")).otherwise(F.col("land_share")).cast("float")
    context = data.context.withColumn("land_share", land)
    fast = data.snapshots.drop("valid_from_on", "land_share", "team_id")
    broken = replace(data, context=context, snapshots=with_context(fast, context))
    only = replace(EXPECTED, horizons=("current",))
    models = by_key(train(broken, only, settings, lambda _: None))
    assert sorted(models) == [(team, "current") for team in TEAMS]
    assert (models["A", "current"].status, models["A", "current"].reason) == ("fitted", None)
    assert models["B", "current"].status == "failed"
    assert models["B", "current"].reason == "error"
    detail = models["B", "current"].detail or ""
    assert detail.startswith("indicator land_share: found ")
    # The grouped engine tells of all of a team's rows, however many it reads at a time.
    number = "" if settings is MLLIB else f"{30 * (len(POLLS) - 8)} of {30 * len(POLLS)} "
    assert f"found {number}rows without a finite number" in detail
    for team in "CD":  # what stands in for them learned from the others
        assert models[team, "current"].status == "pooled"
        assert models[team, "current"].fit is not None


def test_an_engine_that_does_not_converge_says_so(data: TrainingData) -> None:
    only = replace(EXPECTED, horizons=("current",))
    for engine in (GROUPED, MLLIB):
        settings = engine.model_copy(update={"max_iterations": 1})
        model = by_key(train(data, only, settings, lambda _: None))["A", "current"]
        assert (model.status, model.fit) == ("failed", None)
        assert model.reason == "not_converged"
        assert model.detail
