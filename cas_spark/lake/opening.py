"""Opening a run: on what the last complete run left, for writing or for reading."""

import logging
from collections.abc import Mapping
from copy import deepcopy
from datetime import date

from delta.tables import DeltaTable

from cas_spark.errors import CasError
from cas_spark.lake import storage, tables
from cas_spark.lake.lake import Lake
from cas_spark.lake.lease import Lease
from cas_spark.lake.mending import remove_leftovers
from cas_spark.lake.migrations import migrated
from cas_spark.lake.run import DIGESTS_OF_SLICES, OPERATIONS, Run, newest_version

log = logging.getLogger(__name__)

UNUSUAL = "unusual_deliveries"
"""Name among a manifest's facts: what is unusual about the newest extracts of each source."""

CARRIED_ON = ("pseudonym_check", DIGESTS_OF_SLICES, OPERATIONS, UNUSUAL)
"""Facts that hold for the lake and not for a run, so that each run hands them on."""

RETAINING = "retaining"
"""Folder of the journal of what is being removed for good: see `lake.erasing`."""

TABLES_ROOT_EXCEPTIONS = ("mlflow", "maps", "plots", RETAINING)


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
        CasError: the lake is of a newer schema version.
    """
    last = lake.last_manifest
    published = dict(last.versions_out) if last else {}
    versions = _put_back(lake, published)
    if lease is not None and lease.follows_broken_run:
        remove_leftovers(lake, versions)  # before anything leaves the versions that were published
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
    """What the last complete run left, for whoever reads it as a step would; it never writes.

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
    """Undo what a broken run left behind; the versions that hold from now on."""
    versions = {}
    for name in storage.folders(lake.spark, lake.root):
        path = lake.path(name)
        if name in (tables.RUNS.name, *TABLES_ROOT_EXCEPTIONS):
            continue
        if name not in published:
            log.warning("table %s: left by a run that did not finish; removed", name)
            storage.delete(lake.spark, path)
            continue
        versions[name] = newest_version(lake, name)
        if versions[name] != published[name]:
            log.warning("table %s: changed by a run that did not finish; put back", name)
            DeltaTable.forPath(lake.spark, path).restoreToVersion(published[name])
            versions[name] = newest_version(lake, name)
    return versions
