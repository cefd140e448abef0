"""Reading a team's snapshots: whole polls, however their files are cut."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cas_spark.lake.snapshot_files import SnapshotFiles

POLLS = [date(2024, 1, 1) + timedelta(weeks=week) for week in range(6)]
CELLS = [3, 5, 8, 9]


def rows_at(polls: Sequence[date]) -> pa.Table:
    pairs = [(poll, cell) for poll in polls for cell in CELLS]
    return pa.table(
        {
            "poll_on": [poll for poll, _ in pairs],
            "cell_id": [cell for _, cell in pairs],
            "count": pa.array([cell + poll.day / 100 for poll, cell in pairs], pa.float32()),
        }
    )


def write(folder: Path, name: str, polls: Sequence[date], rows_per_group: int) -> None:
    folder.joinpath("snapshots").mkdir(exist_ok=True)
    pq.write_table(rows_at(polls), folder / "snapshots" / name, row_group_size=rows_per_group)


@pytest.mark.parametrize("rows_per_group", [1, 3, 4, 5, 8, 11, 100])
@pytest.mark.parametrize(("first", "last"), [(0, 5), (1, 3), (2, 2)])
def test_every_block_holds_all_rows_of_its_polls(
    tmp_path: Path, rows_per_group: int, first: int, last: int
) -> None:
    write(tmp_path, "newer", POLLS[4:], rows_per_group)
    write(tmp_path, "older", POLLS[:4], rows_per_group)
    files = SnapshotFiles(str(tmp_path), "snapshots", {"A": ("newer", "older")})
    blocks = list(files.blocks("A", ["count"], POLLS[first], POLLS[last]))
    assert all(block.num_rows and block.num_rows % len(CELLS) == 0 for block in blocks)
    assert pa.concat_tables(blocks).equals(rows_at(POLLS[first : last + 1]))


@pytest.mark.parametrize("rows_per_group", [3, 4, 8, 11, 100])
@pytest.mark.parametrize(("first", "last"), [(0, 5), (1, 4), (2, 2)])
def test_a_file_may_fill_a_gap_that_another_left(
    tmp_path: Path, rows_per_group: int, first: int, last: int
) -> None:
    write(tmp_path, "around", [*POLLS[:2], *POLLS[4:]], rows_per_group)
    write(tmp_path, "between", POLLS[2:4], rows_per_group)
    files = SnapshotFiles(str(tmp_path), "snapshots", {"A": ("around", "between")})
    blocks = list(files.blocks("A", ["count"], POLLS[first], POLLS[last]))
    assert all(block.num_rows and block.num_rows % len(CELLS) == 0 for block in blocks)
    assert pa.concat_tables(blocks).equals(rows_at(POLLS[first : last + 1]))


def test_a_team_without_files_has_no_blocks(tmp_path: Path) -> None:
    files = SnapshotFiles(str(tmp_path), "snapshots", {})
    assert list(files.blocks("A", ["count"], POLLS[0], POLLS[-1])) == []
