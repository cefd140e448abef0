"""Nothing that is not as declared gets through the Arrow door."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.errors import CasError
from cas_spark.lake.arrow_access import check_rows, digests_of_slices, write_file

KEYS = ("poll_on", "cell_id")
POLL = date(2024, 1, 1)


def rows(
    values: list[float | None] | None = None,
    cells: list[int] | None = None,
    polls: list[date] | None = None,
    name: str = "count",
    kind: pa.DataType | None = None,
) -> pa.Table:
    cells = cells or [1, 2]
    return pa.table(
        {
            "poll_on": pa.array(polls or [POLL] * len(cells), pa.date32()),
            "cell_id": pa.array(cells, pa.int64()),
            name: pa.array(values or [0.0] * len(cells), kind or pa.float32()),
        }
    )


def test_rows_as_declared_pass() -> None:
    check_rows(rows(), KEYS, ["count"])
    check_rows(rows(cells=[5, 1], polls=[POLL, date(2024, 1, 8)]), KEYS, ["count"])


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (rows(values=[1.0, None]), "count holds nulls"),
        (rows(values=[1.0, np.nan]), "count holds values that are not finite"),
        (rows(values=[1.0, np.inf]), "count holds values that are not finite"),
        (rows(kind=pa.float64()), "count is double, declared float"),
        (rows(name="conut"), "missing ['count'], unknown ['conut']"),
        (rows(cells=[2, 1]), "repeat or are out of order"),
        (rows(cells=[1, 1]), "repeat or are out of order"),
        (rows(polls=[date(2024, 1, 8), POLL]), "repeat or are out of order"),
    ],
)
def test_other_rows_are_refused_and_no_file_is_left(
    tmp_path: Path, bad: pa.Table, problem: str
) -> None:
    with pytest.raises(CasError) as error:
        write_file(str(tmp_path), "snapshots", "A", [bad], ["count"])
    assert problem in str(error.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_same_rows_make_the_same_file_and_other_rows_another(tmp_path: Path) -> None:
    first, _ = write_file(str(tmp_path), "snapshots", "A", [rows()], ["count"])
    again, _ = write_file(str(tmp_path), "snapshots", "A", [rows()], ["count"])
    other, _ = write_file(str(tmp_path), "snapshots", "A", [rows(values=[0.0, 1.0])], ["count"])
    other_team, _ = write_file(str(tmp_path), "snapshots", "B", [rows()], ["count"])
    assert first == again
    names = {first.name, other.name, other_team.name}
    assert len(names) == 3
    assert {path.name for path in (tmp_path / "snapshots").iterdir()} == names


def test_other_row_groups_make_another_file_of_the_same_rows(tmp_path: Path) -> None:
    first, second = rows(), rows(polls=[date(2024, 1, 8)] * 2)
    apart, digests = write_file(str(tmp_path), "snapshots", "A", [first, second], ["count"])
    whole = pa.concat_tables([first, second])
    together, same = write_file(str(tmp_path), "snapshots", "A", [whole], ["count"])
    assert digests == same
    assert apart.name != together.name


def test_a_slice_digest_sees_every_bit() -> None:
    zero = digests_of_slices(rows(values=[0.0, 1.0]))
    assert digests_of_slices(rows(values=[0.0, 1.0])) == zero
    assert digests_of_slices(rows(values=[-0.0, 1.0])) != zero
    assert digests_of_slices(rows(values=[0.0, float(np.nextafter(np.float32(1), 2))])) != zero
    assert digests_of_slices(rows(values=[0.0, 1.0], cells=[1, 3])) != zero


def test_a_slice_has_the_same_digest_whatever_lies_beside_it() -> None:
    first = rows(values=[0.0, 1.0])
    second = rows(values=[2.0, 1.0], polls=[date(2024, 1, 8)] * 2)
    both = pa.concat_tables([first, second])
    assert digests_of_slices(both) == [*digests_of_slices(first), *digests_of_slices(second)]
