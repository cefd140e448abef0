"""Reads one YAML file, and refuses what would be misread in silence or end in a traceback.

Beside what PyYAML refuses: keys that are given twice or are no text, numbers that YAML reads as
another (`010` is 8, `12:30` is 750), characters that are none, kinds of values that no setting has,
and files that are too large, too deep, or grow without bound through their aliases.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

LARGEST_BYTES = 1_000_000
DEEPEST = 40
MOST_VALUES = 100_000
"""Values of a file once each alias stands for its own copy; far more than any settings need."""

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_KINDS = {"map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge"}
_PLAIN_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,29})")
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")


class UnreadableError(ValueError):
    """A file that cannot be read; `problems` say why, and quote no value of the file."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        UnreadableError: there is no such file, or it cannot be read as YAML.
    """
    text = _text_of(path)
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        # PyYAML's own text quotes the line, which may hold a password.
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        place = _place(error.problem_mark or error.context_mark)
        raise UnreadableError(f"not YAML: {place}{problem}") from None
    except yaml.reader.ReaderError as error:
        line = 1 + text.count("\n", 0, error.position)
        found = f"the character U+{ord(text[error.position]):04X}"
        raise UnreadableError(
            f"not YAML: line {line}: {found}, which YAML does not allow"
        ) from None
    except OverflowError as error:  # an escape such as \UFFFFFFFF
        raise UnreadableError("not YAML: an escape that names no character") from error


def _text_of(path: Path) -> str:
    try:
        if path.is_dir():
            raise UnreadableError("a folder, expected a file")
        if not path.is_file():
            raise UnreadableError("no such file")
        if path.stat().st_size > LARGEST_BYTES:
            raise UnreadableError(f"larger than {LARGEST_BYTES:,} bytes, which no settings are")
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        byte = content[error.start]
        raise UnreadableError(f"line {line}: byte 0x{byte:02X} is not UTF-8: save it so") from error


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the checks of this module."""

    _depth = 0

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        if _values_in(node, {}) > MOST_VALUES:
            raise UnreadableError(f"more than {MOST_VALUES:,} values, aliases counted as copies")
        problems = list(_problems_of(node, set()))
        if problems:
            raise UnreadableError(*problems)
        return self.construct_document(node)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self._depth == DEEPEST:
            event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
            place = _place(event.start_mark)
            raise UnreadableError(f"{place}nested more than {DEEPEST} deep, which no settings are")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        try:
            return super().construct_object(node, deep=deep)
        except UnreadableError:
            raise
        except (ValueError, OverflowError, LookupError) as error:
            raise UnreadableError(f"{_place(node.start_mark)}{_misread(node)}") from error


def _values_in(node: Node, known: dict[int, int | None]) -> int:
    """How many values a node holds, each alias counted as the copy that it stands for."""
    if id(node) in known:
        values = known[id(node)]
        if values is None:
            raise UnreadableError(f"{_place(node.start_mark)}an alias of what it stands in")
        return values
    known[id(node)] = None
    known[id(node)] = values = 1 + sum(_values_in(part, known) for part in _parts_of(node))
    return values


def _parts_of(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _problems_of(node: Node, seen: set[int]) -> Iterator[str]:
    """What would be misread in a node, before merge keys are resolved."""
    if id(node) in seen:
        return
    seen.add(id(node))
    place = _place(node.start_mark)
    kind = node.tag.removeprefix(_TAG)
    if kind not in _KINDS:
        yield f"{place}a value of kind {kind}, which no setting has"
    elif isinstance(node, ScalarNode):
        is_other = (kind == "int" and not _PLAIN_INT.fullmatch(node.value)) or (
            kind == "float" and ":" in node.value
        )
        if is_other:
            yield f"{place}{_misread(node)}"
        elif _NO_CHARACTER.search(node.value):
            yield f"{place}a text that holds NUL or half a character"
    elif isinstance(node, MappingNode):
        yield from _problems_of_keys(node)
    for part in _parts_of(node):
        yield from _problems_of(part, seen)


def _problems_of_keys(node: MappingNode) -> Iterator[str]:
    """Keys that are given twice, and keys that are no text."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode) or key.tag not in (f"{_TAG}str", _MERGE):
            found = f"key {key.value!r}" if isinstance(key, ScalarNode) else "a list or mapping"
            yield f"line {line}: {found} is no text, which a key is: put it in quotes"
        elif key.value in lines:
            yield (
                f"key {key.value!r} is given twice, on line {lines[key.value]} and on line {line}: "
                "leave one of them"
            )
        else:
            lines[key.value] = line


def _misread(node: Node) -> str:
    kind = {"int": "a whole number", "float": "a number", "timestamp": "a date"}
    found = node.tag.removeprefix(_TAG)
    return (
        f"a value that YAML reads as {kind.get(found, found)} but not as it is written: put a text "
        "in quotes, and write a number in decimals"
    )
