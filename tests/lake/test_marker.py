"""A file makes a folder a lake only if this program wrote it."""

import pytest

from cas_spark.lake.marker import Marker, marker_in

ID = "00000000-0000-0000-0000-000000000001"
OWN = f'"made_by": "cas-spark", "id": "{ID}"'


def test_a_marker_is_read_whatever_else_it_says() -> None:
    marker = marker_in(f'{{{OWN}, "schema_version": 7, "remark": "a"}}')
    assert isinstance(marker, Marker)
    assert (str(marker.id), marker.schema_version) == (ID, 7)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        f'{{"id": "{ID}", "schema_version": 7}}',
        f'{{"made_by": "another", "id": "{ID}", "schema_version": 7}}',
        '{"made_by": "cas-spark", "id": 7, "schema_version": 7}',
        f'{{{OWN}, "schema_version": Infinity}}',
        f'{{{OWN}, "schema_version": NaN}}',
        f'{{{OWN}, "schema_version": {"9" * 5_000}}}',
        f"{{{OWN}}}",
    ],
    ids=lambda text: text[:60],
)
def test_a_file_of_somebody_else_or_a_broken_one_is_no_marker(text: str) -> None:
    assert marker_in(text) is None
