"""How much the generator makes, from which seed, and where it puts its extracts."""

from datetime import date
from typing import Self

from pydantic import Field, model_validator

from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.section import Section


class Generator(Section):
    """A made-up country: its extracts are delivered to `folder` as a police force would."""

    folder: SettingsPath
    seed: int = Field(ge=0)
    start: date = Field(description="first day of the generated incidents")
    end: date = Field(description="day after the last generated incident becomes known")
    incidents_per_year: dict[str, int] = Field(
        min_length=1, description="priority -> incidents a year in the whole country"
    )

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end <= self.start:
            message = f"generator.end {self.end} must come after generator.start {self.start}"
            raise ValueError(message)
        return self
