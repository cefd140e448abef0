"""What snapshots cost to write and read in other encodings of Parquet: one JSON line each.

    python benchmarks/encodings.py --settings conf/demo.yaml

It takes the largest file of `snapshots` in the lake, which must be there, and writes it again in a
scratch folder: with a row group per poll or per 32 polls, with and without dictionaries, with zstd
and lz4; the last line is how the lake writes. Seconds are of one core.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from cas_spark.indicators.team import POLLS_AT_ONCE
from cas_spark.settings import load_settings

WAYS: tuple[tuple[int, dict[str, Any]], ...] = (
    (1, {"compression": "zstd", "use_dictionary": True}),
    (POLLS_AT_ONCE, {"compression": "zstd", "use_dictionary": True}),
    (POLLS_AT_ONCE, {"compression": "lz4", "use_dictionary": False}),
    (POLLS_AT_ONCE, {"compression": "zstd", "use_dictionary": False}),
)
REPEATED = 3
"""Times that each is written and read; the quickest counts."""


def cost_of(rows: pa.Table, rows_in_group: int, options: dict[str, Any]) -> dict[str, Any]:
    """Values a second written and read, and bytes a value."""
    values = rows.num_rows * (rows.num_columns - 2)
    written, read, size = [], [], 0
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "snapshots.parquet")
        for _ in range(REPEATED):
            start = time.process_time()
            pq.write_table(
                rows, path, row_group_size=rows_in_group, write_statistics=["poll_on"], **options
            )
            written.append(time.process_time() - start)
            size = path.stat().st_size
            start = time.process_time()
            pq.read_table(path, use_threads=False)
            read.append(time.process_time() - start)
    return {
        "written_per_second": round(values / min(written)),
        "read_per_second": round(values / min(read)),
        "bytes_per_value": round(size / values, 3),
    }


def main(settings: Annotated[Path, typer.Option()]) -> None:
    """Measure and print."""
    folder = Path(load_settings(settings).lake, "snapshots")
    largest = max(folder.glob("*.parquet"), key=lambda path: path.stat().st_size)
    rows = pq.read_table(largest)
    polls = len(rows.column("poll_on").unique())
    for at_once, options in WAYS:
        cost = cost_of(rows, rows.num_rows // polls * at_once, options)
        cells = rows.num_rows // polls
        about = {"cells": cells, "polls": polls, "polls_in_group": at_once, **options}
        typer.echo(json.dumps(about | cost))


if __name__ == "__main__":
    typer.run(main)
