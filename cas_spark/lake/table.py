"""What a table is: its columns with their meaning, its key, and what every row must satisfy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql.types import DataType, StructField, StructType


@dataclass(frozen=True)
class Column:
    """A column: its type, what it means (with the unit), and whether a digest covers it.

    Clocks, run numbers and seconds stay outside the digest, so that two runs which found the same
    also have the same digest.
    """

    name: str
    type: DataType
    meaning: str
    is_nullable: bool = False
    is_in_digest: bool = True


@dataclass(frozen=True)
class Table:
    """A Delta table of the lake, declared once.

    Attributes:
        name: of its folder.
        grain: what one row is.
        keys: columns that distinguish rows.
        columns: in order.
        partitioned_by: columns that Delta keeps apart.
        checks: name -> what every row must satisfy.
        sliced_by: the column whose values have a digest each, of which the table's is made; None
            for a table that is digested as a whole.
    """

    name: str
    grain: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    partitioned_by: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    sliced_by: str | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        apart = {*self.keys, *self.partitioned_by, *([self.sliced_by] if self.sliced_by else [])}
        missing = apart - set(names)
        if missing or len(names) != len(set(names)):
            message = f"table {self.name}: columns {names}, keys or partitions {sorted(missing)}"
            raise ValueError(message)

    @property
    def schema(self) -> StructType:
        """The table's schema, with the meaning of each column as its comment."""
        return StructType(
            [
                StructField(c.name, c.type, c.is_nullable, {"comment": c.meaning})
                for c in self.columns
            ]
        )

    @property
    def digest_columns(self) -> list[str]:
        """The columns that a digest covers, in the table's order."""
        return [column.name for column in self.columns if column.is_in_digest]
