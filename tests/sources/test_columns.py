"""Columns of any type become plain ones without another value, or are refused by name."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.settings.texts import as_seen, text_as_seen
from cas_spark.sources.columns import INSTANT, LOCAL_TIME, plain_column, plain_type

NOON = datetime(2024, 1, 5, 12, 30, 15, 123_456)  # noqa: DTZ001  # a time without zone
CASES: list[tuple[pa.DataType, Any, pa.DataType, Any]] = [
    (pa.large_string(), " A ", pa.string(), "A"),
    (pa.string_view(), "A", pa.string(), "A"),
    (pa.dictionary(pa.int8(), pa.string()), "A\u00a0", pa.string(), "A"),
    (pa.null(), None, pa.string(), None),
    (pa.int8(), -5, pa.int64(), -5),
    (pa.uint64(), 2**64 - 1, pa.decimal128(20, 0), Decimal(2**64 - 1)),
    (pa.float32(), 1.5, pa.float64(), 1.5),
    (pa.decimal128(5, 2), Decimal("31.50"), pa.decimal128(5, 2), Decimal("31.50")),
    (pa.decimal128(38, 0), Decimal("9" * 38), pa.decimal128(38, 0), Decimal("9" * 38)),
    (pa.decimal256(20, 13), Decimal("1.1234567891234"), pa.decimal128(20, 13), None),
    (pa.bool_(), True, pa.bool_(), True),
    (pa.date64(), date(2024, 1, 5), pa.date32(), date(2024, 1, 5)),
    (pa.time64("us"), time(13, 30), pa.string(), "13:30:00.000000"),
    (pa.timestamp("ns"), NOON, LOCAL_TIME, NOON),
    (pa.timestamp("s", "America/Chicago"), NOON.replace(tzinfo=UTC, microsecond=0), INSTANT, None),
]


@pytest.mark.parametrize(("kind", "value", "plain", "expected"), CASES)
def test_a_value_stays_what_it_is(
    kind: pa.DataType, value: Any, plain: pa.DataType, expected: Any
) -> None:
    assert plain_type(kind) == plain
    found = plain_column(pa.array([value, None], kind), plain)
    assert found.type == plain
    assert found.to_pylist() == [value if expected is None else expected, None]


MOMENTS = [pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.date64()]


@pytest.mark.parametrize("kind", MOMENTS, ids=str)
def test_a_moment_beyond_the_plain_type_is_missing_and_no_other_moment(kind: pa.DataType) -> None:
    for units in (2**62, -(2**62), 2**63 - 1, -(2**63)):
        column = pa.array([units, 0], pa.int64()).cast(kind)
        plain = plain_type(kind)
        assert plain is not None
        assert plain_column(column, plain) == pa.array([None, 0], pa.int64()).cast(kind).cast(plain)


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string()),
        pa.struct([("a", pa.int64())]),
        pa.map_(pa.string(), pa.string()),
        pa.binary(),
        pa.duration("s"),
        pa.decimal256(39, 0),
    ],
)
def test_what_holds_no_single_value_has_no_plain_type(kind: pa.DataType) -> None:
    assert plain_type(kind) is None


@given(st.lists(st.none() | st.text(max_size=8), max_size=9))
def test_text_in_columns_is_as_text_alone(values: list[str | None]) -> None:
    values = [value and value.encode("utf-8", "ignore").decode() for value in values]
    expected = [(as_seen(value) or None) if value is not None else None for value in values]
    assert text_as_seen(pa.array(values, pa.string())).to_pylist() == expected
