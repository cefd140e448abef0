"""Retention: which facts are past their term or ordered erased, and what goes with them.

With an incident goes whatever is about it: suspects' links to it, or to a case of which nothing is
left; revisions that are linked to it or name it; and those that are linked to nothing but share its
case, or its place and time, since without it they might be taken to mean another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.knowledge.linking import LINKED
from cas_spark.knowledge.revisions import INCIDENT, SUSPECT
from cas_spark.lake import tables
from cas_spark.sources.keyed_ids import digest_of_id

ORDERED, TERM = "ordered", "term"
"""Why something is removed; where it is both, it was ordered."""

ERASED = "erased"

IDS: Mapping[str, tuple[str, ...]] = {
    tables.INCIDENTS.name: ("incident_id", "case_key"),
    tables.SUSPECTS.name: ("link_id", "suspect_key", "incident_id", "case_key"),
    tables.REVISIONS.name: ("revision_id", "named_id", "linked_id", "case_key"),
    tables.REVISION_COSTS.name: ("revision_id",),
    tables.REJECTED_ROWS.name: ("found",),
    tables.REPLACED_INCIDENTS.name: ("incident_id", "case_key"),
    tables.REPLACED_SUSPECTS.name: ("link_id", "suspect_key", "incident_id", "case_key"),
    tables.REPLACED_REVISIONS.name: ("revision_id", "named_id", "linked_id", "case_key"),
    tables.REPLACED_REJECTED_ROWS.name: ("found",),
}
"""Table -> its columns that hold keys, the id of its own facts first; no other table has any."""


@dataclass(frozen=True)
class Facts:
    """The tables that hold keys, and the extracts.

    `replaced` are rows of sources that were read again, by table; none where there are none.
    """

    incidents: DataFrame
    suspects: DataFrame
    revisions: DataFrame
    revision_costs: DataFrame
    rejected_rows: DataFrame
    datasets: DataFrame
    replaced: Mapping[str, DataFrame] = field(default_factory=dict)


def due(facts: Facts, cuts: Mapping[str, datetime]) -> dict[str, DataFrame]:
    """What is to be removed.

    Args:
        facts: of the lake.
        cuts: class -> the instant before which what became known is past its term.

    Returns:
        Table -> its rows that are to be removed, each with `why`.
    """
    linked = facts.revisions.where(F.col("status") == LINKED)
    incidents = _of_term_or_order(
        _moments(facts.incidents, "incident_id").union(_moments_of_links(facts)),
        linked.where(F.col("about") == INCIDENT),
        cuts.get("incidents"),
    )
    gone = facts.incidents.join(_named(incidents, "incident_id"), "incident_id").localCheckpoint()
    left = facts.incidents.join(incidents, F.col("incident_id") == F.col("id"), "left_anti")
    cases = gone.where("case_key IS NOT NULL").select(F.col("case_key").alias("id"), "why")
    bare = _earliest(
        cases.join(left.select(F.col("case_key").alias("id")).distinct(), "id", "left_anti")
    )

    of_case_only = facts.suspects.where("incident_id IS NULL")
    links = _earliest(
        _of_term_or_order(
            _moments(facts.suspects, "link_id"),
            linked.where(F.col("about") == SUSPECT),
            cuts.get("suspects"),
        ),
        _with(facts.suspects, "incident_id", incidents).select(F.col("link_id").alias("id"), "why"),
        _with(of_case_only, "case_key", bare).select(F.col("link_id").alias("id"), "why"),
    ).localCheckpoint()

    unlinked = facts.revisions.where(F.col("status") != LINKED)
    named = _earliest(incidents, links)
    place_and_time = ["occurred_from_at", "cell_id"]
    of_place = gone.select("source", "why", *place_and_time).distinct()
    about = [
        _with(facts.revisions, "linked_id", named),
        _with(facts.revisions, "named_id", named),
        _with(unlinked, "case_key", _earliest(cases)),
        unlinked.join(
            of_place.withColumnRenamed("source", "about_source"), ["about_source", *place_and_time]
        ),
        _older(unlinked, F.col("known_at"), cuts.get("revisions")),
    ]
    revisions = _earliest(
        *(rows.select(F.col("revision_id").alias("id"), "why") for rows in about)
    ).localCheckpoint()
    found = {
        tables.INCIDENTS.name: gone,
        tables.SUSPECTS.name: _with(facts.suspects, "link_id", links),
        tables.REVISIONS.name: _with(facts.revisions, "revision_id", revisions),
        tables.REVISION_COSTS.name: _with(facts.revision_costs, "revision_id", revisions),
        tables.REJECTED_ROWS.name: _due_rejected_rows(facts, _earliest(named, revisions), cuts),
    }
    if not facts.replaced:
        return found
    removed = _earliest(named, revisions, cases, *_earlier_ids(facts.replaced, found))
    removed = removed.localCheckpoint()
    return found | {
        name: _due_replaced(name, rows, removed, facts.datasets, cuts)
        for name, rows in facts.replaced.items()
    }


def old_extracts(datasets: DataFrame, cut: datetime | None) -> DataFrame:
    """Extracts whose last row became known before an instant: rows of `datasets`, with `why`.

    One of which no row was used counts as if it came with the newest of all.
    """
    newest = datasets.agg(F.max("known_until_at").alias("newest_at"))
    dated = datasets.crossJoin(newest)
    return _older(dated, F.coalesce("known_until_at", "newest_at"), cut).drop("newest_at")


def keys_of(rows: Mapping[str, DataFrame]) -> DataFrame:
    """The keys that rows of tables hold: `key`, 32 hexadecimal digits, each once."""
    keys = [
        rows[name].select(F.explode(F.array(*columns)).alias("id"))
        for name, columns in IDS.items()
        if name in rows
    ]
    key = F.regexp_extract("id", "(?:^|:)([0-9a-f]{32})$", 1)
    return reduce(DataFrame.union, keys).select(key.alias("key")).where("key != ''").distinct()


def ids_ordered_erased(removed: Mapping[str, DataFrame]) -> DataFrame:
    """`id_sha256` of each incident, link and revision that is removed on order."""
    of_facts = (tables.INCIDENTS, tables.SUSPECTS, tables.REVISIONS)
    ids = [
        removed[table.name].where(F.col("why") == ORDERED).select(IDS[table.name][0])
        for table in of_facts
    ]
    every = reduce(DataFrame.union, ids)
    return every.select(digest_of_id(F.col(ids[0].columns[0])).alias("id_sha256"))


def _of_term_or_order(moments: DataFrame, linked: DataFrame, cut: datetime | None) -> DataFrame:
    """`id` and `why` of the facts that are ordered erased, or past their term.

    Args:
        moments: `id` of a fact, and `at` when something about it became known.
        linked: the revisions that are linked to such facts.
        cut: past its term is what became known before; None without a term.
    """
    ordered = linked.where(F.col("kind") == ERASED).select(
        F.col("linked_id").alias("id"), F.lit(ORDERED).alias("why")
    )
    revised = linked.select(F.col("linked_id").alias("id"), F.col("effective_at").alias("at"))
    last = moments.union(revised).groupBy("id").agg(F.max("at").alias("at"))
    return _earliest(ordered, _older(last, F.col("at"), cut)).localCheckpoint()


def _moments(versions: DataFrame, key: str) -> DataFrame:
    """`id` and `at`: when versions became known, and when they ended."""
    names = ("known_at", "superseded_at", "purged_at")
    moments = [versions.select(F.col(key).alias("id"), F.col(name).alias("at")) for name in names]
    return reduce(DataFrame.union, moments)


def _moments_of_links(facts: Facts) -> DataFrame:
    """The same of the suspects' links to incidents, by the incidents' ids."""
    of_case = facts.suspects.where("incident_id IS NULL").drop("incident_id")
    by_case = facts.incidents.where("case_key IS NOT NULL").select("incident_id", "case_key")
    return _moments(facts.suspects.where("incident_id IS NOT NULL"), "incident_id").union(
        _moments(of_case.join(by_case.distinct(), "case_key"), "incident_id")
    )


def _due_rejected_rows(facts: Facts, removed: DataFrame, cuts: Mapping[str, datetime]) -> DataFrame:
    """Return rejected rows about something removed, or whose extract is past the term."""
    keys = list(tables.REJECTED_ROWS.keys)
    extracts = old_extracts(facts.datasets, cuts.get("rejected_rows"))
    of_extracts = facts.rejected_rows.join(
        extracts.select("source", F.col("sha256").alias("dataset_sha256"), "why"),
        ["source", "dataset_sha256"],
    )
    marked = _with(facts.rejected_rows, "found", removed).unionByName(of_extracts)
    why = marked.groupBy(*keys).agg(F.min("why").alias("why"))
    return facts.rejected_rows.join(why, keys)


def _earlier_ids(
    replaced: Mapping[str, DataFrame], found: Mapping[str, DataFrame]
) -> list[DataFrame]:
    """`id` and `why` of removed facts as they were called before their source was read again.

    They came from the same row of the same extract.
    """
    place = ["source", "dataset_sha256", "row_number"]
    of_facts = (tables.INCIDENTS, tables.SUSPECTS, tables.REVISIONS)
    places = reduce(DataFrame.union, [found[t.name].select(*place, "why") for t in of_facts])
    return [
        rows.join(places.distinct(), place).select(F.col(IDS[name][0]).alias("id"), "why")
        for name, rows in replaced.items()
        if name != tables.REPLACED_REJECTED_ROWS.name
    ]


def _due_replaced(
    name: str,
    rows: DataFrame,
    removed: DataFrame,
    datasets: DataFrame,
    cuts: Mapping[str, datetime],
) -> DataFrame:
    """Replaced rows about something removed, and those past the term of their class.

    Such a row may have been misread, its moment too: the end of its extract as it is read now
    bounds the term. Nothing that was learned of the fact later prolongs it.

    Args:
        name: of the table.
        rows: of the table.
        removed: `id` and `why` of facts and cases that are removed.
        datasets: the extracts as they are read now.
        cuts: class -> the instant before which what became known is past its term.
    """
    marked = [
        _with(rows, column, removed).select(*rows.columns, "why")
        for column in IDS[name]
        if column != "suspect_key"
    ]
    extracts = datasets.select(
        "source", F.col("sha256").alias("dataset_sha256"), F.col("known_until_at").alias("end_at")
    )
    at = F.col("end_at")
    if "known_at" in rows.columns:
        at = F.least("known_at", "end_at")  # null counts for nothing
    old = _older(
        rows.join(extracts, ["source", "dataset_sha256"], "left"),
        at,
        cuts.get(name.removeprefix("replaced_")),
    )
    marked.append(old.select(*rows.columns, "why"))
    keys = [c.name for t in tables.STATIC_TABLES if t.name == name for c in t.columns]
    return reduce(DataFrame.union, marked).groupBy(*keys).agg(F.min("why").alias("why"))


def _older(rows: DataFrame, moment: Column, cut: datetime | None) -> DataFrame:
    is_older = F.lit(False) if cut is None else moment < F.lit(cut)
    return rows.where(is_older).withColumn("why", F.lit(TERM))


def _earliest(*ids: DataFrame) -> DataFrame:
    """`id` and `why`, each id once."""
    every = reduce(DataFrame.union, (rows.select("id", "why") for rows in ids))
    return every.groupBy("id").agg(F.min("why").alias("why"))  # in the order of the alphabet


def _with(rows: DataFrame, column: str, ids: DataFrame) -> DataFrame:
    """The rows whose column is one of the ids, each with `why`."""
    return rows.join(_named(ids, column), column)


def _named(ids: DataFrame, column: str) -> DataFrame:
    return ids.withColumnRenamed("id", column)
