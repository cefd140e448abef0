"""Where the time of a team's training goes, from a profile of one task's work."""

import cProfile
import pstats
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from cas_spark.settings.learning import Training
from cas_spark.training.grouped import train_team
from cas_spark.training.models import Expected, TrainingData
from cas_spark.training.pools import Pools

PARTS = {
    "read": ("snapshot_files.py", "blocks"),
    "transform": ("design_matrix.py", "fill_matrix"),
    "centre": ("design.py", "design_of"),
    "fit_on_samples": ("solver.py", "_fit_samples"),
    "draw": ("solver.py", "solutions"),
    "fit": ("solver.py", "solve"),
}
"""Part of the work -> the function that does it; `fit` is with those on samples and the draws."""


def profile_training(
    data: TrainingData, expected: Expected, settings: Training, team: str
) -> dict[str, Any]:
    """Seconds of the parts of a team's training, on one core.

    `fit_on_samples` is what a start at last week's models could save at most.
    """
    of_team = F.col("team_id") == team
    context, labels = (frame.where(of_team).toArrow() for frame in (data.context, data.labels))
    profile = cProfile.Profile()
    no_pools = Pools({}, 1)
    models, _ = profile.runcall(
        train_team, team, context, labels, data.files, expected, settings, no_pools
    )
    seconds = _cumulative(profile)
    fitted = [model.fit.iterations for model in models if model.fit]
    return {
        "team": team,
        "rows": models[0].rows,
        "models": len(fitted),
        "mean_passes": round(sum(fitted) / len(fitted), 2),
        "most_passes": max(fitted),
        "seconds": round(seconds["grouped.py", "train_team"], 2),
        "seconds_of": {name: round(seconds[part], 2) for name, part in PARTS.items()},
    }


def _cumulative(profile: cProfile.Profile) -> dict[tuple[str, str], float]:
    """File and function -> seconds in it and in what it calls."""
    stats: dict[tuple[str, int, str], tuple[Any, ...]] = vars(pstats.Stats(profile))["stats"]
    return {(Path(file).name, name): figures[3] for (file, _, name), figures in stats.items()}
