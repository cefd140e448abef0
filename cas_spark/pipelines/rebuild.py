"""Rebuild: any past week again, from the versions of facts that its run could see.

A rebuild is a lake of its own for as long as it takes, made of what the run had taken in by then,
on which the ordinary steps run. It stands on rows that the lake holds now and not on Delta's older
versions, so neither the log's retention nor a VACUUM breaks it. Tier (a): facts, snapshots and the
forecast from the recorded coefficients; the same bytes on any machine. Tier (b): the models are
fitted again; the same bytes where the fingerprint of the machine agrees.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.as_taken_in import as_delivered
from cas_spark.lake import declaring, tables
from cas_spark.lake import manifest as record
from cas_spark.lake.digest import digest_of_table
from cas_spark.lake.lake import Lake
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.migrations import REASONS_CODED_SINCE, migrated, models_before_codes
from cas_spark.lake.opening import is_of_lake, open_run
from cas_spark.lake.outputs import Outputs
from cas_spark.lake.removing import is_of_spark, remove_files
from cas_spark.lake.run import OPERATIONS, Run
from cas_spark.lake.table import Table
from cas_spark.pipelines.former_ids import UNCOMPARABLE
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.poll_digests import FACTS, POLL_DIGESTS, digests_of_poll
from cas_spark.pipelines.recorded import settings_of
from cas_spark.pipelines.steps.forecast import forecast
from cas_spark.pipelines.steps.grid import grid, review_kept_cells
from cas_spark.pipelines.steps.revise import revise
from cas_spark.pipelines.steps.snapshots import snapshots
from cas_spark.pipelines.steps.train import train
from cas_spark.platform.progress import ShowProgress
from cas_spark.publishing.maps import maps_of, write_maps
from cas_spark.settings import Settings

log = logging.getLogger(__name__)

FOLDER = "rebuild"
"""Of the lake, for as long as a rebuild takes; what a killed one leaves the next run removes."""

FORECAST = "forecast"
"""Folder of the Parquet files that a rebuild shows."""

REFIT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Refit:
    """What fitting the models again came to.

    Attributes:
        is_same_machine: whether the fingerprints agree.
        is_equal: whether the models' digests do.
        difference: largest of all coefficients and intercepts.
        statuses: models whose status is another.
        moved: rows of team, priority, horizon and cell of which one fit alone chose the cell.
    """

    is_same_machine: bool
    is_equal: bool
    difference: float
    statuses: int
    moved: list[Row]


@dataclass
class Rebuilt:
    """A past week again.

    Attributes:
        manifest: of its run.
        recorded: part -> digest that the run recorded.
        removed: what retention has since removed of what the run had taken in: rows with class,
            reason, source, extract and facts.
        found: part -> digest of what was rebuilt.
        refit: tier (b).
    """

    manifest: Manifest
    recorded: Mapping[str, str]
    removed: list[Row]
    found: dict[str, str] = field(default_factory=dict)
    refit: Refit | None = None

    @property
    def is_equal(self) -> bool:
        """Whether every part of tier (a) is what was recorded, byte for byte."""
        return all(self.found.get(part) == digest for part, digest in self.recorded.items())


def run_to_rebuild(lake: Lake, number: int) -> Manifest:
    """The manifest of a run that can be rebuilt.

    Raises:
        CasError: there is no such run, or it made no whole week.
    """
    manifest = lake.manifest_of(number)
    if manifest is None or manifest.poll_on is None or POLL_DIGESTS not in manifest.facts:
        found = "no complete run of that number"
        if manifest is not None:
            found = f"a run of step {manifest.step}, with no digests of a whole week"
        raise CasError(
            what=f"run {number} of the lake {lake.root}",
            found=found,
            expected="a weekly run of this or a later version of cas-spark",
            do="Choose one of the runs that `cas-spark tables` or the table `runs` lists",
        )
    return manifest


def rebuild(
    spark: SparkSession,
    here: Settings,
    manifest: Manifest,
    show_progress: ShowProgress,
    to: str | None = None,
) -> Rebuilt:
    """Make a run's week again, beside what it recorded.

    Args:
        spark: the session.
        here: settings of the lake as it lies now.
        manifest: of the run.
        show_progress: shows how far long work is.
        to: folder that gets the forecast (Parquet) and its maps.

    Raises:
        CasError: other files lie where the forecast or the maps are to go; and as the
            steps do.
    """
    lake = Lake(spark, here.lake)
    scratch = Lake(spark, lake.path(FOLDER))
    settings = settings_of(manifest, here).model_copy(update={"lake": scratch.root})
    shown = _outputs_of(spark, to, manifest) if to is not None else ()
    for outputs in shown:
        outputs.check()
    by = {"by": "rebuild", "run_rebuilt": manifest.number}
    declaring.declare(spark, lake.root, FOLDER, by)
    try:
        run = open_run(scratch, "rebuild", manifest.poll_on, settings.as_json(), settings.sha256())
        # Layers that are read again move as they did then, whatever PROJ would choose now.
        run.facts[OPERATIONS] = dict(manifest.facts.get(OPERATIONS, {}))
        job = Job(run, settings, manifest.poll_on, show_progress)
        rebuilt = Rebuilt(manifest, _recorded(manifest), _removed_since(lake, manifest.number))
        _bring_facts(job, lake, manifest.number)
        _bring_grid(job, lake)
        snapshots(job)
        models = _models_of(lake, manifest)
        run.replace(tables.MODELS, models, where=f"poll_on = DATE '{job.poll}'")
        forecast(job)
        at_poll = digests_of_poll(job)
        fitted = at_poll[tables.MODELS.name]
        if manifest.schema_version < REASONS_CODED_SINCE:
            at_poll[tables.MODELS.name] = digest_of_table(*models_before_codes(models))
        rebuilt.found = {**_digests_of_facts(run), **at_poll}
        if to is not None:
            _show(job, to, shown[0])
        rebuilt.refit = _refit(job, manifest, fitted)
        return rebuilt
    finally:
        remove_files(spark, scratch.root, is_of_lake)
        declaring.withdraw(spark, lake.root)


def _recorded(manifest: Manifest) -> dict[str, str]:
    left_out = manifest.facts.get(UNCOMPARABLE, [])
    facts = {
        name: manifest.digests[name]
        for name in FACTS
        if name in manifest.digests and name not in left_out
    }
    return {**facts, **manifest.facts[POLL_DIGESTS]}


def _removed_since(lake: Lake, number: int) -> list[Row]:
    """How many facts of which extract that the run had taken in are gone, and why."""
    if not lake.holds(tables.RETENTIONS):
        return []
    extracts = _as_of_run(lake, tables.DATASETS, tables.REPLACED_DATASETS, number).select(
        "source", F.col("sha256").alias("dataset_sha256"), "name"
    )
    replaced = [table.name for _, table in tables.REPLACED]
    of_facts = F.col("class").isin(*FACTS, *replaced) & (F.col("run_number") > number)
    removed = lake.read(tables.RETENTIONS).where(of_facts).join(extracts, extracts.columns[:2])
    return (
        removed.groupBy("class", "reason", "source", F.col("name").alias("extract"))
        .agg(F.sum("facts").alias("facts"))
        .orderBy("class", "reason", "source", "extract")
        .collect()
    )


def _bring_facts(job: Job, lake: Lake, number: int) -> None:
    """Bring what the run had taken in: facts as delivered, and their revisions, decided again."""
    run = job.run
    with run.stage("facts as taken in") as noted:
        for table, replaced in tables.REPLACED:
            if lake.holds(table):
                rows = _as_of_run(lake, table, replaced, number)
                run.replace(table, as_delivered(rows, table.name, number))
                noted[table.name] = run.read(table).count()
    revise(job, is_any_new=True)


def _as_of_run(lake: Lake, table: Table, replaced: Table, number: int) -> DataFrame:
    """The rows that a run had taken in, also those whose source was read again after it."""
    rows = _as_now(lake, table).where(F.col("run_number") <= number)
    if not lake.holds(replaced):
        return rows
    stood = lake.read(replaced).where(
        (F.col("run_number") <= number) & (F.col("replaced_by_run") > number)
    )
    return rows.unionByName(stood.select(*rows.columns))


def _as_now(lake: Lake, table: Table) -> DataFrame:
    """A table's rows as they are declared now, also where no run has migrated the lake yet."""
    last = lake.last_manifest
    version = last.schema_version if last is not None else tables.SCHEMA_VERSION
    rows = lake.read(table)
    migrated_rows = migrated(table.name, rows, version)
    return rows if migrated_rows is None else migrated_rows


def _bring_grid(job: Job, lake: Lake) -> None:
    """The cells of the run's grid version, judged by what it saw; from files where need be."""
    run, version = job.run, F.col("grid_version") == job.settings.grid.version
    context = lake.read(job.cell_context) if lake.holds(job.cell_context) else None
    columns = [column.name for column in job.cell_context.columns]
    if context is None or context.columns != columns or context.where(version).isEmpty():
        grid(job)
        return
    run.replace(tables.CELLS, lake.read(tables.CELLS).where(version))
    run.replace(job.cell_context, context.where(version))
    review_kept_cells(job)


def _models_of(lake: Lake, manifest: Manifest) -> DataFrame:
    """The models that the run made or found: the newest of its poll that are not newer than it."""
    of_run = (F.col("poll_on") == F.lit(manifest.poll_on)) & (
        F.col("run_number") <= manifest.number
    )
    columns = [column.name for column in tables.MODELS.columns]
    held = [
        _as_now(lake, table).where(of_run).select(*columns)
        for table in (tables.MODELS, tables.EARLIER_MODELS)
        if lake.holds(table)
    ]
    models = reduce(DataFrame.unionByName, held)
    newest = models.agg(F.max("run_number").alias("run_number"))
    return models.join(newest, "run_number", "left_semi").select(*columns)


def _digests_of_facts(run: Run) -> dict[str, str]:
    declared = {table.name: table for table in tables.STATIC_TABLES}
    return {
        name: digest_of_table(run.read(declared[name]), declared[name])
        for name in FACTS
        if run.holds(declared[name])
    }


def _outputs_of(spark: SparkSession, to: str, manifest: Manifest) -> Sequence[Outputs]:
    """What a rebuild shows: the forecast, and its maps."""

    def is_expected(path: str) -> bool:
        return path.startswith(f"{FORECAST}/") and is_of_spark(path.removeprefix(f"{FORECAST}/"))

    assert manifest.poll_on is not None  # noqa: S101 - `run_to_rebuild` has seen to it
    forecast_shown = Outputs(spark, to, (FORECAST,), is_expected)
    return forecast_shown, maps_of(Lake(spark, to), manifest.poll_on)


def _show(job: Job, to: str, outputs: Outputs) -> None:
    at_poll = job.run.read(tables.FORECASTS).where(F.col("poll_on") == F.lit(job.poll))
    outputs.begin()
    at_poll.write.parquet(f"{to}/{FORECAST}")
    outputs.end()
    folder = Lake(job.run.lake.spark, to)
    write_maps(at_poll.where("is_chosen"), job.cells(), job.settings, job.poll, folder)


def _refit(job: Job, manifest: Manifest, recorded: str) -> Refit:
    """Fit the models again, and return how the forecasts differ."""
    keys = ("team_id", "priority", "horizon")
    before = {tuple(row[k] for k in keys): row for row in job.run.read(tables.MODELS).collect()}
    chosen = job.run.read(tables.FORECASTS).where("is_chosen").select(*keys, "cell_id")
    chosen = chosen.localCheckpoint()
    train(job)
    after = {tuple(row[k] for k in keys): row for row in job.run.read(tables.MODELS).collect()}
    found = digests_of_poll(job)["models"]
    moved: list[Row] = []
    if found != recorded:
        forecast(job)
        now = job.run.read(tables.FORECASTS).where("is_chosen").select(*keys, "cell_id")
        either = chosen.exceptAll(now).unionByName(now.exceptAll(chosen))
        moved = either.orderBy(*keys, "cell_id").collect()
    return Refit(
        is_same_machine=_fingerprint(manifest.fingerprint)
        == _fingerprint(record.fingerprint_of_the_machine()),
        is_equal=found == recorded,
        difference=max((_difference(before[key], after[key]) for key in before), default=0.0),
        statuses=sum(before[key]["status"] != after[key]["status"] for key in before),
        moved=moved,
    )


def _fingerprint(text: str) -> object:
    return json.loads(text)


def _difference(one: Row, other: Row) -> float:
    """The largest difference of two models' intercepts and coefficients."""
    if one["intercept"] is None or other["intercept"] is None:
        return 0.0
    ours = {pair["indicator"]: pair["coefficient"] for pair in one["coefficients"]}
    theirs = {pair["indicator"]: pair["coefficient"] for pair in other["coefficients"]}
    differences = [abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in {*ours, *theirs}]
    return float(max([abs(one["intercept"] - other["intercept"]), *differences]))
