"""The lake as its readers see it: every table at the version that the last complete run left."""

from dataclasses import dataclass
from functools import cached_property

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.table import Table


@dataclass(frozen=True)
class Lake:
    """Delta tables under one root: a local folder or any path that Hadoop can reach."""

    spark: SparkSession
    root: str

    def path(self, name: str) -> str:
        """Where a table, or another folder of the lake, lies."""
        return f"{self.root}/{name}"

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
            CasError: the lake was written by a newer version of this code.
        """
        manifest = self._newest_manifest()
        if manifest is not None and manifest.schema_version > tables.SCHEMA_VERSION:
            raise CasError(
                what=f"the lake {self.root}",
                found=f"schema version {manifest.schema_version}",
                expected=f"at most {tables.SCHEMA_VERSION}, which this code can read",
                do="Use the newer cas-spark that wrote it, or another lake",
            )
        return manifest

    def last_manifest_of(self, step: str) -> Manifest | None:
        """The manifest of the newest complete run of a step, or None where there was none."""
        return self._newest_manifest(step)

    def manifest_of(self, number: int) -> Manifest | None:
        """The manifest of a complete run, or None where there is no such run."""
        runs = self.runs
        found = None if runs is None else runs.where(runs["number"] == number).first()
        return Manifest.from_row(found) if found is not None else None

    @property
    def manifests(self) -> list[Manifest]:
        """The manifests of all complete runs, oldest first."""
        runs = self.runs
        return (
            [] if runs is None else [Manifest.from_row(r) for r in runs.orderBy("number").collect()]
        )

    @property
    def runs(self) -> DataFrame | None:
        """The rows of `runs`, of all complete runs; None for a lake without one."""
        path = self.path(tables.RUNS.name)
        if not DeltaTable.isDeltaTable(self.spark, path):
            return None
        return self.spark.read.format("delta").load(path)

    def _newest_manifest(self, step: str | None = None) -> Manifest | None:
        runs = self.runs
        if runs is None:
            return None
        if step is not None:
            runs = runs.where(runs["step"] == step)
        newest = runs.orderBy(runs["number"].desc()).first()
        return Manifest.from_row(newest) if newest is not None else None
