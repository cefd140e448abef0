"""The base of every settings section: frozen, and closed to names it does not know."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the settings that a user writes.

    Unknown keys are refused, so that a typing error never silently means the default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)
