"""Former ids: a lake that held unkeyed ids, and settings with passwords, forgets them for good.

Until version 7 an id was a hash that anybody could compute for every number of a register, and
`runs` kept the password of the tracking store. A command that finds such a lake first runs
`migrate`, a run of its own:

1. What each earlier weekly run had taken in is decided as a rebuild decides it. Where its digests
   are those that the run recorded, they are replaced by those of the same facts with keyed ids.
   Then every table that holds ids is written with keyed ones.
2. One commit to `runs` publishes the run and replaces the settings and digests of all earlier ones.
3. Every file of these tables but those of the newest version is deleted.

Broken off before the second, nothing has changed; after it, the next command goes on with the
third before anything else is written.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from cas_spark.knowledge.as_taken_in import as_decided, as_delivered
from cas_spark.knowledge.retention import IDS
from cas_spark.lake import tables
from cas_spark.lake.digest import digest_of_table
from cas_spark.lake.erasing import end_with_a_commit_without_rows, forget_past
from cas_spark.lake.lake import Lake
from cas_spark.lake.lease import Lease
from cas_spark.lake.manifest import Manifest
from cas_spark.lake.opening import open_run
from cas_spark.lake.removing import COMMIT, LOG
from cas_spark.lake.run import newest_version
from cas_spark.lake.table import Table
from cas_spark.pipelines.keys import PSEUDONYM_CHECK, key_of
from cas_spark.pipelines.poll_digests import FACTS, POLL_DIGESTS
from cas_spark.platform import storage
from cas_spark.settings import Settings
from cas_spark.settings.effects import Effects
from cas_spark.settings.redaction import redacted
from cas_spark.settings.settings import sha256_of_settings
from cas_spark.sources.keyed_ids import check_of_key, with_keyed_erasures, with_keyed_ids
from cas_spark.sources.row_checks import DUPLICATE
from cas_spark.tracking.expiry import redact_settings

log = logging.getLogger(__name__)

KEYED_SINCE = 7
"""The first schema version whose ids are keyed, and whose `runs` hold no secret."""

MIGRATE = "migrate"
FORGETTING = "forgetting"
"""Name among the facts of the run `migrate`: the version of `runs` that published it."""

UNCOMPARABLE = "facts_under_former_ids"
"""Name among a manifest's facts: tables that were no longer what the run recorded when ids were
keyed, such as after a retention, so that the digest is of former ids and says nothing."""

FORMER_SETTINGS = "former_settings_sha256"
"""Name among a manifest's facts, where the settings without secrets have another sha256."""

_TABLES: Mapping[str, Table] = {
    table.name: table
    for table in tables.STATIC_TABLES
    if table.name in (*IDS, tables.ERASURES.name)
}


def with_ids_keyed(lake: Lake, settings: Settings, lease: Lease) -> Lake:
    """The lake once no former id and no secret is left in it; most often it is as it should be.

    Args:
        lake: that a command is about to write.
        settings: with the place of the key.
        lease: of the lake.

    Raises:
        CasError: there is no key, or another than that with which the lake's ids were made.
    """
    last = lake.last_manifest
    if last is None:
        return lake
    if last.schema_version < KEYED_SINCE:
        _migrate(lake, settings, lease)
        lake = Lake(lake.spark, lake.root)
        last = lake.last_manifest
    if last is not None and FORGETTING in last.facts:
        _forget(lake, last, settings)
    return lake


def _migrate(lake: Lake, settings: Settings, lease: Lease) -> None:
    log.warning(
        "the lake is brought to schema version %d: ids are keyed, and older versions of its facts "
        "are deleted",
        tables.SCHEMA_VERSION,
    )
    key = key_of(lake, settings)
    columns = {
        name: lake.read(table).columns for name, table in _TABLES.items() if lake.holds(table)
    }
    run = open_run(lake, MIGRATE, None, settings.as_json(), settings.sha256(), lease)
    with run.stage("earlier runs") as noted:
        facts = {name: run.read(table) for name, table in _TABLES.items() if name in FACTS}
        earlier = _Earlier(facts, columns, key)
        manifests = [earlier.rewritten(manifest) for manifest in lake.manifests]
        noted["runs"] = len(manifests)
    with run.stage("keyed ids") as noted:
        for name, table in _TABLES.items():
            if run.holds(table):
                # Read whole before it is written over.
                run.replace(table, keyed(run.read(table), name, key).localCheckpoint())
                end_with_a_commit_without_rows(run, table)
                noted[name] = run.read(table).count()
    run.facts[PSEUDONYM_CHECK] = check_of_key(key)
    run.facts[FORGETTING] = newest_version(lake, tables.RUNS.name) + 1
    run.publish(in_place_of_earlier=manifests)


def keyed(rows: DataFrame, table: str, key: bytes) -> DataFrame:
    """A table's rows with ids in place of former ids.

    Args:
        rows: of the table.
        table: its name.
        key: of the lake.
    """
    if table == tables.ERASURES.name:
        return with_keyed_erasures(rows, key)
    if table in (tables.REJECTED_ROWS.name, tables.REPLACED_REJECTED_ROWS.name):
        # Of other reasons `found` is a value, not an id
        rekeyed = with_keyed_ids(rows.where(rows["reason"] == DUPLICATE), IDS[table], key)
        return rekeyed.unionByName(rows.where(rows["reason"] != DUPLICATE))
    # A person's pseudonym was keyed from the first.
    return with_keyed_ids(rows, [name for name in IDS[table] if name != "suspect_key"], key)


@dataclass
class _Earlier:
    """What earlier runs recorded, without former ids and secrets.

    Attributes:
        facts: of the lake, by the names of their tables, with former ids.
        columns: of each as the lake held it before it was migrated.
        key: of the lake.
    """

    facts: Mapping[str, DataFrame]
    columns: Mapping[str, Sequence[str]]
    key: bytes

    def rewritten(self, manifest: Manifest) -> Manifest:
        """A manifest as it stands from now on."""
        before = json.loads(manifest.settings)
        settings, facts = redacted(before), dict(manifest.facts)
        sha256, digests = manifest.settings_sha256, dict(manifest.digests)
        if sha256_of_settings(settings) != sha256_of_settings(before, is_redacting=False):
            facts[FORMER_SETTINGS] = sha256
            sha256 = sha256_of_settings(settings)
        if POLL_DIGESTS in facts:  # no other run can be rebuilt
            found = self._digests(manifest, before.get("effects", {}))
            digests |= found
            unknown = [n for n in FACTS if n in self.facts and n in digests and n not in found]
            if unknown:
                facts[UNCOMPARABLE] = unknown
        return replace(
            manifest,
            settings=json.dumps(settings),
            settings_sha256=sha256,
            facts=facts,
            digests=digests,
        )

    def _digests(self, manifest: Manifest, effects: Mapping[str, Any]) -> dict[str, str]:
        """The digests under keyed ids of what a run left, where that still is what it recorded."""
        as_left = as_decided(
            self.facts, manifest.number, Effects.model_validate(effects).of_kinds()
        )
        rejected = tables.REJECTED_ROWS.name
        as_left[rejected] = as_delivered(self.facts[rejected], rejected, manifest.number)
        found = {}
        for name, rows in as_left.items():
            table = _TABLES[name]
            columns = tuple(c for c in table.columns if c.name in self.columns.get(name, ()))
            if name not in manifest.digests or not columns:
                continue
            former = replace(table, columns=columns, checks={})
            if digest_of_table(rows.select(*self.columns[name]), former) == manifest.digests[name]:
                found[name] = digest_of_table(keyed(rows, name, self.key), table)
        return found


def _forget(lake: Lake, last: Manifest, settings: Settings) -> None:
    """Delete every file of the migrated tables but those of the newest version, `runs` last."""
    published = last.facts[FORGETTING]
    if not any(version <= published for version in _versions_in_log(lake, tables.RUNS.name)):
        return
    redact_settings(settings)
    for name, table in _TABLES.items():
        if name in last.versions_out:
            forget_past(lake, table, last.versions_out[name])
    if newest_version(lake, tables.RUNS.name) == published:
        lake.spark.sql(
            f"ALTER TABLE {lake.as_sql(tables.RUNS.name)} "
            f"SET TBLPROPERTIES ('cas.past_forgotten_by_run' = '{last.number}')"
        )
    forget_past(lake, tables.RUNS, newest_version(lake, tables.RUNS.name))


def _versions_in_log(lake: Lake, name: str) -> list[int]:
    commits = map(COMMIT.fullmatch, storage.names(lake.spark, f"{lake.path(name)}/{LOG}"))
    return [int(commit[1]) for commit in commits if commit]
