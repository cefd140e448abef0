"""What can be wrong with a row, in the order in which it is looked for.

A row is rejected with the first check that it fails. What the row *is* comes first (is it whole, is
it wanted, is it of a priority), then *when*, then *where*, and last whether it was *there before*:
so the rows that fail at a place are otherwise fine, which distinguishes a wrong CRS from bad rows,
and the first of several equal rows that is fine is the one that counts.

| reason | the row |
| --- | --- |
| `malformed` | has another number of fields than the header |
| of an `exclude` | is one that the settings do not want; the reason is theirs |
| `unknown_code` | has a code that the settings do not name, or none |
| `other_code` | has a known code of no priority |
| `known_unreadable` | does not show when it became known |
| `occurred_unreadable` | does not show when it happened |
| `occurred_too_early` | happened before `occurred.earliest` |
| `interval_backwards` | ended before it began |
| `occurred_after_known` | was known before it had happened |
| `key_missing` | has none of the values of the key |
| `coordinates_missing` | has no coordinates, or ones that mean: unknown |
| `excluded_point` | lies at a place that the settings exclude |
| `outside_teams` | lies in no land cell |
| `known_after_delivery` | became known after its extract was delivered: see `delivered` |
| `duplicate` | bears a key, or without keys a content, that was there before |

A correction is kept wherever it happened and whatever its code, since it is about another row:
only `malformed`, an `exclude`, `known_unreadable`, `known_after_delivery` and `duplicate` reject
it.

The functions look at the columns of `values.interpret` and `cell_id`, and return a check: a reason,
a column that says whether the row fails (null counts as no), and a column with the value that does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

from cas_spark.settings.extracts import Extracts, IncidentExtracts

OUTSIDE_TEAMS = "outside_teams"
DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Check:
    """A reason to reject a row, whether it applies (boolean), and the value found (text)."""

    reason: str
    fails: Column
    found: Column


def checks_of_every_row(source: Extracts) -> list[Check]:
    """The checks of rows of any kind, in order."""
    return [
        malformed(),
        *(excluded(place, exclusion.reason) for place, exclusion in enumerate(source.exclude)),
    ]


def checks_of_corrections() -> list[Check]:
    """What a correction must satisfy besides, in order."""
    return [known_unreadable()]


def checks_of_incidents(source: IncidentExtracts, zone: str) -> list[Check]:
    """What an incident must satisfy besides, in order; `duplicate` comes after all of these."""
    # Where nothing says when a row became known, it follows from when it happened.
    of_known = [known_unreadable()] if source.known.columns else []
    return [
        unknown_code(),
        other_code(),
        *of_known,
        occurred_unreadable(),
        occurred_too_early(source.occurred.earliest, zone),
        interval_backwards(),
        occurred_after_known(),
        key_missing(),
        coordinates_missing(),
        excluded_point(source.exclude_points),
        outside_teams(),
    ]


def first_failed(checks: Sequence[Check]) -> Column:
    """The first check that a row fails: a struct of `reason` and `found`; null without one."""
    return F.coalesce(
        *(
            F.when(
                check.fails,
                F.struct(F.lit(check.reason).alias("reason"), check.found.alias("found")),
            )
            for check in checks
        )
    )


def malformed() -> Check:
    """The record could not be split into the header's fields."""
    return Check("malformed", F.col("malformed").isNotNull(), F.col("malformed"))


def excluded(place: int, reason: str) -> Check:
    """The settings exclude it; `place` counts the exclusions from 0."""
    return Check(reason, F.col("excluded")[place].isNotNull(), F.col("excluded")[place])


def unknown_code() -> Check:
    """The settings do not name its code."""
    is_unknown = F.col("priority").isNull() & ~F.col("is_other_code")
    return Check("unknown_code", is_unknown, F.col("code"))


def other_code() -> Check:
    """Its code is known, and of no priority."""
    return Check("other_code", F.col("priority").isNull() & F.col("is_other_code"), F.col("code"))


def known_unreadable() -> Check:
    """The moment or month in which it became known cannot be read."""
    return Check("known_unreadable", F.col("known_at").isNull(), F.col("known_text"))


def occurred_unreadable() -> Check:
    """The moment, or an end of the interval, in which it happened cannot be read."""
    is_end_unreadable = F.col("occurred_until_at").isNull()
    fails = F.col("occurred_from_at").isNull() | is_end_unreadable
    return Check("occurred_unreadable", fails, _occurred())


def occurred_too_early(earliest: date, zone: str) -> Check:
    """It happened before the local day `earliest`."""
    start = F.to_utc_timestamp(F.lit(earliest).cast("timestamp"), zone)
    return Check("occurred_too_early", F.col("occurred_from_at") < start, _occurred())


def interval_backwards() -> Check:
    """Its interval ends before it starts."""
    fails = F.col("occurred_until_at") < F.col("occurred_from_at")
    return Check("interval_backwards", fails, _occurred())


def occurred_after_known() -> Check:
    """It became known before the end of the interval in which it happened."""
    found = F.concat(_occurred(), F.lit(", known "), F.col("known_text"))
    return Check("occurred_after_known", F.col("occurred_until_at") > F.col("known_at"), found)


def key_missing() -> Check:
    """The source has a key and the row has no value of it."""
    return Check("key_missing", F.col("is_key_missing"), F.lit(None).cast("string"))


def coordinates_missing() -> Check:
    """It has no coordinates that can be read, or such as mean: unknown."""
    return Check("coordinates_missing", F.col("x").isNull() | F.col("y").isNull(), _place())


def excluded_point(points: Sequence[tuple[float, float]]) -> Check:
    """It lies exactly at a place that the settings exclude."""
    place = F.struct(F.col("x"), F.col("y"))
    excluded = [F.struct(F.lit(x).alias("x"), F.lit(y).alias("y")) for x, y in points]
    return Check("excluded_point", place.isin(excluded) if points else F.lit(False), _place())


def outside_teams() -> Check:
    """It lies in no land cell."""
    return Check(OUTSIDE_TEAMS, F.col("cell_id").isNull(), _place())


def _occurred() -> Column:
    return F.concat_ws(" to ", F.col("occurred_from_text"), F.col("occurred_until_text"))


def _place() -> Column:
    return F.concat_ws(", ", F.col("x_text"), F.col("y_text"))
