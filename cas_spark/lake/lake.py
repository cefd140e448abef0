"""The lake as its readers see it: every table at the version that the last complete run left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.declaring import declared
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.removing import COMMIT, LOG
from cas_spark.lake.table import Table
from cas_spark.platform import storage

OF_RUNS = {"number", "schema_version", "step", "settings", "versions_out", "digests"}
"""Columns by which the table of complete runs is known, in every version of this program."""


@dataclass(frozen=True)
class Lake:
    """Delta tables under one root: a local folder or any path that Hadoop can reach."""

    spark: SparkSession
    root: str

    def path(self, name: str) -> str:
        """Where a table, or another folder of the lake, lies."""
        return f"{self.root}/{name}"

    def as_sql(self, name: str) -> str:
        """A table as SQL names it by its path."""
        path = self.path(name).replace("`", "``")
        return f"delta.`{path}`"

    def holds(self, table: Table) -> bool:
        """Whether a complete run has left this table behind."""
        last = self.last_manifest
        return last is not None and table.name in last.versions_out

    def read(self, table: Table) -> DataFrame:
        """The table as the last complete run left it.

        Raises:
            CasError: no complete run has written it.
        """
        last = self.last_manifest
        if last is None or table.name not in last.versions_out:
            raise CasError(
                what=f"table {table.name} of the lake {self.root}",
                found="no complete run that wrote it",
                expected="a lake in which at least the step that writes it has run",
                do="Run `cas-spark weekly` with these settings first",
            )
        return self.read_version(table.name, last.versions_out[table.name])

    def read_version(self, name: str, version: int) -> DataFrame:
        """A table at one of its versions."""
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        return reader.load(self.path(name))

    @cached_property
    def last_manifest(self) -> Manifest | None:
        """The manifest of the last complete run, or None for a lake without one.

        Raises:
            CasError: the lake was written by a newer version of this code, or its runs are lost.
        """
        manifest = self.newest_manifest()
        if manifest is None:
            self._check_that_nothing_was_published()
        elif manifest.schema_version > tables.SCHEMA_VERSION:
            raise CasError(
                what=f"the lake {self.root}",
                found=f"schema version {manifest.schema_version}",
                expected=f"at most {tables.SCHEMA_VERSION}, which this code can read",
                do="Use the newer cas-spark that wrote it, or another lake",
            )
        return manifest

    def last_manifest_of(self, step: str) -> Manifest | None:
        """The manifest of the newest complete run of a step, or None where there was none."""
        return self.newest_manifest(step)

    def manifest_of(self, number: int) -> Manifest | None:
        """The manifest of a complete run, or None where there is no such run."""
        runs = self.runs
        with self.reading_runs():
            found = None if runs is None else runs.where(runs["number"] == number).first()
        return Manifest.from_row(found) if found is not None else None

    @property
    def manifests(self) -> list[Manifest]:
        """The manifests of all complete runs, oldest first."""
        runs = self.runs
        with self.reading_runs():
            rows = [] if runs is None else runs.orderBy("number").collect()
        return [Manifest.from_row(row) for row in rows]

    @property
    def runs(self) -> DataFrame | None:
        """The rows of `runs`, of all complete runs; None for a lake without one.

        Raises:
            CasError: a run was published, and the table cannot be read.
        """
        path = self.path(tables.RUNS.name)
        if not has_log(self.spark, path):
            self._check_that_nothing_was_published()
            return None
        with self.reading_runs():
            rows = self.spark.read.format("delta").load(path)
        if not reads_as_runs(rows):
            raise self._lost_runs(f"a table with the columns {', '.join(rows.columns)}")
        return rows

    def newest_manifest(self, step: str | None = None) -> Manifest | None:
        """The manifest of the newest complete run, of a step if one is named."""
        runs = self.runs
        if runs is None:
            return None
        if step is not None:
            runs = runs.where(runs["step"] == step)
        with self.reading_runs():
            newest = runs.orderBy(runs["number"].desc()).first()
        return Manifest.from_row(newest) if newest is not None else None

    @contextmanager
    def reading_runs(self) -> Iterator[None]:
        """Turn what goes wrong while `runs` is read into an error that names it.

        Raises:
            CasError: its log or a file of it is missing or broken.
        """
        try:
            yield
        except (Py4JJavaError, PySparkException) as error:
            raise self._lost_runs(str(error).strip().splitlines()[0]) from error

    def _check_that_nothing_was_published(self) -> None:
        """See to it that a lake without a manifest never had one.

        A table that a run makes is declared until the run is published, so one that is not
        declared was published.

        Raises:
            CasError: a run was published here.
        """
        unpublished = declared(self.spark, self.root)
        if tables.RUNS.name in unpublished:
            return
        there = set(storage.folders(self.spark, self.root)) - set(unpublished)
        if tables.RUNS.name in there:
            raise self._lost_runs("a folder without a log of Delta, or without a row")
        published = [
            name for name in sorted(there & tables.NAMES) if has_log(self.spark, self.path(name))
        ]
        if published:
            raise self._lost_runs(f"none, beside the published tables {', '.join(published)}")

    def _lost_runs(self, found: str) -> CasError:
        return CasError(
            what=f"the table {tables.RUNS.name} of the lake {self.root}",
            found=found,
            expected="the table of complete runs, by which every other table is read",
            do="Restore its folder from a backup. Nothing was changed; to begin a new lake, name "
            "an empty folder in the setting `lake`",
        )


def has_log(spark: SparkSession, path: str) -> bool:
    """Whether a folder has the log of a Delta table, with at least one version."""
    return any(map(COMMIT.fullmatch, storage.names(spark, f"{path}/{LOG}")))


def reads_as_runs(rows: DataFrame) -> bool:
    """Whether rows have the columns of `runs`."""
    return set(rows.columns) >= OF_RUNS
