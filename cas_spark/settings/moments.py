"""When: how the moments in an extract are written, and which moment makes a row known."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from cas_spark.settings.date_patterns import (
    CLOCK_NUMBER,
    EPOCHS,
    UNITS,
    Unit,
    pattern_of,
    problems_of_moments,
    problems_of_times,
)
from cas_spark.settings.section import ColumnName, Day, Section

EarliestYear = Annotated[int, Field(ge=1901, le=2000)]


class DateAndTime(Section):
    """A moment in two columns: a date, and a time of the day.

    Where the time is blank the moment is the whole day. 24:00 and 2400 are the midnight at which
    the day ends.
    """

    date: ColumnName = Field(description="column with the date; a time in it is not looked at")
    date_formats: list[str] = Field(
        default_factory=list, description="patterns of the date; none for typed columns"
    )
    time: ColumnName = Field(description="column with the time of the day")
    time_formats: list[str] = Field(
        min_length=1,
        description="patterns of the time, such as 'HH:mm'; `clock_number` reads numbers such as "
        "1330, 930 or 5",
    )

    @model_validator(mode="after")
    def _formats_say_what_they_read(self) -> Self:
        problems = problems_of_moments(self.date_formats, knows_century=True)
        problems += problems_of_times(self.time_formats)
        coarse = [text for text in self.date_formats if unit_of_format(text) == "month"]
        problems += [f"{text!r} names no day" for text in coarse]
        _raise(problems)
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return [self.date, self.time]


class DateParts(Section):
    """A moment in columns of whole numbers.

    What is left out or blank is not known: without the minute the moment is the whole hour, without
    the hour the whole day. Hour 24 and minute 0 are the midnight at which the day ends.
    """

    year: ColumnName = Field(description="column with the year, of four digits")
    month: ColumnName = Field(description="column with the number of the month")
    day: ColumnName | None = Field(default=None, description="column with the day of the month")
    hour: ColumnName | None = Field(default=None, description="column with the hour, 0 to 24")
    minute: ColumnName | None = Field(default=None, description="column with the minute")

    @model_validator(mode="after")
    def _no_part_without_the_one_before(self) -> Self:
        problems = [
            f"{part} needs {before}"
            for before, part in (("day", "hour"), ("hour", "minute"))
            if getattr(self, part) is not None and getattr(self, before) is None
        ]
        _raise(problems)
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        parts = (self.year, self.month, self.day, self.hour, self.minute)
        return [part for part in parts if part is not None]


def _form(value: Any) -> str:
    if isinstance(value, DateParts) or (isinstance(value, dict) and "year" in value):
        return "date_parts"
    return "date_and_time" if isinstance(value, dict | DateAndTime) else "column"


Moment = Annotated[
    Annotated[ColumnName, Tag("column")]
    | Annotated[DateAndTime, Tag("date_and_time")]
    | Annotated[DateParts, Tag("date_parts")],
    Discriminator(_form),
]
"""A column, or several that make up a moment together."""


def columns_of(*moments: Moment | None) -> list[str]:
    """The columns that moments are read from, in their order."""
    found: list[str] = []
    for moment in moments:
        if moment is not None:
            found += [moment] if isinstance(moment, str) else moment.columns
    return found


def unit_of_format(text: str) -> Unit | None:
    """Return the unit that a format ends with; None for minutes or less."""
    return None if text in EPOCHS else pattern_of(text).unit


def coarser(*units: Unit | None) -> Unit | None:
    """The coarsest of some units; None is finer than any."""
    named = [unit for unit in units if unit is not None]
    return max(named, key=UNITS.index, default=None)


class Written(Section):
    """How the moments of single columns are written."""

    formats: list[str] = Field(
        default_factory=list,
        description="patterns such as 'M/d/yyyy H:mm', tried in order, `epoch_seconds` or "
        "`epoch_milliseconds`; none for typed columns and for moments in several columns",
    )
    two_digit_years_from: EarliestYear | None = Field(
        default=None,
        description="first of the hundred years that `yy` stands for, such as 1950 for 1950 to "
        "2049; needed for, and only for, patterns with `yy`",
    )

    def problems_of_formats(self, *moments: Moment | None) -> list[str]:
        """What is wrong with the formats of these moments."""
        knows_century = self.two_digit_years_from is not None
        problems = problems_of_moments(self.formats, knows_century=knows_century)
        two_digits = [*self.formats]
        for moment in moments:
            if isinstance(moment, DateAndTime):
                problems += problems_of_moments(moment.date_formats, knows_century=knows_century)
                two_digits += moment.date_formats
        if knows_century and not any(pattern_of(text).has_two_digit_year for text in two_digits):
            problems.append("two_digit_years_from is for patterns with yy, and there is none")
        if self.formats and not any(isinstance(moment, str) for moment in moments):
            problems.append(
                "formats are for moments in one column; a date and a time have date_formats and "
                "time_formats, and parts are numbers"
            )
        return problems

    def unit_of(self, moment: Moment | None) -> Unit | None:
        """Return the coarsest unit of a moment in the settings; None for minutes or less.

        Of typed columns, whose formats are none, nothing is known before they are read.
        """
        if isinstance(moment, DateParts):
            if moment.hour is not None:
                return None if moment.minute is not None else "hour"
            return "day" if moment.day is not None else "month"
        if isinstance(moment, DateAndTime):
            return coarser(*map(_unit_of_time, moment.time_formats))
        return coarser(*map(unit_of_format, self.formats)) if moment is not None else None


def _unit_of_time(text: str) -> Unit | None:
    return None if text == CLOCK_NUMBER else pattern_of(text).unit


class Interval(Written):
    """When something happened: one moment, or an interval in which it must have happened.

    A moment with only a day, hour or month is the whole of it, up to when the
    row became known: nothing happens after it is known.
    """

    start: Moment = Field(
        description="column with the moment, or the start of the interval; or the columns of its "
        "parts"
    )
    end: Moment | None = Field(
        default=None, description="column with the end of the interval, or the columns of its parts"
    )
    precision: Literal["day", "month"] | None = Field(
        default=None,
        description="day: times are not looked at, such as a 00:00 that means none; month: only "
        "the month is known, which is said wherever figures are shown",
    )

    @model_validator(mode="after")
    def _moments_can_be_read(self) -> Self:
        problems = self.problems_of_formats(self.start, self.end)
        units = {self.unit_of(self.start), self.unit_of(self.end)}
        if "month" in units and self.precision != "month" and not problems:
            problems.append(
                f"{_has(self.formats)} no day: with precision: month such rows are used, each in "
                "the middle of its month, and every figure says so"
            )
        _raise(problems)
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return columns_of(self.start, self.end)

    @property
    def unit(self) -> Unit | None:
        """Return the coarsest unit of occurrence in all rows; None for minutes or less."""
        return coarser(self.precision, self.unit_of(self.start))


class Occurred(Interval):
    """When an incident happened, and which are too old to be used."""

    earliest: Day = Field(description="incidents before this date are rejected")


class Known(Written):
    """When a row became known to the police, from which moment alone it may be used.

    `as_given`: the column is the moment itself. `next_day`: the column names the day, so all that
    is certain is that it was known when the next day began. `next_month`: the column names the
    month in which the row was coded, so it was known when the next month began. `assumed_delay`:
    assumed, not known: `delay_days` of 24 hours after it occurred; with a column, moved into the
    coded month where that falls outside it. Every figure made with it is labelled. Of a correction
    not even an assumption says when in its month it was made, so that counts from the month's last
    instant.
    """

    column: Moment | None = Field(
        default=None,
        description="column with the moment, the day or the month, or the columns of its parts; "
        "only `assumed_delay` does without",
    )
    rule: Literal["as_given", "next_day", "next_month", "assumed_delay"] = "as_given"
    delay_days: int | None = Field(default=None, ge=0, le=3_660)

    @model_validator(mode="after")
    def _moments_can_be_read(self) -> Self:
        problems = []
        if (self.rule == "assumed_delay") != (self.delay_days is not None):
            problems.append("delay_days is needed for, and only for, the rule assumed_delay")
        if self.column is None and self.rule != "assumed_delay":
            problems.append(f"column is needed for the rule {self.rule}")
        problems += self.problems_of_formats(self.column)
        unit = None if problems else self.unit_of(self.column)
        if unit == "month" and self.rule in ("as_given", "next_day"):
            problems.append(
                f"{_has(self.formats)} no day, so it says only in which month a row became known: "
                "set rule: next_month"
            )
        elif unit == "day" and self.rule == "as_given":
            problems.append(
                f"{_has(self.formats)} no time of day, so a row was known only when the day had "
                "ended: set rule: next_day"
            )
        _raise(problems)
        return self

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at."""
        return columns_of(self.column)


def _has(formats: Sequence[str]) -> str:
    return f"{', '.join(map(repr, formats))} has" if formats else "it has"


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))
