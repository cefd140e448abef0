"""The report of an experiment: champion and challenger side by side, and which catches more."""

import pandas as pd
from pyspark.sql import functions as F

from cas_spark.evaluation.comparing import ACROSS, LOSES, OPEN, WINS, WITHIN
from cas_spark.lake import tables
from cas_spark.pipelines.experiment import Challenge
from cas_spark.pipelines.job import Job
from cas_spark.reporting import Report, ReportTable


def experiment_report(job: Job, challenge: Challenge, results: pd.DataFrame) -> Report:
    """The figures of an experiment.

    Args:
        job: of the challenger, at the champion's poll.
        challenge: name and weeks.
        results: of `comparing.paired`.
    """
    settings, facts = job.settings, job.run.facts
    share = f"{settings.forecast.share:.0%} of the land cells"
    shown = [_table(results, horizon, share) for horizon in settings.horizons]
    first, last = facts["scored_polls"]
    lines = [
        f"experiment {challenge.name}, beside weekly run {facts['champion_run']} of {job.poll}",
        f"both trained as of {first}, compared on {challenge.weeks} polls from then to {last}",
        *(_verdict(results, choice) for choice in (ACROSS, WITHIN)),
        "where there is no difference, one interval in twenty leaves out 1 all the same",
        _models(job, challenge),
        *settings.labels,
    ]
    return Report(shown, lines)


def _table(results: pd.DataFrame, horizon: str, share: str) -> ReportTable:
    of_horizon = results[results["horizon"] == horizon].sort_values(["choice", "priority"])
    return ReportTable(
        f"{horizon}: share of incidents caught in {share}",
        [
            "chosen",
            "priority",
            "incidents",
            "champion",
            "challenger",
            "times as many (95 %)",
            "challenger",
        ],
        [
            [
                line["choice"],
                line["priority"],
                f"{line['incidents']:,}",
                f"{line['champion']:.1%}",
                f"{line['challenger']:.1%}",
                f"{line['ratio']:.3f} ({line['low']:.3f}-{line['high']:.3f})",
                line["verdict"],
            ]
            for line in of_horizon.to_dict("records")
        ],
    )


def _verdict(results: pd.DataFrame, choice: str) -> str:
    """In how many comparisons the challenger wins, loses, or neither is shown."""
    of_choice = results[results["choice"] == choice]
    parts = []
    for verdict, words in ((LOSES, "catches fewer in"), (WINS, "catches more in")):
        lines = of_choice[of_choice["verdict"] == verdict].to_dict("records")
        names = [f"{line['priority']} {line['horizon']}" for line in lines]
        parts.append(f"{words} {len(names)}" + (f" ({', '.join(names)})" if names else ""))
    undecided = int((of_choice["verdict"] == OPEN).sum())
    return (
        f"chosen {choice}, of {len(of_choice)} comparisons the challenger {', '.join(parts)}; in "
        f"{undecided} the interval includes 1: no difference is shown"
    )


def _models(job: Job, challenge: Challenge) -> str:
    of_experiment = (F.col("experiment") == challenge.name) & (F.col("poll_on") == job.poll)
    models = job.run.read(tables.CHALLENGERS).where(of_experiment)
    counts = {row["status"]: row["count"] for row in models.groupBy("status").count().collect()}
    figures = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("fitted", "pooled", "failed"))
    return f"models of the challenger at {job.poll}: {figures}"
