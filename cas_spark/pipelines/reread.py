"""Extracts are taken in by the settings of their source; where those change, all are read again.

A lake whose rows were read by different settings would mislead in silence, so a run refuses it.
`--reread SOURCE` moves the rows of the source's extracts to tables that no step reads, and takes
the same files in as if they were new: what follows is what a lake would hold that had never read
them otherwise. An earlier run is rebuilt from the rows that were moved.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache

from pydantic import ValidationError
from pyspark.sql import Row
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.knowledge.retention import ORDERED
from cas_spark.lake import tables
from cas_spark.pipelines.job import Job
from cas_spark.settings import Settings
from cas_spark.settings.extract_digest import (
    delivered_on,
    differences_of_reading,
    digest_of_reading,
    settings_of_ids,
    settings_of_reading,
)
from cas_spark.settings.extracts import Extracts

File = tuple[Extracts, str, str]
"""A source, and the path and sha256 of one of its extracts."""

SHOWN = 5


def held_extracts(job: Job) -> dict[str, list[Row]]:
    """Source -> the extracts that the lake holds of it."""
    datasets = job.run.read(tables.DATASETS)
    unknown = {  # a lake of an older schema version that is only looked at
        name: F.lit(None).cast(kind)
        for name, kind in (("source_sha256", "string"), ("delivered_on", "date"))
        if name not in datasets.columns
    }
    columns = ("source", "sha256", "name", "run_number", "source_sha256", "delivered_on")
    held: dict[str, list[Row]] = defaultdict(list)
    for row in datasets.withColumns(unknown).select(*columns).orderBy("source", "name").collect():
        held[row["source"]].append(row)
    return held


def check_reading(job: Job, there: Iterable[File], held: dict[str, list[Row]]) -> None:
    """Check that every extract which the lake holds was read by the settings of now.

    Args:
        job: at work; the sources that it is to read again are left out.
        there: all extracts that the settings name.
        held: as `held_extracts` returns it.

    Raises:
        CasError: settings of a source changed, or an extract that is to be read again is gone.
    """
    names = [source.name for source in job.settings.sources]
    unknown = sorted(job.reread - set(names))
    if unknown:
        raise CasError(
            what=f"--reread {', '.join(unknown)}",
            found="no such source",
            expected=f"one of {', '.join(names)}",
            do="Give the name that it has in the settings",
        )
    listed = {(source.name, sha256) for source, _, sha256 in there}
    changed = {}
    for source in job.settings.sources:
        if source.name in job.reread:
            _check_all_there(source, held[source.name], listed)
            continue
        differences = _differences(job, source, held[source.name], listed)
        if differences:
            changed[source.name] = differences
    if changed:
        options = " ".join(f"--reread {name}" for name in changed)
        listed_differences = [
            f"{name}: {difference}"
            for name, differences in changed.items()
            for difference in differences[:SHOWN]
        ]
        raise CasError(
            what=f"extracts of {', '.join(changed)} that the lake holds",
            found="other settings than those by which they were read: "
            + "; ".join(listed_differences),
            expected="the settings by which all rows of a source were read",
            do=f"Add `{options}` to `cas-spark ingest` or `cas-spark weekly`: their extracts are "
            "read again, and the new rows stand in place of the old for every poll. Or put the "
            "settings back; nothing was written",
        )


def set_aside(job: Job, held: dict[str, list[Row]]) -> None:
    """Move the rows of the sources that are to be read again out of the tables of facts.

    Raises:
        CasError: rows that were erased on order would come back under another id.
    """
    names = sorted(name for name in job.reread if held[name])
    if not names:
        return
    run = job.run
    _check_erasures_hold(job, names, held)
    with run.stage("set aside") as noted:
        newest = run.read(tables.REPLACED_DATASETS).agg(F.max("replacement")).first()
        replacement = 1 + ((newest[0] or 0) if newest is not None else 0)
        where = f"source IN ({', '.join(repr(name) for name in names)})"
        for table, replaced in tables.REPLACED:
            if not run.holds(table):
                continue
            rows = run.read(table).where(where)
            if table is tables.INCIDENTS:  # its later versions follow from revisions
                rows = rows.where("version = 1")
            moved = rows.select(
                F.lit(replacement).alias("replacement"),
                "*",
                F.lit(run.number).cast("long").alias("replaced_by_run"),
            )
            run.append(replaced, moved)
            run.replace(table, run.read(table).limit(0), where=where)
        noted["sources"] = ", ".join(names)
        noted["extracts"] = sum(len(held[name]) for name in names)


def _check_all_there(source: Extracts, held: Sequence[Row], listed: set[tuple[str, str]]) -> None:
    gone = [row["name"] for row in held if (source.name, row["sha256"]) not in listed]
    if gone:
        raise CasError(
            what=f"--reread {source.name}",
            found=f"{len(gone)} extracts that were taken in and are no longer there, such as "
            f"{', '.join(gone[:SHOWN])}",
            expected=f"every extract of {source.kind}.{source.name} at {source.files}, unchanged",
            do="Put them back. Where they were removed for good, put the settings back, and give "
            "extracts that are to be read by others a source of their own; nothing was written",
        )


def _differences(
    job: Job, source: Extracts, held: Sequence[Row], listed: set[tuple[str, str]]
) -> list[str]:
    """What is otherwise than when the extracts of a source were read, as text."""
    now = settings_of_reading(job.settings, source.name)
    if now is None or not held:
        return []
    digest = digest_of_reading(now)
    unsure = [row["run_number"] for row in held if row["source_sha256"] != digest]
    recorded = _settings_of_runs(job, unsure)
    for row in held:
        before = recorded.get(row["run_number"])
        former = settings_of_reading(before, source.name) if before is not None else None
        was = row["source_sha256"] or (digest_of_reading(former) if former is not None else None)
        if was is not None and was != digest:
            if former is None:
                return [f"those of run {row['run_number']}, which this code cannot compare"]
            return differences_of_reading(former, now) or ["which ones is not recorded"]
        day = delivered_on(source, row["name"])
        if (
            row["source_sha256"] is not None
            and (source.name, row["sha256"]) in listed
            and day != row["delivered_on"]
        ):
            return [
                f"delivered says {_day(day)} of {row['name']}, said {_day(row['delivered_on'])}"
            ]
    return []


def _settings_of_runs(job: Job, numbers: Iterable[int]) -> dict[int, Settings | None]:
    """The settings of complete runs by number; None where this code can no longer read them."""
    runs, wanted = job.run.lake.runs, sorted(set(numbers))
    if runs is None or not wanted:
        return {}
    read = cache(_settings_of)  # most runs have the same
    rows = runs.where(F.col("number").isin(wanted)).select("number", "settings").collect()
    return {row["number"]: read(row["settings"]) for row in rows}


def _settings_of(text: str) -> Settings | None:
    try:
        return Settings.model_validate_json(text)
    except ValidationError:
        return None


def _check_erasures_hold(job: Job, names: Sequence[str], held: dict[str, list[Row]]) -> None:
    """Check that what was erased on order is known again: by its id.

    Raises:
        CasError: the settings of now can give the same row another id.
    """
    if not job.run.holds(tables.RETENTIONS):
        return
    removed = job.run.read(tables.RETENTIONS).where(F.col("reason") == ORDERED)
    erased = {row["source"] for row in removed.select("source").distinct().collect()}
    for name in sorted(erased & set(names)):
        now = settings_of_ids(job.settings, name)
        recorded = _settings_of_runs(job, [row["run_number"] for row in held[name]])
        for row in held[name]:
            before = recorded.get(row["run_number"])
            recorded_ids = settings_of_ids(before, name) if before is not None else None
            if recorded_ids != now:
                raise CasError(
                    what=f"--reread {name}",
                    found="facts of it that were erased on order, and settings that may give the "
                    "same rows other ids: "
                    + "; ".join(differences_of_reading(recorded_ids or {}, now or {})[:SHOWN]),
                    expected="the ids by which erased rows are known again",
                    do="Put these settings back; or have the extracts delivered without these rows "
                    "and take them in as a source of another name. Nothing was written",
                )


def _day(day: object) -> str:
    return "no day" if day is None else str(day)
