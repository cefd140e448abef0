r"""From lines to records: a CSV file as RFC 4180 has it, read so that no line is ever lost.

A field that begins with a quote ends at the next quote that is not doubled; between them may be
delimiters and line ends. Where that quote is followed by neither a delimiter nor the end of the
line, or never comes, or where a record of several lines has another number of fields than the
header, then a quote was left open: the record's first line is malformed, and reading resumes at the
next line. Other readers (Spark's, Python's, Arrow's, DuckDB's) drop the row that such a quote
swallows; docs/adr/0022 has the comparison.

Reading is linear in the length of the file: a line is looked at again only where the line before it
was malformed, every line that opens a quote ends a quoted field that began before it, and a record
is given up once it has too many fields.
"""

from collections import deque
from collections.abc import Iterator

from cas_spark.sources.text_files import LONGEST_LINE, Line, TooLong

QUOTE = '"'

Record = list[str] | str
"""The fields of a record; or, of one that is malformed, what is wrong with it, without its content:
that may hold personal data."""

OPEN_QUOTE = "a quote that is not followed by a delimiter or the end of the line"
NEVER_CLOSED = "a quote that is never closed"
TOO_LONG = f"a line of more than {LONGEST_LINE:,} characters"


class _Lines:
    """Lines of which those of a record, after its first, can be read again."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._size = 0
        self.further: list[Line] = []
        """Lines of the record after its first."""

    def first(self) -> Line | None:
        """The first line of the next record; None at the end of the file."""
        line = self._next()
        self.further, self._size = [], len(line) if isinstance(line, str) else 0
        return line

    def another(self) -> str | None:
        """The next line of the record; None where the file ends, or no record is that long."""
        if self._size > LONGEST_LINE or (line := self._next()) is None:
            return None
        self.further.append(line)
        if isinstance(line, TooLong):
            return None
        self._size += len(line) + 1
        return line

    def give_back(self) -> None:
        """Read the lines of the record after its first again, as lines of their own."""
        self._again.extendleft(reversed(self.further))

    def _next(self) -> Line | None:
        return self._again.popleft() if self._again else next(self._lines, None)


def records_of(
    lines: Iterator[Line],
    delimiter: str,
    fields: int | None = None,
    comment: str | None = None,
    *,
    trailing_delimiter: bool = False,
) -> Iterator[Record]:
    r"""Split the lines of a file into records; an empty line is none.

    Args:
        lines: without their ends.
        delimiter: one or more characters, no quote among them.
        fields: how many a record must have; None for any number.
        comment: how a line begins that is no record; None where there are no comments.
        trailing_delimiter: whether a delimiter may follow the last field.

    Example:
        >>> list(records_of(iter(['1,"a, b"', '2,"open', '3,"c"', '4']), ",", 2))
        [['1', 'a, b'], 'a quote that is not followed by a delimiter or the end of the line',
        ['3', 'c'], '1 field, not 2']
    """
    there = _Lines(lines)
    most = None if fields is None else fields + 1
    while (line := there.first()) is not None:
        if isinstance(line, TooLong):
            yield TOO_LONG
            continue
        if not line or (comment is not None and line.startswith(comment)):
            continue
        found: Record
        if QUOTE in line:
            found = _quoted_record(line, there, delimiter, most)
        else:
            found = line.split(delimiter, -1 if most is None else most)
        if isinstance(found, list) and fields is not None and len(found) != fields:
            if trailing_delimiter and len(found) == fields + 1 and not found[-1]:
                found.pop()
            else:
                found = _miscounted(len(found), fields, len(there.further))
        if isinstance(found, str):
            there.give_back()
        yield found


def _quoted_record(line: str, there: _Lines, delimiter: str, most: int | None) -> Record:
    """The record that begins with `line`; given up once it has more than `most` fields."""
    fields: list[str] = []
    at = 0
    while True:
        if line.startswith(QUOTE, at):
            value = _quoted_value(line, at + 1, there)
            if value is None:
                return NEVER_CLOSED
            text, line, at = value
            fields.append(text)
            if at == len(line):
                return fields
            if not line.startswith(delimiter, at):
                return OPEN_QUOTE
        else:
            end = line.find(delimiter, at)
            fields.append(line[at:] if end < 0 else line[at:end])
            if end < 0:
                return fields
            at = end
        if most is not None and len(fields) > most:
            return fields
        at += len(delimiter)


def _quoted_value(line: str, begin: int, there: _Lines) -> tuple[str, str, int] | None:
    """The value behind a quote, the line on which it ends, and the place behind its closing quote.

    None where the quote is never closed.
    """
    pieces: list[str] = []
    search = begin
    while True:
        quote = line.find(QUOTE, search)
        if quote < 0:
            pieces.append(line[begin:])
            following = there.another()
            if following is None:
                return None
            line, begin, search = following, 0, 0
        elif line.startswith(QUOTE, quote + 1):  # doubled: a character of the value
            search = quote + 2
        else:
            pieces.append(line[begin:quote])
            return "\n".join(pieces).replace(QUOTE * 2, QUOTE), line, quote + 1


def _miscounted(found: int, expected: int, further_lines: int) -> str:
    """What is wrong with a record; fields beyond the second too many were not counted."""
    counted = str(found) if found <= expected + 1 else f"more than {expected + 1}"
    noun = "field" if found == 1 else "fields"
    if not further_lines:
        return f"{counted} {noun}, not {expected}"
    return f"{counted} {noun} in {further_lines + 1} lines, not {expected}: an open quote?"
