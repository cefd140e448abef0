"""The room for a team's matrix: in memory, or where Spark keeps its scratch files."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cas_spark.training.design_matrix import room_for


@pytest.fixture
def small_files_only() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_matrix_beyond_the_bound_lies_in_a_scratch_file_of_spark_that_is_gone_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path},/elsewhere")
    room = room_for((3, 5000), bytes_at_most=1000)
    room[:] = 7
    assert room.shape == (3, 5000)
    assert str(tmp_path) in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == []
    assert not isinstance(room_for((3, 50), bytes_at_most=1000), np.memmap)


@pytest.mark.usefixtures("small_files_only")
def test_no_room_for_it_is_an_error_and_not_the_end_of_the_process() -> None:
    with pytest.raises(OSError, match="File too large"):
        room_for((3, 5000), bytes_at_most=1000)
