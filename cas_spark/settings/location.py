"""Where: how the places in an extract are written."""

from typing import Self

from pydantic import Field, model_validator

from cas_spark.settings.places import AnyCrs
from cas_spark.settings.section import ColumnName, Number, Section


class Location(Section):
    """Where: two columns with coordinates, or the geometry of a GeoPackage."""

    x: ColumnName | None = None
    y: ColumnName | None = None
    geometry: ColumnName | None = None
    crs: AnyCrs
    missing: list[Number] = Field(
        default_factory=lambda: [0.0], description="coordinates that mean: unknown"
    )

    @model_validator(mode="after")
    def _columns_or_geometry(self) -> Self:
        if (self.x is None) != (self.y is None) or (self.x is None) == (self.geometry is None):
            message = "give either both x and y, or geometry"
            raise ValueError(message)
        return self
