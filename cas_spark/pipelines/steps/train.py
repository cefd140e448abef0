"""Train: every expected model of the poll, from the outcomes known at the poll."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.calendar import instant_of
from cas_spark.knowledge.visibility import known_at
from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_table
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.revision_costs import note_models_retrained
from cas_spark.platform.progress import following_tasks
from cas_spark.settings.learning import Training
from cas_spark.training.models import Expected, TrainedModel, TrainingData
from cas_spark.training.outcomes import labels_of
from cas_spark.training.train import train as train_models
from cas_spark.training.unfitted import in_words


def train(job: Job) -> None:
    """Train all models of the run's poll.

    Raises:
        CasError: more models failed than the settings allow, or a model is missing.
    """
    run, expected = job.run, expected_of(job)
    models = trained(job, expected, "train")
    engine = job.settings.training.engine
    rows = [model.to_row(expected, engine, run.number) for model in models]
    _keep(job, run.lake.spark.createDataFrame(rows, tables.MODELS.schema))
    note_models_retrained(job, Counter(model.team_id for model in models))


def _keep(job: Job, models: DataFrame) -> None:
    """Put the poll's models in `models`; what others it had goes to `earlier_models`.

    Models that are as they were stay, with the number of the run that first made them: so any run's
    models are the newest that are not newer than it.
    """
    run, at_poll = job.run, F.col("poll_on") == F.lit(job.poll)
    held = run.read(tables.MODELS).where(at_poll)
    digests = [digest_of_table(frame, tables.MODELS) for frame in (held, models)]
    if digests[0] == digests[1]:
        return
    if not held.isEmpty():
        before = run.read(tables.EARLIER_MODELS).where(at_poll).agg(F.max("version")).first()
        version = 1 + ((before[0] or 0) if before is not None else 0)
        run.append(tables.EARLIER_MODELS, held.select(F.lit(version).alias("version"), "*"))
    run.replace(tables.MODELS, models, poll=job.poll)


def trained(job: Job, expected: Expected, stage: str) -> list[TrainedModel]:
    """Train what is expected on what was known at the job's poll; nothing is written.

    Args:
        job: at the poll.
        expected: what is to be trained.
        stage: name under which its time is recorded.

    Raises:
        CasError: as `check_models`.
    """
    run, settings = job.run, job.settings
    number = len(expected.teams) * len(expected.priorities) * len(expected.horizons)
    data = training_data(job)
    data.labels.persist()
    is_grouped = settings.training.engine == "grouped"
    with run.stage(stage) as noted, job.show_progress("models", number) as advance:
        # The driver gets a task's models at the end; until then tasks report progress.
        teams = len(expected.teams)
        watching = (
            following_tasks(run.lake.spark, teams, advance, number) if is_grouped else nullcontext()
        )
        with watching:
            models = train_models(data, expected, settings.training, advance)
        if is_grouped:  # whose tasks have read all of these files; Spark reads those of MLlib
            note_checked(job, data.files)
        noted.update({"models": len(models), **Counter(model.status for model in models)})
    data.labels.unpersist()
    check_models(models, expected, settings.training)
    return models


def check_models(models: Sequence[TrainedModel], expected: Expected, settings: Training) -> None:
    """Check that every expected model is there and that not too many failed.

    Raises:
        CasError: a model is missing, or more failed than the settings allow.
    """
    number = len(expected.teams) * len(expected.priorities) * len(expected.horizons)
    if len(models) != number:
        raise CasError(
            what="training",
            found=f"{len(models)} models",
            expected=f"{number}, one per team, priority and horizon",
            do="This is a fault of the program: report it with this message",
        )
    failed = [model for model in models if model.status == "failed"]
    if len(failed) > settings.maximum_failed_share * number:
        first = failed[0]
        raise CasError(
            what="training",
            found=f"{len(failed)} of {number} models failed, the first of them "
            f"{first.priority} of team {first.team_id}, {first.horizon}: {in_words(vars(first))}",
            expected=f"at most a share of {settings.maximum_failed_share}",
            do="Mend the cause, or raise training.maximum_failed_share",
        )


def expected_of(job: Job) -> Expected:
    """What is to be trained for the run's poll."""
    settings, schedule = job.settings, job.schedule
    kept = job.cells().where("is_kept").groupBy("team_id")
    teams = kept.agg(F.min("region").alias("region"), F.count("*").alias("cells"))
    rows = teams.orderBy(F.desc("cells"), "team_id").collect()
    return Expected(
        poll=schedule.poll,
        polls=schedule.training,
        teams={row["team_id"]: row["region"] for row in rows},
        rows=sum(row["cells"] for row in rows) * len(schedule.training),
        priorities=tuple(settings.priorities),
        horizons=tuple(settings.horizons),
        catalogue=job.catalogue,
        task_memory_bytes=settings.resources.task_memory_bytes,
    )


def training_data(job: Job) -> TrainingData:
    """What the models of the run's poll learn from: what was known at the poll."""
    run, settings, schedule = job.run, job.settings, job.schedule
    outcomes = known_at(job.outcomes, instant_of(schedule.poll, settings.zone))
    labels = labels_of(outcomes, settings.horizons, schedule.training)
    first, last = schedule.training[0], schedule.training[-1]
    snapshots = run.read(job.snapshots).where(F.col("poll_on").between(first, last))
    return TrainingData(
        snapshots=job.with_context(snapshots, first, last),
        files=snapshot_files(job, first, last),
        labels=labels.join(_kept_cells(job), "cell_id", "inner"),
        context=context_of_kept_cells(job, first, last),
    )


def snapshot_files(job: Job, first: date, last: date) -> SnapshotFiles:
    """Where tasks find the snapshots of their team at the polls from `first` to `last`.

    They check the bytes of the files that this run has not checked yet.
    """
    files: dict[str, set[str]] = {}
    sha256: dict[str, str] = {}
    slices = job.run.read(tables.SNAPSHOT_SLICES).where(F.col("poll_on").between(first, last))
    if "file_sha256" not in slices.columns:  # a reader of a lake that no run has migrated yet
        slices = slices.withColumn("file_sha256", F.lit(None).cast("string"))
    for row in slices.select("team_id", "file", "file_sha256").distinct().collect():
        files.setdefault(row["team_id"], set()).add(row["file"])
        if row["file_sha256"] is not None and row["file"] not in job.run.checked_files:
            sha256[row["file"]] = row["file_sha256"]
    return SnapshotFiles(
        root=job.run.lake.root,
        table=job.snapshots.name,
        of_team={team: tuple(sorted(names)) for team, names in files.items()},
        access=job.settings.resources.storage_access,
        sha256=sha256,
    )


def note_checked(job: Job, files: SnapshotFiles) -> None:
    """Note that tasks have read these files, so that the run's later ones need not check them."""
    job.run.checked_files.update(files.sha256)


def context_of_kept_cells(job: Job, first: date, last: date) -> DataFrame:
    """team_id, valid_from_on, cell_id and the slow indicators of every kept cell.

    As polls from `first` to `last` see them: see `Job.context`.
    """
    return _kept_cells(job).join(job.context(first, last), "cell_id", "inner")


def _kept_cells(job: Job) -> DataFrame:
    """cell_id and team_id; a frame of its own each time, since a cogroup needs two of them."""
    return job.cells().where("is_kept").select("cell_id", "team_id")
