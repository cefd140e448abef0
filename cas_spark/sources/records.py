r"""From lines to records: a CSV file as RFC 4180 has it, read so that no line is ever lost.

A field that begins with a quote ends at the next quote that is not doubled; between them may be
delimiters and line ends. Where that quote is followed by neither a delimiter nor the end of the
line, or never comes, or where a record of several lines has another number of fields than the
header, then a quote was left open: the record's first line is malformed, and reading resumes at the
next line. Other readers (Spark's, Python's, Arrow's, DuckDB's) drop the row that such a quote
swallows; docs/adr/0022 has the comparison.

Reading is linear in the length of the file: a line is looked at again only where the line before it
was malformed, and every line that opens a quote ends a search that began before it.
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
    """Lines that can be given back, to be read again."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()

    def next(self) -> Line | None:
        """The next line; None at the end of the file."""
        return self._again.popleft() if self._again else next(self._lines, None)

    def give_back(self, lines: list[Line]) -> None:
        """Read these lines, in their order, before any other."""
        self._again.extendleft(reversed(lines))


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
    while (line := there.next()) is not None:
        if isinstance(line, TooLong):
            yield TOO_LONG
            continue
        if not line or (comment is not None and line.startswith(comment)):
            continue
        taken: list[Line] = []
        found: Record
        if QUOTE in line:
            found = _quoted_record(line, there, delimiter, taken)
        else:
            found = line.split(delimiter)
        if isinstance(found, list) and fields is not None and len(found) != fields:
            if trailing_delimiter and len(found) == fields + 1 and not found[-1]:
                found.pop()
            else:
                found = _miscounted(len(found), fields, len(taken))
        if isinstance(found, str):
            there.give_back(taken)
        yield found


def _quoted_record(line: str, there: _Lines, delimiter: str, taken: list[Line]) -> Record:
    """The record that begins with `line`; lines after the first are put into `taken`."""
    fields: list[str] = []
    at = 0
    while True:
        if line.startswith(QUOTE, at):
            value = _quoted_value(line, at + 1, there, taken)
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
        at += len(delimiter)


def _quoted_value(
    line: str, begin: int, there: _Lines, taken: list[Line]
) -> tuple[str, str, int] | None:
    """The value behind a quote, the line on which it ends, and the place behind its closing quote.

    None where the quote is never closed.
    """
    pieces: list[str] = []
    search, size = begin, len(line)
    while True:
        quote = line.find(QUOTE, search)
        if quote < 0:
            pieces.append(line[begin:])
            following = there.next()
            if following is not None:
                taken.append(following)
            if not isinstance(following, str) or size > LONGEST_LINE:
                return None
            line, begin, search = following, 0, 0
            size += len(line) + 1
        elif line.startswith(QUOTE, quote + 1):  # doubled: a character of the value
            search = quote + 2
        else:
            pieces.append(line[begin:quote])
            return "\n".join(pieces).replace(QUOTE * 2, QUOTE), line, quote + 1


def _miscounted(found: int, expected: int, further_lines: int) -> str:
    noun = "field" if found == 1 else "fields"
    if not further_lines:
        return f"{found} {noun}, not {expected}"
    return f"{found} {noun} in {further_lines + 1} lines, not {expected}: an open quote?"
