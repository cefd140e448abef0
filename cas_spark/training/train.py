"""Training: every expected model, by the engine of the settings, with stand-ins for small teams."""

from collections.abc import Callable

from cas_spark.settings.learning import Training
from cas_spark.training import grouped, mllib
from cas_spark.training.models import Expected, TrainedModel, TrainingData
from cas_spark.training.pooling import stand_in


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
    if settings.engine == "mllib":
        models = mllib.fit_teams(data, expected, settings, progress)
    else:
        models = grouped.fit_teams(data, expected, settings)
    models = stand_in(models, data, expected, settings)
    return sorted(models, key=lambda m: (m.team_id, m.priority, m.horizon))
