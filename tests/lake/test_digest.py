from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.lake.digest import sorted_by

KEYS = ("poll_on", "team", "cell_id")


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_sorted_as_arrow_sorts_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = np.array(["b", "a", "é", "Z", "a ", "", "zz", "ab", "\U0001f600", "｡"])
    rows = pa.table(
        {
            "team": pa.array(names[random.integers(0, len(names), 500)]),
            "cell_id": random.permutation(500),
            "poll_on": [
                date(2024, 1, 1) + timedelta(weeks=int(i)) for i in random.integers(0, 9, 500)
            ],
            "reasons": [["one"] * int(i) for i in random.integers(0, 3, 500)],
        }
    )
    in_parts = pa.concat_tables([rows.slice(0, 123), rows.slice(123)])
    assert sorted_by(in_parts, KEYS) == rows.sort_by([(key, "ascending") for key in KEYS])
