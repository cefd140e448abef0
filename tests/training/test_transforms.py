"""The room for a team's matrix and its samples: in memory, or in a scratch file of Spark's."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cas_spark.training.design import design_of
from cas_spark.training.transforms import room_for


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


def test_a_sample_of_rows_in_a_scratch_file_lies_in_one_too() -> None:
    values = np.arange(40, dtype=np.float32).reshape(2, 20)
    on_disk = room_for((2, 20), bytes_at_most=0)
    on_disk[:] = values
    chosen, weight = np.array([1, 5, 19]), np.ones(3, dtype=np.float32)
    samples = [design_of(rows).sample(chosen, weight).values for rows in (values.copy(), on_disk)]
    assert [isinstance(sample, np.memmap) for sample in samples] == [False, True]
    np.testing.assert_array_equal(samples[0], samples[1])


@pytest.mark.usefixtures("small_files_only")
def test_no_room_for_it_is_an_error_and_not_the_end_of_the_process() -> None:
    with pytest.raises(OSError, match="File too large"):
        room_for((3, 5000), bytes_at_most=1000)
