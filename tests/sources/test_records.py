"""No line of a file is lost: a record that cannot be split costs its first line and no other."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cas_spark.sources.records import NEVER_CLOSED, OPEN_QUOTE, TOO_LONG, Record, records_of
from cas_spark.sources.text_files import LONGEST_LINE, Line, TooLong


def split(text: str, fields: int | None = None, **options: object) -> list[Record]:
    lines: Iterator[Line] = iter(text.split("\n"))
    return list(records_of(lines, str(options.pop("delimiter", ",")), fields, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('1,"a, b"', [["1", "a, b"]]),
        ('1,"say ""hi"""', [["1", 'say "hi"']]),
        ('1,"two\nlines"', [["1", "two\nlines"]]),
        ('1,"blank\n\nline"', [["1", "blank\n\nline"]]),
        ('"1",""\n\n2,', [["1", ""], ["2", ""]]),
        ('1,5" pipe', [["1", '5" pipe']]),  # a quote inside a field is a character of it
        ('1,"7 inch\n2,"ok"', [OPEN_QUOTE, ["2", "ok"]]),
        ('1,"7 inch\n2,ok\n3,ok', [NEVER_CLOSED, ["2", "ok"], ["3", "ok"]]),
        ('1,"7 inch\n2,8"\n3,ok', [["1", "7 inch\n2,8"], ["3", "ok"]]),
        (
            '1,"7 inch\n2,8",x\n3,ok',
            ["3 fields in 2 lines, not 2: an open quote?", "3 fields, not 2", ["3", "ok"]],
        ),
        ("1,2,3,4,5\n1,2", ["more than 3 fields, not 2", ["1", "2"]]),
        ('"1",2,3,4,5\n1,2', ["more than 3 fields, not 2", ["1", "2"]]),
        (
            'x","\n' * 4 + "1,2",
            [
                "more than 3 fields in 4 lines, not 2: an open quote?",
                *[NEVER_CLOSED] * 3,
                ["1", "2"],
            ],
        ),
    ],
)
def test_a_quoted_field_ends_before_a_delimiter_or_the_end_of_a_line(
    text: str, records: list[Record]
) -> None:
    assert split(text, 2) == records


def test_other_signs_divide_and_comments_are_no_rows() -> None:
    assert split("# made up\na||b|c\n#x", delimiter="||", comment="#") == [["a", "b|c"]]


def test_one_more_delimiter_is_allowed_only_where_the_settings_say_so() -> None:
    assert split("a,b,\na,b", 2) == ["3 fields, not 2", ["a", "b"]]
    assert split("a,b,\na,b\na,b,c", 2, trailing_delimiter=True) == [
        ["a", "b"],
        ["a", "b"],
        "3 fields, not 2",
    ]


def test_a_line_that_is_too_long_is_one_malformed_record() -> None:
    lines: list[Line] = ["a", TooLong(), '"b', TooLong(), "c"]
    assert list(records_of(iter(lines), ",", 1)) == [["a"], TOO_LONG, NEVER_CLOSED, TOO_LONG, ["c"]]


VALUE = st.text(st.sampled_from('ab,"\n;'), max_size=6)


@given(st.lists(st.lists(VALUE, min_size=2, max_size=3).map(lambda row: ["x", *row]), max_size=8))
def test_what_a_csv_writer_writes_is_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    assert split(text.getvalue()) == rows


def slowly(lines: list[str], fields: int) -> list[tuple[list[str] | None, int]]:
    """The records of some lines, and how many lines each takes: tries every number of lines."""
    found, at = [], 0
    while at < len(lines):
        taken = 1
        record = None
        for taken in range(1, len(lines) - at + 1):
            record = _one_record("\n".join(lines[at : at + taken]))
            if record is not None:
                break
        is_whole = record is not None and len(record) == fields
        found.append((record if is_whole else None, taken if is_whole else 1))
        at += taken if is_whole else 1
        while at < len(lines) and not lines[at]:
            at += 1
    return found


def _one_record(text: str) -> list[str] | None:
    """The fields of a text, character by character; None where a quote is open or misplaced."""
    fields, value, state = list[str](), "", "begin"
    for char in text:
        if state == "begin" and char == '"':
            state = "quoted"
        elif state == "quoted":
            state, value = ("closing", value) if char == '"' else ("quoted", value + char)
        elif state == "closing" and char == '"':
            state, value = "quoted", value + char
        elif char == ",":
            fields, value, state = [*fields, value], "", "begin"
        elif state == "closing" or char == "\n":
            return None
        else:
            state, value = "plain", value + char
    return None if state == "quoted" else [*fields, value]


@given(st.lists(st.text(st.sampled_from('a,"'), min_size=1, max_size=7), max_size=7))
@example(['"', 'a"', "a,a"])
def test_records_are_those_of_a_reader_that_tries_every_length(lines: list[str]) -> None:
    found = list(records_of(iter(lines), ",", 2))
    assert [record if isinstance(record, list) else None for record in found] == [
        record for record, _ in slowly(lines, 2)
    ]


@pytest.mark.parametrize(
    "line", ['"' * 301, 'x,"', 'x","', '"a', '"b","', '","', '""",""', '"' + "a" * 999]
)
def test_reading_looks_at_a_line_a_fixed_number_of_times(line: str) -> None:
    looks = 0

    def lines() -> Iterator[Line]:
        nonlocal looks
        for _ in range(2_000):
            looks += 1
            yield Counted(line)

    class Counted(str):
        __slots__ = ()

        def find(self, *arguments: object) -> int:
            nonlocal looks
            looks += 1
            return super().find(*arguments)  # type: ignore[arg-type]

    records = sum(1 for _ in records_of(lines(), ",", 3))
    signs = line.count('"') + line.count(",") + 2
    assert records >= 1
    assert looks <= 3 * 2_000 * signs
    assert len(line) < LONGEST_LINE
