"""When: how the moments in an extract are written, and which moment makes a row known."""

from typing import Literal, Self

from pydantic import Field, model_validator

from cas_spark.settings.section import ColumnName, Day, Section


class Interval(Section):
    """When something happened: one moment, or an interval in which it must have happened."""

    start: ColumnName = Field(description="column with the moment, or the start of the interval")
    end: ColumnName | None = Field(default=None, description="column with the end of the interval")
    formats: list[str] = Field(
        default_factory=list,
        description="patterns such as 'M/d/yyyy H:mm', tried in order; none for typed columns",
    )


class Occurred(Interval):
    """When an incident happened, and which are too old to be used."""

    earliest: Day = Field(description="incidents before this date are rejected")


class Known(Section):
    """When a row became known to the police, from which moment alone it may be used.

    `as_given`: the column is the moment itself. `next_month`: the column names the month in which
    the row was coded, so all that is certain is that it was known when the next month began.
    `assumed_delay`: assumed, not known: `delay_days` after it occurred, moved into the coded month
    where that falls outside it; every figure made with it is labelled. Of a correction not even an
    assumption says when in its month it was made, so that counts from the month's last instant.
    """

    column: ColumnName
    formats: list[str] = Field(default_factory=list)
    rule: Literal["as_given", "next_month", "assumed_delay"] = "as_given"
    delay_days: int | None = Field(default=None, ge=0, le=3_660)

    @model_validator(mode="after")
    def _delay_belongs_to_its_rule(self) -> Self:
        if (self.rule == "assumed_delay") != (self.delay_days is not None):
            message = "delay_days is needed for, and only for, the rule assumed_delay"
            raise ValueError(message)
        return self
