"""How models are trained, places chosen and forecasts measured."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cas_spark.settings.section import Section, Title

Share = Annotated[float, Field(gt=0, le=1)]


class Indicators(Section):
    """Which indicators of the catalogue (docs/indicators.md) are used."""

    leave_out: list[Title] = Field(
        default_factory=list,
        description="patterns of names, such as `*_weeks_since*`; each must match one at least",
    )


class Training(Section):
    """One logistic regression per team, priority and horizon.

    The objective is MLlib's: mean log loss + `reg_param` x half the squared norm of the
    coefficients on standardised columns; the intercept is free.
    """

    engine: Literal["grouped", "mllib"] = Field(
        default="grouped",
        description="grouped: all models of a team at once; mllib: the reference, one by one",
    )
    reg_param: float = Field(
        default=1e-3, ge=0, le=1_000_000, description="above 1,000,000 every coefficient is 0"
    )
    tolerance: float = Field(
        default=1e-7,
        gt=0,
        lt=1,
        description="grouped: of the gradient's norm on standardised columns; mllib: its `tol`",
    )
    max_iterations: int = Field(default=500, ge=1, le=100_000)
    minimum_positives: int = Field(
        default=50,
        ge=1,
        le=1_000_000_000,
        description="settled cell-weeks with an incident below which the model of the region, or "
        "of the whole country, stands in",
    )
    pooled_rows: int = Field(
        default=1_000_000,
        ge=1000,
        le=1_000_000_000,
        description="about so many rows without an incident, of all, make such a model",
    )
    maximum_failed_share: float = Field(default=0.05, ge=0, le=1)


class Band(Section):
    """A name for the likeliest cells up to a share of all land cells."""

    name: Title
    up_to: Share


def _default_bands() -> list[Band]:
    return [
        Band(name="highest", up_to=0.01),
        Band(name="high", up_to=0.02),
        Band(name="raised", up_to=0.03),
    ]


class Forecast(Section):
    """Which cells are chosen: per team, priority and horizon the likeliest share of land cells."""

    share: float = Field(default=0.03, gt=0, lt=1)
    bands: list[Band] = Field(default_factory=_default_bands, min_length=1, max_length=20)

    @model_validator(mode="after")
    def _bands_end_at_the_share(self) -> Self:
        names = [band.name for band in self.bands]
        if len(names) != len(set(names)):
            message = f"two bands have the same name: {names}"
            raise ValueError(message)
        bounds = [band.up_to for band in self.bands]
        if bounds != sorted(set(bounds)) or bounds[-1] != self.share:
            message = f"bands must grow and end at the chosen share {self.share}, found {bounds}"
            raise ValueError(message)
        return self


class Evaluation(Section):
    """What is measured beside which baselines."""

    shares: list[Share] = Field(
        default_factory=lambda: [0.01, 0.03, 0.05], min_length=1, max_length=20
    )
    tuning_weeks: int = Field(
        default=52,
        ge=1,
        le=1_040,
        description="weeks before a backtest on which everything is tuned",
    )

    @model_validator(mode="after")
    def _shares_differ_where_they_are_told(self) -> Self:
        names = [f"{share * 100:g}" for share in self.shares]  # as names of measures have them
        if len(names) != len(set(names)):
            message = f"shares must differ in their first six digits, found {self.shares}"
            raise ValueError(message)
        return self
