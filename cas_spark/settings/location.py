"""Where: how the places in an extract are written."""

from typing import Literal, Self

from pydantic import Field, model_validator

from cas_spark.settings.geography import AnyCrs, AnyOperation
from cas_spark.settings.section import ColumnName, Number, Section


class Location(Section):
    """Where: two columns with coordinates, one column with a point as text, or a geometry.

    x is the easting or longitude, y the northing or latitude, whatever the CRS's authority says.
    """

    x: ColumnName | None = None
    y: ColumnName | None = None
    text: ColumnName | None = Field(
        default=None,
        description="column with a point as text: `POINT (x y)`, `SRID=4326;POINT (x y)`, or a "
        "pair such as `(41.88, -87.63)`, which also needs `order`",
    )
    order: Literal["lon_lat", "lat_lon"] | None = Field(
        default=None,
        description="of the two numbers in `text`; without it, WKT is x before y and a pair is not "
        "read",
    )
    geometry: ColumnName | None = Field(
        default=None, description="the geometry of a file that has one, such as a GeoPackage"
    )
    crs: AnyCrs
    operation: AnyOperation | None = Field(
        default=None,
        description="PROJ's operation from `crs` to the grid's CRS, where the program's own choice "
        "is refused or another is wanted: the code of a datum transformation such as EPSG:1173, or "
        "a text `+proj=pipeline ...` from x, y (degrees where `crs` has them) to metres",
    )
    missing: list[Number] = Field(
        default_factory=lambda: [0.0], description="coordinates that mean: unknown"
    )

    @property
    def columns(self) -> list[str]:
        """The columns that hold the place; none where the file's geometry does."""
        return [column for column in (self.x, self.y, self.text) if column is not None]

    @model_validator(mode="after")
    def _one_way_of_writing(self) -> Self:
        ways = [self.x is not None and self.y is not None, bool(self.text), bool(self.geometry)]
        if (self.x is None) != (self.y is None) or sum(ways) != 1:
            message = "give either both x and y, or text, or geometry"
            raise ValueError(message)
        if self.order is not None and self.text is None:
            message = "order is of text: x and y have names of their own"
            raise ValueError(message)
        return self
