"""Any name has a file of its own and a line that steers nothing."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.settings.texts import file_stems, lines, one_line
from tests.nasty import NASTY

LETTERS = set(string.ascii_letters + string.digits + "_.-~%")
ENDINGS = len(".geojson") + len("-journal")


def check(names: list[str]) -> None:
    stems = file_stems(names)
    assert set(stems) == set(names)
    folded = [stem.casefold() for stem in stems.values()]
    assert len(folded) == len(set(folded))  # also where a file system ignores capitals
    for stem in stems.values():
        assert set(stem) <= LETTERS
        assert stem
        assert stem[0] not in ".-"
        assert len(stem) + ENDINGS <= 255


@given(st.lists(st.text(max_size=60), unique=True, max_size=8))
def test_each_name_has_a_stem_that_no_other_shares(names: list[str]) -> None:
    check(names)


def test_nasty_names_have_files_of_their_own(tmp_path: Path) -> None:
    names = list(NASTY.values())
    check(names)
    for name, stem in file_stems(names).items():
        (tmp_path / f"{stem}.gpkg-journal").write_text(name)
    assert len(list(tmp_path.iterdir())) == len(names)


def test_plain_names_stand_for_themselves_and_as_before() -> None:
    assert file_stems(["A", "b", "a 1", "b/2"]) == {
        "A": "A", "b": "b", "a 1": "a%201", "b/2": "b%2F2"
    }  # fmt: skip


def test_a_stem_does_not_hang_on_the_other_names_unless_capitals_do() -> None:
    alone = file_stems(["日" * 100])["日" * 100]
    assert file_stems(["日" * 100, "x"])["日" * 100] == alone
    assert len(alone) < 120
    both = file_stems(["Noord", "noord"])
    assert both["Noord"].startswith("Noord~")
    assert both["noord"].startswith("noord~")


@given(st.text())
def test_a_line_steers_nothing(text: str) -> None:
    line = one_line(text)
    assert line.isprintable() or all(c.isprintable() or c not in "\n\r\x1b\x07\x9b" for c in line)
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\x1b[31mb", "a\\u001b[31mb"),
        ("a\nb\tc", "a\\u000ab c"),
        ("a\u202eb", "a\\u202eb"),
        ("\u2028", "\\u2028"),
        ("שלום \u200f é 😀", "שלום \u200f é 😀"),
    ],
)
def test_what_could_steer_stands_by_its_number(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_long_line_is_cut_and_says_so() -> None:
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"
    assert lines("a\nb\x07") == "a\nb\\u0007"
