"""Types of columns, and the columns that many tables have."""

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from cas_spark.lake.table import Column

DATE, INSTANT, TEXT, FLAG = DateType(), TimestampType(), StringType(), BooleanType()
INTEGER, LONG, DOUBLE, FLOAT = IntegerType(), LongType(), DoubleType(), FloatType()


def named(name: str, value: str, value_type: DataType) -> ArrayType:
    """An array of (name, value) pairs, which keeps its order where a map would not.

    Delta knows no NOT NULL inside arrays, so none is declared there.
    """
    return ArrayType(StructType([StructField(name, TEXT), StructField(value, value_type)]))


def written_by(what: str = "run that wrote the row") -> Column:
    """Return the column with the run that wrote a row; no digest covers it."""
    return Column("run_number", LONG, what, is_in_digest=False)
