"""What became of the rows of one extract, in numbers, and whether these can be right."""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.settings.extracts import Extracts
from cas_spark.sources.hints import hint_for
from cas_spark.sources.removed import ERASED, PAST_TERM
from cas_spark.sources.row_checks import DUPLICATE

OTHER_CODE, CONTRADICTORY = "other_code", "contradictory"

WAS_READ = (DUPLICATE, CONTRADICTORY, ERASED, PAST_TERM)
"""Reasons of rows that were read and placed well, and are not used all the same."""


@dataclass(frozen=True)
class Rejections:
    """The rows that were rejected for one reason.

    Attributes:
        rows: how many.
        first: number of the first of them in the extract.
        found: the value that failed in that row; None where it is not kept.
    """

    rows: int
    first: int
    found: str | None


@dataclass(frozen=True)
class Figures:
    """What became of the rows of one extract.

    Attributes:
        read: all rows.
        accepted: incidents, or versions of suspects' links.
        revisions: corrections and decisions.
        rejections: reason -> the rows that were rejected for it.
        located: rows that name a place.
        known_from_micros, known_until_micros: when the first and the last row that is used became
            known, microseconds UTC; None without any.
    """

    read: int
    accepted: int
    revisions: int
    rejections: Mapping[str, Rejections]
    located: int
    known_from_micros: int | None
    known_until_micros: int | None

    @property
    def rejected(self) -> int:
        """All rows that are not used."""
        return sum(rejections.rows for rejections in self.rejections.values())

    def counts(self, *names: str) -> dict[str, int]:
        """Some of the numbers of rows by name."""
        return {name: int(getattr(self, name)) for name in names}


def figures_of(
    classified: DataFrame, name: str, is_revision: Column, is_located: Column
) -> Figures:
    """The figures of all rows of an extract; computing them keeps the rows.

    Args:
        classified: every row of the extract once, with `row_number`, `reason`, `found` and
            `known_at`.
        name: of the extract's file.
        is_revision: whether a row that is used is a revision.
        is_located: whether a row names a place.

    Raises:
        CasError: rows were lost or doubled between the reader, which numbers them, and here.
    """
    is_fine = F.col("reason").isNull()
    known_micros = F.when(is_fine, F.unix_micros("known_at"))
    groups = (
        classified.groupBy("reason", (is_fine & is_revision).alias("is_revision"))
        .agg(
            F.count("*").alias("rows"),
            F.sum("row_number").alias("total"),
            F.max("row_number").alias("last"),
            F.min(F.struct("row_number", "found")).alias("first"),
            F.count_if(is_located).alias("located"),
            F.min(known_micros).alias("known_from"),
            F.max(known_micros).alias("known_until"),
        )
        .collect()
    )
    used = {row["is_revision"]: row["rows"] for row in groups if row["reason"] is None}
    known = [
        row[end] for row in groups for end in ("known_from", "known_until") if row[end] is not None
    ]
    figures = Figures(
        read=sum(row["rows"] for row in groups),
        accepted=used.get(False, 0),
        revisions=used.get(True, 0),
        rejections={
            row["reason"]: Rejections(row["rows"], *row["first"])
            for row in sorted(groups, key=lambda row: (-row["rows"], row["first"]))
            if row["reason"] is not None
        },
        located=sum(row["located"] for row in groups),
        known_from_micros=min(known, default=None),
        known_until_micros=max(known, default=None),
    )
    last = max((row["last"] for row in groups), default=0)
    total = sum(row["total"] for row in groups)
    _check_every_row_is_there(figures, name, last, total)
    return figures


def check_some_are_used(figures: Figures, source: Extracts, name: str) -> None:
    """Check that an extract is not misread as a whole.

    One that was delivered before, or of which the settings want nothing, holds no news and is fine.

    Raises:
        CasError: no row is used, and some could not be read or placed.
    """
    unwanted = {OTHER_CODE, *(exclusion.reason for exclusion in source.exclude)}
    failed = {r: rows for r, rows in figures.rejections.items() if r not in unwanted}
    was_read = any(reason in WAS_READ for reason in failed)
    if figures.accepted or figures.revisions or was_read or not failed:
        return
    reason, rejections = next(iter(failed.items()))
    value = f" with {rejections.found!r}" if rejections.found is not None else ""
    counted = ", ".join(f"{reason} {rows.rows:,}" for reason, rows in figures.rejections.items())
    raise CasError(
        what=f"the extract {name} of {source.kind}.{source.name}",
        found=f"no row that can be used among {figures.read:,} ({counted}); the first "
        f"{reason} is row {rejections.first:,}{value}",
        expected="at least one row that the settings can read",
        do=f"{hint_for(reason, rejections.found, source)}; or take the file away. Nothing was "
        "written",
    )


def _check_every_row_is_there(figures: Figures, name: str, last: int, total: int) -> None:
    rows = figures.accepted + figures.revisions + figures.rejected
    if rows == figures.read == last and total == last * (last + 1) // 2:
        return
    raise CasError(
        what=f"rows of the extract {name}",
        found=f"{figures.accepted:,} accepted, {figures.revisions:,} revisions and "
        f"{figures.rejected:,} rejected; the reader numbered {last:,}",
        expected="every row that was read in exactly one of them",
        do="This is a fault of the program: report it with this message; nothing was written",
    )
