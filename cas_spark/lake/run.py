"""A run: the only writer of the lake. It publishes by committing its manifest last.

Until then readers keep to the last complete run, and a run that starts after a crash begins by
putting every table back to what the last manifest names.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, DataFrameWriter
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake import declaring, tables
from cas_spark.lake import manifest as record
from cas_spark.lake.digest import digest_of_parts, digest_of_table, schema_text
from cas_spark.lake.lake import Lake
from cas_spark.lake.lease import Lease
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.removing import COMMIT, LOG
from cas_spark.lake.table import Table
from cas_spark.platform import storage

log = logging.getLogger(__name__)

DIGESTS_OF_SLICES = "digests_of_slices"
OPERATIONS = "operations"
"""Names among a manifest's facts."""


@dataclass
class Run:
    """What one command does to the lake.

    `facts` collects what the steps found and a reader may want to know, such as the measured
    settling delay. `versions` and `digests` say what the lake holds by now; `checked_files` which
    files of `snapshots` tasks have compared with their recorded checksums.
    """

    lake: Lake
    number: int
    step: str
    poll: date | None
    settings_json: str
    settings_sha256: str
    versions_in: Mapping[str, int]
    versions: dict[str, int]
    digests: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    is_reading: bool = False
    lease: Lease | None = None
    checked_files: set[str] = field(default_factory=set)
    _changed: dict[str, Table] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a stage, name it in Spark's job list, and log one line with what it yields.

        An error that leaves it bears a note that names the stage.

        Raises:
            CasError: the run has lost its lease.
        """
        if self.lease is not None:
            self.lease.check()
        context = self.lake.spark.sparkContext
        context.setJobDescription(f"{self.step}: {name}")
        for form in ("short", "long"):  # else Spark searches the stack for it at every operation
            context.setLocalProperty(f"callSite.{form}", f"{self.step}: {name}")
        start = time.monotonic()
        noted: dict[str, Any] = {}
        try:
            yield noted
        except Exception as error:
            error.add_note(f"in the stage: {name}")
            raise
        seconds = time.monotonic() - start
        self.stages[name] = round(self.stages.get(name, 0.0) + seconds, 3)
        figures = ", ".join(
            f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}"
            for key, value in noted.items()
        )
        log.info("%-28s %6.1f s  %s", name, seconds, figures)

    def holds(self, table: Table) -> bool:
        """Whether the table is there by now."""
        return table.name in self.versions

    def read(self, table: Table) -> DataFrame:
        """The table as this run has left it so far; an empty frame where it is not there yet."""
        spark = self.lake.spark
        if table.name not in self.versions:
            return spark.createDataFrame([], table.schema)
        if self.is_reading:
            return self.lake.read_version(table.name, self.versions[table.name])
        return spark.read.format("delta").load(self.lake.path(table.name))

    def replace(
        self,
        table: Table,
        frame: DataFrame,
        where: str | None = None,
        *,
        poll: date | None = None,
    ) -> None:
        """Put `frame` in place of a poll's rows, of those that `where` selects, or of all.

        The whole table may have been declared with other columns before.

        Raises:
            CasError: columns or rows are not as declared.
        """
        writer = _declared(table, frame).write.format("delta").mode("overwrite")
        if poll is not None:
            where = f"poll_on = DATE '{poll}'"
        if where is None and self.holds(table):
            self.prepare_files(table)
        self._save(table, writer if where is None else writer.option("replaceWhere", where), poll)

    def append(self, table: Table, frame: DataFrame) -> None:
        """Add rows whose keys the table does not hold yet; `publish` finds any it does.

        Raises:
            CasError: columns or rows are not as declared.
        """
        self._save(table, _declared(table, frame).write.format("delta").mode("append"))

    def merge(self, table: Table, rows: DataFrame, removed: DataFrame | None = None) -> None:
        """Put rows in place of those with their keys, or beside the others; nothing where alike.

        Args:
            table: the table.
            rows: of the table, each key once.
            removed: keys of rows to take away, none of them among `rows`.

        Raises:
            CasError: columns or rows are not as declared.
        """
        keys, held = list(table.keys), self.read(table)
        wanted = _declared(table, rows)
        # Columns that no digest covers distinguish rows as well: exceptAll looks at all columns.
        changed = wanted.exceptAll(
            held.join(wanted.select(*keys), keys, "left_semi").select(*wanted.columns)
        )
        source = changed.withColumn("is_removed", F.lit(False))
        if removed is not None:
            gone = removed.select(*keys).withColumn("is_removed", F.lit(True))
            source = source.unionByName(gone, allowMissingColumns=True)
        source = source.localCheckpoint()
        if source.isEmpty():
            return
        if not self.holds(table):
            self.append(table, source.drop("is_removed"))
            return
        path = self.lake.path(table.name)
        values: dict[str, str | Column] = {c.name: f"new.{c.name}" for c in table.columns}
        is_same = " AND ".join(f"held.{key} = new.{key}" for key in keys)
        (
            DeltaTable.forPath(self.lake.spark, path)
            .alias("held")
            .merge(source.alias("new"), is_same)
            .whenMatchedDelete("new.is_removed")
            .whenMatchedUpdate(set=values)
            .whenNotMatchedInsert(values=values)
            .execute()
        )
        self.note_change(table)

    def _save(self, table: Table, writer: DataFrameWriter, poll: date | None = None) -> None:
        self._create(table)
        try:
            writer.save(self.lake.path(table.name))
        except Py4JJavaError as error:
            if "DeltaInvariantViolationException" not in str(error.java_exception):
                raise
            raise CasError(
                what=f"rows for table {table.name}",
                found=str(error.java_exception.getMessage()),
                expected="values as declared in cas_spark/lake/tables",
                do="This is a fault of the program: report it with this message",
            ) from error
        self.note_change(table, poll=poll)

    def prepare_files(self, table: Table) -> bool:
        """Make sure that a table whose columns may change is there, with those declared.

        Returns:
            Whether it holds what it held; with other columns than before it starts empty.
        """
        is_there = self.holds(table)
        self._create(table)
        if is_there:
            if self.read(table).columns == [column.name for column in table.columns]:
                return True
            self.overwrite(table, self.lake.spark.createDataFrame([], table.schema))
        self.note_change(table)
        return False

    def overwrite(self, table: Table, frame: DataFrame) -> None:
        """Put `frame` in place of the whole table, whose columns were declared otherwise.

        Delta forgets the partitions with the columns unless they are given again.
        """
        writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        path, named = self.lake.path(table.name), self.lake.as_sql(table.name)
        [held] = DeltaTable.forPath(self.lake.spark, path).detail().collect()
        prefix = "delta.constraints."
        checks = {
            name.removeprefix(prefix): condition
            for name, condition in held["properties"].items()
            if name.startswith(prefix)
        }
        # Older checks may speak of columns that are no more, newer ones of columns yet to come.
        for name in checks:
            self.lake.spark.sql(f"ALTER TABLE {named} DROP CONSTRAINT {name}")
        writer.partitionBy(*table.partitioned_by).save(path)
        for name, condition in table.checks.items():
            self.lake.spark.sql(f"ALTER TABLE {named} ADD CONSTRAINT {name} CHECK ({condition})")
        self.note_change(table)

    def note_change(
        self, table: Table, digest: str | None = None, *, poll: date | None = None
    ) -> None:
        """Take up that a table was written: its new version, and its digest unless given.

        Args:
            table: that was written.
            digest: of it, where the writer knows it.
            poll: the only one of which rows changed, if so.
        """
        self.versions[table.name] = newest_version(self.lake, table.name)
        of_slices = self._digests_of_slices.get(table.name, {})
        if poll is None:
            of_slices.clear()
        else:
            of_slices.pop(str(poll), None)
        if digest is None:
            self._changed[table.name] = table
        else:
            self._changed.pop(table.name, None)
            self.digests[table.name] = digest

    @property
    def _digests_of_slices(self) -> dict[str, dict[str, str]]:
        """Table -> slice -> digest: handed on from run to run, so that old slices are not read."""
        of_tables: dict[str, dict[str, str]] = self.facts.setdefault(DIGESTS_OF_SLICES, {})
        return of_tables

    def digest_of_slice(self, table: Table, value: date | str) -> str:
        """The digest of the rows with a value of `sliced_by`; worked out once until they change."""
        of_slices = self._digests_of_slices.setdefault(table.name, {})
        if str(value) not in of_slices:
            rows = self.read(table).where(F.col(str(table.sliced_by)) == F.lit(value))
            of_slices[str(value)] = digest_of_table(rows, table)
        return of_slices[str(value)]

    def digest_of(self, table: Table) -> str:
        """A table's digest: of one that is sliced, that of its slices' digests."""
        if table.sliced_by is None:
            return digest_of_table(self.read(table), table)
        values = [row[0] for row in self.read(table).select(table.sliced_by).distinct().collect()]
        parts = [(str(value), self.digest_of_slice(table, value)) for value in values]
        return digest_of_parts(schema_text(table), parts)

    def _create(self, table: Table) -> None:
        if self.is_reading:
            raise CasError(
                what=f"table {table.name}",
                found="a reader that would write it",
                expected="a command that opens a run",
                do="This is a fault of the program: report it with this message",
            )
        if table.name in self.versions:
            return
        self.declare(table.name)
        builder = (
            DeltaTable.createIfNotExists(self.lake.spark)
            .location(self.lake.path(table.name))
            .comment(f"One row is {table.grain}.")
            .addColumns(table.schema)
        )
        for name, condition in table.checks.items():
            builder = builder.property(f"delta.constraints.{name}", condition)
        if table.partitioned_by:
            builder = builder.partitionedBy(*table.partitioned_by)
        builder.execute()

    def declare(self, name: str) -> None:
        """Write down that the run makes a folder of the lake's root, before it does.

        Raises:
            CasError: files that cas-spark did not write lie there.
        """
        by = {"by": self.step, "run": self.number}
        declaring.declare(self.lake.spark, self.lake.root, name, by)

    def publish(self, in_place_of_earlier: Sequence[Manifest] | None = None) -> Manifest:
        """Compute the digests of what changed and commit the manifest: the run is complete.

        Args:
            in_place_of_earlier: of all earlier runs, as they stand from now on; None to leave them.

        Raises:
            CasError: a table holds two rows of the same key, or the lease was lost.
        """
        with self.stage("digests") as noted:
            for name, table in self._changed.items():
                self.digests[name] = self.digest_of(table)
            noted["tables"] = len(self._changed)
        complete = Manifest(
            number=self.number,
            schema_version=tables.SCHEMA_VERSION,
            step=self.step,
            poll_on=self.poll,
            settings=self.settings_json,
            settings_sha256=self.settings_sha256,
            commit=record.commit_of_the_code(),
            lock_sha256=record.sha256_of_the_lock(),
            fingerprint=record.fingerprint_of_the_machine(),
            versions_in=self.versions_in,
            versions_out=self.versions,
            digests=self.digests,
            facts=self.facts,
            stages=self.stages,
            finished_at=datetime.now(tz=UTC),  # the one clock: when it was published
        )
        rows = [manifest.to_row() for manifest in (*(in_place_of_earlier or ()), complete)]
        frame = self.lake.spark.createDataFrame(rows, tables.RUNS.schema).coalesce(1)
        mode = "append" if in_place_of_earlier is None else "overwrite"
        if self.number == 1:
            self._create(tables.RUNS)
        if self.lease is not None:
            self.lease.check()
        frame.write.format("delta").mode(mode).save(self.lake.path(tables.RUNS.name))
        declaring.withdraw(self.lake.spark, self.lake.root)
        return complete


def newest_version(lake: Lake, name: str) -> int:
    """The newest version of a table, published or not: the number of the last commit in its log."""
    commits = map(COMMIT.fullmatch, storage.names(lake.spark, f"{lake.path(name)}/{LOG}"))
    return max(int(commit[1]) for commit in commits if commit)


def _declared(table: Table, frame: DataFrame) -> DataFrame:
    """The frame's columns in the declared order.

    Raises:
        CasError: lists every column that is missing, too many or of another type.
    """
    declared = {c.name: c.type.simpleString() for c in table.columns}
    found = dict(frame.dtypes)
    problems = [
        *(f"{name} {kind} is missing" for name, kind in declared.items() if name not in found),
        *(f"{name} is not declared" for name in found if name not in declared),
        *(
            f"{name} is {found[name]}, declared {kind}"
            for name, kind in declared.items()
            if name in found and found[name] != kind
        ),
    ]
    if problems:
        raise CasError(
            what=f"rows for table {table.name}",
            found="; ".join(problems),
            expected="the columns declared in cas_spark/lake/tables",
            do="This is a fault of the program: report it with this message",
        )
    return frame.select(*declared)
