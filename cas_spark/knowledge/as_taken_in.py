"""Facts as a run had taken them in: what was delivered by then, decided by that alone."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.knowledge.revisions import DECIDED, decided, ended, revised
from cas_spark.lake import tables


def as_delivered(rows: DataFrame, table: str, number: int) -> DataFrame:
    """The rows of a table that a run had taken in, before any revision was applied or decided.

    Args:
        rows: of the table.
        table: its name.
        number: of the run.
    """
    nothing, kinds = F.lit(None), dict(rows.dtypes)
    taken_in = rows.where(F.col("run_number") <= number)
    if table == tables.REVISIONS.name:
        undecided = {name: nothing.cast(kinds[name]) for name in DECIDED}
        return taken_in.withColumns(undecided | {"status": F.lit("pending")})
    if table == tables.INCIDENTS.name:
        taken_in = taken_in.where("version = 1")
    if table in (tables.INCIDENTS.name, tables.SUSPECTS.name):
        standing = ("superseded_at", "purged_at")
        return taken_in.withColumns({name: nothing.cast(kinds[name]) for name in standing})
    return taken_in


def as_decided(
    facts: Mapping[str, DataFrame], number: int, effects: Mapping[str, str]
) -> dict[str, DataFrame]:
    """Incidents, suspects' links and revisions as a run left them.

    Args:
        facts: rows of the three tables, by their names, whatever became of them since.
        number: of the run.
        effects: kind of revision -> purge or from_known, in the settings of the run.
    """
    names = (tables.INCIDENTS.name, tables.SUSPECTS.name, tables.REVISIONS.name)
    incidents, suspects, revisions = (as_delivered(facts[name], name, number) for name in names)
    revisions = decided(revisions, incidents, suspects, effects, number).localCheckpoint()
    versions = revised(incidents, revisions).localCheckpoint()
    others = incidents.join(versions.select("incident_id").distinct(), "incident_id", "left_anti")
    found = (others.unionByName(versions), ended(suspects, revisions), revisions)
    return dict(zip(names, found, strict=True))
