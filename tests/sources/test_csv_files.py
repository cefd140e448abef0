"""Whatever the bytes of a CSV file are, each of its records is a row or the file is refused."""

import gzip
import io
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cas_spark.errors import CasError
from cas_spark.settings.extracts import IncidentExtracts
from cas_spark.sources import csv_files
from tests.sources.deliveries import source_of


def read(content: bytes, columns: list[str], **changes: Any) -> list[list[Any]]:
    """Row number, what is malformed, and the wanted columns of every record of a file."""
    source = IncidentExtracts.model_validate({"name": "register", **source_of(**changes)})
    opening = partial(io.BytesIO, content)
    header = csv_files._header(opening, source, "extract")
    places = [header.index(name) for name in columns]
    batches = csv_files._batches(opening, source, "extract", len(header), places)
    return [list(row.values()) for batch in batches for row in batch.to_pylist()]


def test_text_is_as_a_person_sees_it() -> None:
    content = "\ufeff a\u00a0 ,b\n\u200b1-e\u0301\u00a0,\x00x\x1f\n\ufeff, \t\n".encode()
    assert read(content, ["a", "b"]) == [[1, None, "1-é", "x"], [2, None, None, None]]


def test_lines_around_the_header_and_comments_are_no_rows() -> None:
    content = b"Crimes of 2024\nmade up\n# x\na;b\ntext;number\n1;2\n#3;4\n5;6\n"
    form = {"delimiter": ";", "lines_before_header": 2, "lines_after_header": 1, "comment": "#"}
    assert read(content, ["b"], **form) == [[1, None, "2"], [2, None, "6"]]


def test_names_of_the_settings_stand_in_for_a_header_that_is_not_there() -> None:
    assert read(b"1\t2\n3\t4", ["y"], header=["x", "y"], delimiter="tab") == [
        [1, None, "2"],
        [2, None, "4"],
    ]


def test_an_open_quote_costs_one_row_of_twenty() -> None:
    lines = [
        f'{i},"{"7 inch pipe" if i == 3 else "ok"}{"" if i == 3 else chr(34)}' for i in range(20)
    ]
    found = read("\n".join(["id,remark", *lines]).encode(), ["id"])
    assert [row[0] for row in found] == list(range(1, 21))
    assert [row[0] for row in found if row[1] is not None] == [4]


def test_rows_are_numbered_through_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "ROWS_OF_A_BATCH", 3)
    content = "a\n" + "\n".join(f"v{i}" for i in range(1, 11))
    assert read(content.encode(), ["a"]) == [[i, None, f"v{i}"] for i in range(1, 11)]


BYTES = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [b"a", b",", b'"', b"\n", b"\r", b"\x00", b"\xc3\xa9", b"\xff", b"\xef\xbb\xbf"]
    ),
    max_size=40,
).map(b"".join)


@settings(max_examples=300)
@given(BYTES, st.sampled_from(["utf-8", "windows-1252", "utf-16"]))
def test_random_bytes_are_rows_without_a_gap_or_refused(content: bytes, encoding: str) -> None:
    whole = "a,b\n".encode(encoding) + content
    try:
        text = whole.decode(encoding)
    except UnicodeDecodeError:
        text = None
    if text is None:
        with pytest.raises(CasError, match=f"is not {encoding}|{encoding}"):
            read(whole, ["a", "b"], encoding=encoding)
        return
    found = read(whole, ["a", "b"], encoding=encoding)
    assert [row[0] for row in found] == list(range(1, len(found) + 1))
    if '"' not in text:  # then each line that is not empty is a record
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert len(found) == sum(1 for line in lines[1:] if line)


@settings(max_examples=100)
@given(st.binary(max_size=80), st.integers(10, 120))
def test_a_packed_file_that_is_cut_anywhere_is_refused(content: bytes, keep: int) -> None:
    packed = gzip.compress(b"a,b\n" + content)
    if keep < len(packed):
        with pytest.raises(CasError, match="found a broken compressed file"):
            read(packed[:keep], ["a", "b"], encoding="latin-1")
