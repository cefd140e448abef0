"""Bytes become lines by the encoding of the settings, or the file is refused with the place."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.errors import CasError
from cas_spark.sources import text_files
from cas_spark.sources.text_files import TooLong, lines_of


def lines(content: bytes, encoding: str = "utf-8") -> list[str | TooLong]:
    with lines_of(partial(io.BytesIO, content), encoding, "extract") as found:
        return list(found)


def zipped(content: bytes, *names: str, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lambda content: zipped(content, "a.csv")]
)
def test_what_is_packed_is_unpacked_whatever_the_file_is_called(
    pack: Callable[[bytes], bytes],
) -> None:
    assert lines(pack(b"a,b\n1,2\n")) == ["a,b", "1,2"]


def test_every_line_end_ends_a_line_and_the_mark_of_byte_order_is_no_text() -> None:
    assert lines("\ufeffa\r\nb\rc\n\nd".encode()) == ["a", "b", "c", "", "d"]
    assert lines("é\nü".encode("utf-16"), "utf-16") == ["é", "ü"]


@pytest.mark.parametrize(
    ("content", "encoding", "found"),
    [
        (b"a\n1-\xe9,x", "utf-8", "0xE9 in line 2, byte 4, which is not utf-8"),
        (b"a" * 3_000_000 + b"\nb\xff", "utf-8", "0xFF in line 2, byte 3,000,002"),
        (b"ok\r\n\x81", "windows-1252", "0x81 in line 2, byte 4, which is not windows-1252"),
        (b"a\rb\r\nc\xe9,x", "utf-8", "0xE9 in line 3, byte 6"),
        (b"a\nb\xc3", "utf-8", "0xC3 in line 2, byte 3"),  # cut off amid a character
        (b"a\nb\x80", "ascii", "0x80 in line 2, byte 3"),
    ],
)
def test_a_byte_that_does_not_fit_is_refused_with_line_and_byte(
    content: bytes, encoding: str, found: str
) -> None:
    with pytest.raises(CasError, match=f"extract: found {found}"):
        lines(content, encoding)
    with pytest.raises(CasError, match=f"extract: found {found}"):
        lines(gzip.compress(content), encoding)


def test_a_mark_of_utf_8_contradicts_another_encoding() -> None:
    with pytest.raises(CasError, match=r"extract: found a byte order mark of UTF-8.*encoding: utf"):
        lines("\ufeffid,\u00e9\n1,\u00e8".encode(), "windows-1252")


def test_a_mark_of_byte_order_does_not_cut_a_long_line_in_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_files, "LONGEST_LINE", 10)
    [line, end] = lines("\ufeff{}\nend".format("x" * 25).encode())
    assert isinstance(line, TooLong)
    assert end == "end"
    assert lines("\ufeff123456789\nend".encode()) == ["123456789", "end"]


def test_accents_of_windows_1252_stay_apart() -> None:
    assert lines("1-é\n1-è\n1-ë".encode("windows-1252"), "windows-1252") == ["1-é", "1-è", "1-ë"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda c: zipped(c, "a.csv")])
def test_a_packed_file_that_is_cut_off_or_damaged_is_refused(
    pack: Callable[[bytes], bytes],
) -> None:
    whole = pack(bytes(range(256)) * 99)
    for broken in (whole[: len(whole) // 2], whole[:40] + b"\x00" * 9 + whole[49:]):
        with pytest.raises(CasError, match="extract: found a broken compressed file"):
            lines(broken, "latin-1")


def test_a_damaged_stream_of_bzip2_is_not_taken_for_the_end() -> None:
    first, second = bz2.compress(b"a\n"), bz2.compress(b"b\n")
    assert lines(first + second) == ["a", "b"]
    for broken in (first + b"X" + second[1:], first + second[:-9], first + second[:2]):
        with pytest.raises(CasError, match="extract: found a broken compressed file"):
            lines(broken)


@given(st.data())
def test_any_byte_of_a_zip_may_be_another(data: st.DataObject) -> None:
    content = b"a,b\n" * 9
    packing = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_LZMA]))
    whole = bytearray(zipped(content, "\u00e9.csv", packing=packing))
    whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = None
    with suppress(CasError):
        found = lines(bytes(whole))
    assert found in (None, ["a,b"] * 9)


def test_workbooks_and_archives_of_several_files_are_refused_by_name() -> None:
    with pytest.raises(CasError, match=r"a workbook of a spreadsheet program.*CSV UTF-8"):
        lines(zipped(b"", "[Content_Types].xml", "xl/workbook.xml"))
    with pytest.raises(CasError, match="a workbook"):
        lines(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    with pytest.raises(CasError, match=r"a zip archive of 2 files \(a.csv, b.csv\)"):
        lines(zipped(b"x", "a.csv", "b.csv"))
    assert lines(zipped(b"x", "a.csv", "__MACOSX/._a.csv")) == ["x"]


def test_a_line_longer_than_any_is_marked_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_files, "LONGEST_LINE", 10)
    found = lines(b"123456789\n1234567890\n" + b"x" * 35 + b"\nend")
    assert [line if isinstance(line, str) else None for line in found] == [
        "123456789",
        None,
        None,
        "end",
    ]


@given(st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"])))
def test_lines_put_together_are_the_text(text: str) -> None:
    expected = text.removeprefix("\ufeff").removesuffix("\n").split("\n") if text else []
    found = lines(text.encode())
    assert found == (expected if text.removeprefix("\ufeff") else [])
