"""A dry run: what a weekly run would do and how much of it, without writing anything."""

import json
from collections.abc import Collection, Sequence
from datetime import date

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.layers import read_teams
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.run import Run
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.reread import check_reading, held_extracts
from cas_spark.pipelines.steps.ingest import listed_files, new_files
from cas_spark.platform.progress import silently
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings import Settings

NAMES_SHOWN = 5


def dry_run(
    spark: SparkSession,
    settings: Settings,
    poll: date | None,
    step: str,
    reread: Collection[str] = (),
) -> Report:
    """Return what the weekly run would do at a poll, as far as can be known before it begins.

    What purges among extracts that are yet to be taken in reach comes on top of it.

    Args:
        spark: the session.
        settings: of the lake.
        poll: asked for; None for the newest that the lake's extracts reach.
        step: the command; the report has the time of its last run.
        reread: names of the sources whose extracts it would read again.

    Raises:
        CasError: a file cannot be read, or the settings by which extracts were read changed; and as
            the planning of polls does.
    """
    lake = Lake(spark, settings.lake)
    last = lake.last_manifest
    run = Run(
        lake=lake,
        number=0,
        step="dry run",
        poll=poll,
        settings_json=settings.as_json(),
        settings_sha256=settings.sha256(),
        versions_in={},
        versions=dict(last.versions_out) if last else {},
        digests={},
        is_reading=True,
    )
    job = Job(run, settings, poll, silently, reread=frozenset(reread))
    there, held = listed_files(job, settings.sources), held_extracts(job)
    check_reading(job, there, held)
    new = [path.rsplit("/", 1)[-1] for _, path, _ in new_files(job, there, held)]
    rows = [["ingest", _names(new), f"{len(new)} new extracts"], ["grid", *_grid(job)]]
    rest = "snapshots, models, forecast, maps"
    if not _holds_cells(job):
        rows.append([rest, "of every kept cell", "known after the grid"])
    elif new and not _is_reached(job):
        rows.append([rest, "of the poll that the new extracts reach", "known after ingest"])
    else:
        rows += _of_polls(job)
    return Report(
        [
            ReportTable(
                f"{settings.title}: what `{step}` would do", ["step", "what", "how much"], rows
            )
        ],
        [_time(lake, step), "Nothing was written."],
    )


def _is_reached(job: Job) -> bool:
    """Return whether the polls of a run follow from the extracts that the lake holds."""
    if job.asked_poll is None:  # the newest, which is that of the newest extracts
        return False
    try:
        _ = job.schedule
    except CasError:
        return False
    return True


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN]) or "nothing new"
    return shown + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")


def _grid(job: Job) -> list[str]:
    grid = job.settings.grid
    if _holds_cells(job):
        cells = job.cells()
        kept = cells.where("is_kept").count()
        return [f"version {grid.version} is there", f"{cells.count():,} cells, {kept:,} kept"]
    teams = read_teams(job.run.lake.spark, grid.teams, grid.crs, job.operations)
    number = teams.select("team_id").distinct().count()
    return [f"version {grid.version} is made", f"{number:,} teams cut into cells"]


def _holds_cells(job: Job) -> bool:
    version = F.col("grid_version") == job.settings.grid.version
    return not job.run.read(tables.CELLS).where(version).isEmpty()


def _of_polls(job: Job) -> list[list[str]]:
    settings, polls = job.settings, job.schedule.snapshot_polls
    kept = job.cells().where("is_kept").groupBy("team_id").count().collect()
    cells = {row["team_id"]: int(row["count"]) for row in kept}
    held = set()
    if _holds_snapshots_of(job):
        found = job.run.read(tables.SNAPSHOT_SLICES).select("team_id", "poll_on").collect()
        held = {(row["team_id"], row["poll_on"]) for row in found}
    missing = [(team, poll) for team in cells for poll in polls if (team, poll) not in held]
    rows = sum(cells[team] for team, _ in missing)
    slices = len(cells) * len(polls)
    values = rows * len(job.catalogue.fast.indicators)
    models = len(cells) * len(settings.priorities) * len(settings.horizons)
    forecasts = sum(cells.values()) * len(settings.priorities) * len(settings.horizons)
    return [
        [
            "snapshots",
            f"{len(cells):,} teams, polls {polls[0]} to {polls[-1]}",
            f"{values:,} values: {rows:,} rows, {len(missing):,} of {slices:,} slices",
        ],
        ["train", f"engine {settings.training.engine}", f"{models:,} models"],
        ["forecast", f"poll {job.poll}", f"{forecasts:,} rows"],
        ["evaluate", "every forecast that has settled by then", "known after ingest"],
        ["maps", "two files for each team", f"{2 * len(cells):,} files"],
        [
            "MLflow",
            "a run for each team and priority, and the week's",
            f"{len(cells) * len(settings.priorities) + 1:,} runs",
        ],
    ]


def _holds_snapshots_of(job: Job) -> bool:
    """Whether the lake's snapshots are of the settings' grid version and indicators."""
    made = [job.run.lake.last_manifest_of(step) for step in ("weekly", "snapshots")]
    last = max((run for run in made if run), key=lambda run: run.number, default=None)
    if last is None or json.loads(last.settings)["grid"]["version"] != job.settings.grid.version:
        return False
    columns = [column.name for column in job.snapshots.columns]
    return job.run.read(job.snapshots).columns == columns


def _time(lake: Lake, step: str) -> str:
    last = lake.last_manifest_of(step)
    if last is None:
        return f"No `{step}` was complete on this lake yet, so how long it takes is not known."
    minutes = sum(last.stages.values()) / 60
    return (
        f"The stages of the last `{step}`, run {last.number} at {last.poll_on}, took {minutes:.1f} "
        "minutes till it was published; maps and MLflow came after."
    )
