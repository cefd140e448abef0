"""Columns of files as the program works with them: few plain types, text as a person sees it."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cas_spark.settings.texts import text_as_seen

MOST_DIGITS = 38
"""Of a decimal number in Spark."""
INSTANT, LOCAL_TIME = pa.timestamp("us", tz="UTC"), pa.timestamp("us")


def plain_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the plain type that a file's type becomes; None for one that holds no single value.

    Nanoseconds are cut to microseconds; a time of day becomes text. A decimal number keeps all its
    digits; one of more than Spark's 38 has no plain type.
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind):
        is_sparks = kind.precision <= MOST_DIGITS and 0 <= kind.scale <= kind.precision
        return pa.decimal128(kind.precision, kind.scale) if is_sparks else None
    if pa.types.is_timestamp(kind):
        return INSTANT if kind.tz else LOCAL_TIME
    return next((plain for is_one, plain in _PLAIN if is_one(kind)), None)


_PLAIN: Sequence[tuple[Callable[[pa.DataType], bool], pa.DataType]] = (
    (pa.types.is_string, pa.string()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_null, pa.string()),
    (pa.types.is_time, pa.string()),
    (pa.types.is_boolean, pa.bool_()),
    (pa.types.is_uint64, pa.decimal128(20, 0)),
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float64()),
    (pa.types.is_date, pa.date32()),
)


def plain_column(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column's values in their plain type (see `plain_type`), text as a person sees it.

    A moment that the plain type cannot hold, beyond the year 290,000, is missing.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    largest = _largest(values.type)
    if largest is not None:
        units = values.cast(pa.int64())
        fits = pc.and_(pc.less_equal(units, largest), pc.greater_equal(units, -largest))
        values = pc.if_else(fits, values, pa.scalar(None, values.type))
    return text_as_seen(values.cast(kind, safe=False) if values.type != kind else values)


def _largest(kind: pa.DataType) -> int | None:
    """Return the most units of a moment that its plain type can hold; None where all fit."""
    if pa.types.is_date64(kind):
        return (2**31 - 1) * 86_400_000
    if pa.types.is_timestamp(kind) and kind.unit in ("s", "ms"):
        return (2**63 - 1) // (1_000_000 if kind.unit == "s" else 1_000)
    return None
