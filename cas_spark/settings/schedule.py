"""When: polls, horizons, and how long a week needs before it may be learned from or scored."""

from typing import Self

from pydantic import Field, model_validator

from cas_spark.settings.section import Section

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Settling(Section):
    """A week may be learned from or scored once its incidents have had time to arrive.

    The delay is either declared in days, or measured: the time within which `share` of the
    incidents became known.
    """

    share: float = Field(default=0.95, gt=0, lt=1)
    days: int | None = Field(default=None, ge=0, le=3_660)


class Polls(Section):
    """The weekly moments at which what is known is recorded: local midnight of `weekday`."""

    weekday: str = "monday"
    count: int = Field(
        default=104, ge=2, le=1_040, description="polls that a model learns from: at most 20 years"
    )
    settling: Settling = Settling()
    allow_short_history: bool = Field(
        default=False,
        description="leave out, and say so, the indicators whose window reaches before the first "
        "extract, instead of refusing to run",
    )

    @model_validator(mode="after")
    def _real_weekday(self) -> Self:
        if self.weekday not in WEEKDAYS:
            message = f"weekday {self.weekday!r}: give one of {', '.join(WEEKDAYS)}"
            raise ValueError(message)
        return self

    @property
    def weekday_number(self) -> int:
        """Monday is 0, as in `datetime.date.weekday`."""
        return WEEKDAYS.index(self.weekday)
