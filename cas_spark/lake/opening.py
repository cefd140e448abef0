"""Opening a lake: its place is checked, it is held, and what a broken run left is put back.

A run stands on what the last complete run left.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import date

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from cas_spark.errors import CasError
from cas_spark.lake import tables
from cas_spark.lake.declaring import declared, is_declaration, withdraw
from cas_spark.lake.lake import Lake, has_log
from cas_spark.lake.lease import Lease, hold
from cas_spark.lake.marker import check_place, settle
from cas_spark.lake.migrations import migrated
from cas_spark.lake.orphans import remove_leftovers
from cas_spark.lake.removing import is_of_table, listed, remove_files
from cas_spark.lake.run import DIGESTS_OF_SLICES, OPERATIONS, Run, newest_version
from cas_spark.platform import storage

log = logging.getLogger(__name__)

UNUSUAL = "unusual_deliveries"
"""Name among a manifest's facts: what is unusual about the newest extracts of each source."""

CARRIED_ON = ("pseudonym_check", DIGESTS_OF_SLICES, OPERATIONS, UNUSUAL)
"""Facts that hold for the lake and not for a run, so that each run hands them on."""


@contextmanager
def held(spark: SparkSession, root: str, step: str) -> Iterator[Lease]:
    """Hold a lake while something is written to it; an empty folder becomes a lake.

    What a broken run left behind is gone before anything else happens, whatever the command.

    Args:
        spark: the session.
        root: of the lake.
        step: what is done.

    Raises:
        CasError: the folder is no lake, another run holds the lake, or it has lost a table.
    """
    check_place(spark, root)
    with hold(spark, root, step) as lease:
        lake = Lake(spark, root)
        settle(lake)
        if lease.follows_broken_run or declared(spark, root):
            last = lake.last_manifest
            # Before anything leaves the versions that were published.
            remove_leftovers(lake, _put_back(lake, last.versions_out if last is not None else {}))
        yield lease


def open_run(
    lake: Lake,
    step: str,
    poll: date | None,
    settings_json: str,
    settings_sha256: str,
    lease: Lease | None = None,
) -> Run:
    """Start a run on what the last complete run left; what a broken run left is put back.

    Args:
        lake: to write to.
        step: what is done.
        poll: of the run, if it is known already.
        settings_json: the settings.
        settings_sha256: of the settings.
        lease: that the run holds; None where nothing else can write the lake.

    Raises:
        CasError: the lake is of a newer schema version, or has lost a table or its runs.
    """
    last = lake.last_manifest
    published = dict(last.versions_out) if last else {}
    versions = _put_back(lake, published)
    run = Run(
        lake=lake,
        number=last.number + 1 if last else 1,
        step=step,
        poll=poll,
        settings_json=settings_json,
        settings_sha256=settings_sha256,
        versions_in=published,
        versions=versions,
        digests=dict(last.digests) if last else {},
        facts={n: deepcopy(last.facts[n]) for n in CARRIED_ON if n in last.facts} if last else {},
        lease=lease,
    )
    if last is not None and last.schema_version < tables.SCHEMA_VERSION:
        _migrate(run, last.schema_version)
    return run


def _migrate(run: Run, version: int) -> None:
    """Bring the tables of an older schema version to this one; published with the run."""
    for table in tables.STATIC_TABLES:
        if table.name in run.versions and table is not tables.RUNS:
            rows = migrated(table.name, run.read(table), version)
            if rows is not None:
                log.info(
                    "table %s: brought to schema version %d", table.name, tables.SCHEMA_VERSION
                )
                # Read whole before it is written over.
                run.overwrite(table, rows.localCheckpoint())


def read_published(lake: Lake, poll: date) -> Run:
    """Return a run that reads what the last complete run left, as a step would; it never writes.

    Raises:
        CasError: no run is complete.
    """
    last = lake.last_manifest
    if last is None:
        raise CasError(
            what=f"the lake {lake.root}",
            found="no complete run",
            expected="a lake on which at least one command has run",
            do="Run `cas-spark weekly` with these settings first",
        )
    return Run(
        lake=lake,
        number=last.number,
        step="read",
        poll=poll,
        settings_json=last.settings,
        settings_sha256=last.settings_sha256,
        versions_in=last.versions_out,
        versions=dict(last.versions_out),
        digests=dict(last.digests),
        is_reading=True,
    )


def _put_back(lake: Lake, published: Mapping[str, int]) -> dict[str, int]:
    """Undo what a broken run left behind; the versions that hold from now on.

    Raises:
        CasError: the folder of a published table is gone.
    """
    folders = set(storage.folders(lake.spark, lake.root))
    for name in sorted(folders.intersection(declared(lake.spark, lake.root))):
        if name not in published and (name != tables.RUNS.name or lake.last_manifest is None):
            _remove(lake, name)
            folders.remove(name)
    withdraw(lake.spark, lake.root)
    for name in sorted(folders & tables.NAMES - {tables.RUNS.name, *published}):
        log.info("folder %s of the lake: no run declared that it makes it; left alone", name)
    return {name: _version_put_back(lake, name, version) for name, version in published.items()}


def _remove(lake: Lake, name: str) -> None:
    """Remove a folder that a broken run declared; what a person put into it stays."""
    stay = remove_files(lake.spark, lake.path(name), is_of_lake)
    log.warning("folder %s: left by a run that did not finish; removed", name)
    if stay:
        log.warning("folder %s: %s stays, it was not made by that run", name, listed(stay))


def is_of_lake(path: str) -> bool:
    """Whether a file is one that a run makes in a folder that it declares: a table, or a lake.

    Args:
        path: below the folder.
    """
    first, _, rest = path.partition("/")
    is_in_table = first in tables.NAMES and is_of_table(rest)
    return is_in_table or is_of_table(path) or is_declaration(path)


def _version_put_back(lake: Lake, name: str, published: int) -> int:
    """The newest version of a table, which holds what was published."""
    path = lake.path(name)
    if not has_log(lake.spark, path):
        raise CasError(
            what=f"table {name} of the lake {lake.root}",
            found="no folder with a log of Delta",
            expected=f"the table at version {published}, as the last complete run left it",
            do=f"Restore the folder {path} from a backup, then run the same command again",
        )
    newest = newest_version(lake, name)
    if newest == published:
        return newest
    log.warning("table %s: changed by a run that did not finish; put back", name)
    DeltaTable.forPath(lake.spark, path).restoreToVersion(published)
    return newest_version(lake, name)
