"""Train: every expected model of the poll, from the outcomes known at the poll."""

from collections import Counter

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.visibility import known_at
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.training.models import Expected
from cas_spark.training.models import train as train_models
from cas_spark.training.outcomes import labels_of


def train(job: Job) -> None:
    """Train all models of the run's poll.

    Raises:
        CasError: more models failed than the settings allow, or a model is missing.
    """
    run, settings, schedule = job.run, job.settings, job.schedule
    teams = [
        row["team_id"]
        for row in job.cells().where("is_kept").select("team_id").distinct().collect()
    ]
    expected = Expected(
        poll=schedule.poll,
        polls=schedule.training,
        teams=tuple(sorted(teams)),
        priorities=tuple(settings.priorities),
        horizons=tuple(settings.horizons),
        catalogue=job.catalogue,
    )
    number = len(expected.teams) * len(expected.priorities) * len(expected.horizons)
    outcomes = known_at(run.read(tables.OUTCOMES), instant_of(schedule.poll, settings.zone))
    labels = labels_of(outcomes, settings.horizons, schedule.training).persist()
    with run.stage("train") as said, job.show_progress("models", number) as advance:
        models = train_models(run.read(job.snapshots), labels, expected, settings.training, advance)
        said.update({"models": len(models), **Counter(model.status for model in models)})
    labels.unpersist()
    if len(models) != number:
        raise CasError(
            what="training",
            found=f"{len(models)} models",
            expected=f"{number}, one per team, priority and horizon",
            do="This is a fault of the program: report it with this message",
        )
    failed = [model for model in models if model.status == "failed"]
    if len(failed) > settings.training.maximum_failed_share * number:
        first = failed[0]
        raise CasError(
            what="training",
            found=f"{len(failed)} of {number} models failed, the first of them "
            f"{first.priority} of team {first.team_id}, {first.horizon}: {first.reason}",
            expected=f"at most a share of {settings.training.maximum_failed_share}",
            do="Mend the cause, or raise training.maximum_failed_share",
        )
    rows = [model.to_row(expected, settings.training.engine, run.number) for model in models]
    frame = run.lake.spark.createDataFrame(rows, tables.MODELS.schema)
    run.replace(tables.MODELS, frame, where=f"poll_on = DATE '{schedule.poll}'")
