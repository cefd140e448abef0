"""Retention: how long facts and what was made of them may be kept."""

from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from cas_spark.settings.section import Section

Days = Annotated[int, Field(ge=1, le=36_525)]
"""At most a century, so that no term reaches before any calendar."""


class Retention(Section):
    """Days per class of facts, after which `cas-spark retain` removes them; no days, no term.

    What is ordered erased (a revision of kind `erased`) is removed whatever the terms.
    """

    incidents: Days | None = Field(
        default=None,
        description="after the last thing about an incident became known; with it goes what is "
        "about it: revisions and suspects' links",
    )
    suspects: Days | None = Field(
        default=None, description="after the last thing about a suspect's link became known"
    )
    revisions: Days | None = Field(
        default=None,
        description="after a revision became known that is rejected or still pending; a linked one "
        "stays as long as what it is about",
    )
    rejected_rows: Days | None = Field(
        default=None, description="after the last row of their extract became known"
    )
    extracts: Days | None = Field(
        default=None,
        description="after the last row of an extract became known: its file, where `files` finds "
        "it, is deleted; with this setting also one that holds what is ordered erased",
    )
    exports: Days | None = Field(
        default=None, description="after the poll: its maps, and its runs and models in MLflow"
    )

    def kept_from(self, kind: str, as_of: date) -> date | None:
        """The first local day of which facts of a class may be kept; None without a term."""
        days: int | None = getattr(self, kind)
        return None if days is None else as_of - timedelta(days=days)

    def cuts(self, as_of: date, zone: ZoneInfo) -> dict[str, datetime]:
        """Class -> the instant before which what became known is past its term."""
        days = {kind: self.kept_from(kind, as_of) for kind in type(self).model_fields}
        return {
            kind: datetime(day.year, day.month, day.day, tzinfo=zone)
            for kind, day in days.items()
            if day is not None
        }
