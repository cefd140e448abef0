"""A settings file is read as it is written, or refused with the line."""

from pathlib import Path

import pytest

from cas_spark.errors import SettingsError
from cas_spark.settings import load_settings
from cas_spark.settings.yaml_file import UnreadableError, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def read(folder: Path, content: str | bytes) -> object:
    path = folder / "file.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("a: 1\nb: 2\na: 3\n", ["key 'a' is given twice, on line 1 and on line 3"]),
        (
            "a:\n  b: {c: 1, d: 2,\n      c: 3}\n",
            ["key 'c' is given twice, on line 2 and on line 3"],
        ),
        ("l:\n- {x: 1,\n   x: 1}\n", ["key 'x' is given twice, on line 2 and on line 3"]),
        ("a: 1\n'a': 1\n", ["key 'a' is given twice, on line 1 and on line 2"]),
        (
            "a: 1\nb: {c: 1, c: 1}\na: 1\nd: {e: 1, e: 1}",
            ["key 'a' is given twice", "key 'c' is given twice", "key 'e' is given twice"],
        ),
        ("b: &b {x: 1}\nc:\n  <<: *b\n  <<: *b\n", ["key '<<' is given twice, on line 3 and"]),
    ],
)
def test_a_key_given_twice_is_named_with_both_lines(
    tmp_path: Path, content: str, problems: list[str]
) -> None:
    with pytest.raises(UnreadableError) as raised:
        read(tmp_path, content)
    assert len(raised.value.problems) == len(problems)
    for found, expected in zip(raised.value.problems, problems, strict=True):
        assert expected in found


def test_a_key_given_twice_in_an_extended_file_is_an_error_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "priorities:\n  burglary: {title: A}\n  burglary: {title: B}\n"
    )
    (tmp_path / "above.yaml").write_text("extends: base.yaml\nname: above\n")
    with pytest.raises(
        SettingsError, match="'burglary' is given twice, on line 2 and on"
    ) as raised:
        load_settings(tmp_path / "above.yaml")
    assert raised.value.path.name == "base.yaml"


def test_merge_keys_still_merge(tmp_path: Path) -> None:
    content = "x: &x {a: 1, b: 2}\ny: &y {c: 3}\nz: {<<: *x, b: 4}\nw: {<<: [*x, *y], d: 5}\n"
    assert read(tmp_path, content) == {
        "x": {"a": 1, "b": 2},
        "y": {"c": 3},
        "z": {"a": 1, "b": 4},
        "w": {"a": 1, "b": 2, "c": 3, "d": 5},
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (BOMB, "more than 100,000 values, aliases counted as copies"),
        ("a: &a [*a]", "line 1, column 4: an alias of what it stands in"),
        ("a: &a {<<: *a}", "an alias of what it stands in"),
        ("a: " + "[" * 5_000, "nested more than 40 deep"),
        ("\n".join(" " * depth + "a:" for depth in range(500)), "line 40, column 40: nested more"),
        ("a: " + "9" * 5_000, "reads as a whole number but not as it is written"),
        ("a: 0x" + "f" * 5_000, "reads as a whole number but not as it is written"),
        ("codes: [010]", "line 1, column 9: a value that YAML reads as a whole number but not as"),
        ("equals: [12:30]", "reads as a whole number but not as it is written"),
        ("a: 2024-02-30", "reads as a date but not as it is written"),
        ("a: !!float ''", "reads as a number but not as it is written"),
        ("a: !!binary eHg=", "a value of kind binary, which no setting has"),
        ("a: !!set {x, y}", "a value of kind set, which no setting has"),
        ("a: !!python/name:os.system", "a value of kind python/name:os.system"),
        ("2020: a", "line 1: key '2020' is no text"),
        ("a: 1\nno: b", "line 2: key 'no' is no text"),
        ("? [a]\n: b", "a list or mapping is no text"),
        ("a:\n\tb: 1", "line 2, column 1: while scanning for the next token"),
        ("a: 1\nb: \0", "line 2: the character U+0000, which YAML does not allow"),
        ('a: "\\0"', "a text that holds NUL or half a character"),
        ('a: "\\uD800"', "a text that holds NUL or half a character"),
        ('a: "\\UFFFFFFFF"', "an escape that names no character"),
        ("a: *b", "found undefined alias 'b'"),
        ("a: 1\n---\nb: 1", "expected a single document"),
        (b"a: 1\nb: gar\xe7on\n", "line 2: byte 0xE7 is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "byte 0xFF is not UTF-8"),
        (b"# " + b"x" * 1_000_001, "larger than 1,000,000 bytes"),
    ],
)
def test_what_would_be_misread_or_never_end_is_refused(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    with pytest.raises(UnreadableError) as raised:
        read(tmp_path, content)
    assert problem in str(raised.value)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\n") == {"a": 1, "b": "é"}


def test_an_error_quotes_no_line_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError) as raised:
        read(tmp_path, "tracking: {uri: 'postgresql://me:secret@host/db'\nname: x")
    assert "secret" not in str(raised.value)
    assert "line 2" in str(raised.value)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for path, problem in (
        (tmp_path, "a folder, expected a file"),
        (tmp_path / "none.yaml", "no such file"),
        (Path("/proc/self/mem"), "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "circle", ""),
    ):
        with pytest.raises(SettingsError) as raised:
            load_settings(path)
        assert problem in str(raised.value)


@pytest.mark.parametrize("content", ["", "- a\n", "text", "1", "null"])
def test_what_holds_no_named_settings_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match="expected named settings"):
        load_settings(path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b.yaml", "x\u0000"])
def test_what_extends_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(f"extends: {name!r}\n")
    with pytest.raises(SettingsError):
        load_settings(path)


@pytest.mark.parametrize(
    "name",
    ["a space.yaml", "ha#sh.yaml", "per%20cent.yaml", "quest?ion.yaml", "co:lon.yaml",
     "[x].yaml", "日本.yaml", "-dash.yaml", "$HOME.yaml", "new\nline.yaml"],
)  # fmt: skip
def test_a_settings_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    base = Path(__file__).parents[2] / "conf" / "demo.yaml"
    path = tmp_path / name
    path.write_text(base.read_text())
    (tmp_path / "above.yaml").write_text(f"extends: {name!r}\n" if "\n" not in name else "")
    settings = load_settings(path)
    assert settings.lake == str(tmp_path.parent / "data/demo/lake")
    if "\n" not in name:
        assert load_settings(tmp_path / "above.yaml") == settings
