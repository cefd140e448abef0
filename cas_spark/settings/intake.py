"""When what was delivered is so unusual that the report of a run warns of it."""

from pydantic import Field

from cas_spark.settings.section import Section


class Intake(Section):
    """What counts as unusual about the newest extracts of a source; no row is refused by it.

    Rejected rows are those that could not be read or placed: rows of another code, of an `exclude`,
    that were there before, or that were removed for good are left out of these shares.
    """

    rejected_times_usual: float = Field(
        default=3.0,
        ge=1,
        le=1000,
        allow_inf_nan=False,
        description="share of rejected rows from which on a run warns, as a multiple of the median "
        "share of the source's last 12 extracts",
    )
    rejected_above_usual: float = Field(
        default=0.05,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="by how much the share must exceed that median besides",
    )
    rejected_of_first: float = Field(
        default=0.5,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="share of rejected rows from which on a run warns of a source's first extracts",
    )
