"""Training: every expected model, by the engine of the settings, with stand-ins for small teams."""

from collections.abc import Callable

from pyspark import StorageLevel

from cas_spark.settings.learning import Training
from cas_spark.training import grouped, mllib
from cas_spark.training.models import Expected, TrainedModel, TrainingData
from cas_spark.training.pools import pools_of
from cas_spark.training.stand_ins import given_to_pools, stand_in


def train(
    data: TrainingData,
    expected: Expected,
    settings: Training,
    progress: Callable[[int], None],
) -> list[TrainedModel]:
    """Train every expected model.

    Args:
        data: what to learn from.
        expected: what is to be trained.
        settings: the engine and its settings.
        progress: called with the number of models done, each time the driver knows of some; with
            the grouped engine only its tasks know.

    Returns:
        Exactly one model per team, priority and horizon, in that order.
    """
    pools = pools_of(data.labels, expected, settings)
    if settings.engine == "mllib":
        models = mllib.fit_teams(data, expected, settings, progress)
        given = given_to_pools(data, models, expected, pools)
        models = stand_in(models, given, pools, expected, settings)
    else:
        # Looked at twice, and made once: what teams give to pools never reaches the driver.
        made = grouped.fit_teams(data, expected, settings, pools).persist(StorageLevel.DISK_ONLY)
        models = grouped.models_in(made, expected)
        models = stand_in(models, grouped.given_in(made), pools, expected, settings)
        made.unpersist()
    return sorted(models, key=lambda m: (m.team_id, m.priority, m.horizon))
