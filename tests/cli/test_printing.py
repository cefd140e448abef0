"""Nothing in a text is taken for markup, emoji or commands of the terminal."""

import logging

import pytest

from cas_spark.cli.printing import (
    LogHandler,
    console_of_errors,
    print_error,
    print_report,
)
from cas_spark.platform.progress import bars
from cas_spark.reporting import Report, ReportTable
from cas_spark.settings.texts import lines, one_line
from tests.nasty import NASTY


def unfolded(text: str) -> str:
    """A printed text without the frame and the breaks of a table."""
    return "".join(text.split()).replace("│", "").replace("┃", "")


@pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)
class TestNastyNames:
    def test_in_a_table_and_a_line(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        table = ReportTable(name, [name, "b"], [[name, name]])
        print_report(Report([table], [f"line {name}"]))
        said = capsys.readouterr().out
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert f"line {one_line(name)}" in said

    def test_in_an_error(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        print_error(console_of_errors(), f"team {name}: found\nnothing")
        said = capsys.readouterr().err
        assert "\x1b" not in said
        assert unfolded(said).endswith("foundnothing")
        assert unfolded(lines(name)) in unfolded(said)

    def test_in_a_log(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        handler = LogHandler(console=console_of_errors(), show_path=False, show_level=False)
        handler.emit(logging.LogRecord("cas_spark", logging.INFO, "", 0, "team %s", (name,), None))
        said = capsys.readouterr().err
        assert "\x1b" not in said
        assert "team" in said

    def test_in_a_bar(self, name: str) -> None:
        console = console_of_errors()
        console._force_terminal = True
        with bars(console)(name, 2) as advance:
            advance(1)


def test_a_table_shows_brackets_and_colons_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(Report([ReportTable("[b]t[/b]", ["[red]c"], [["[/x] :smile:"]])], ["[i]"]))
    said = capsys.readouterr().out
    for text in ("[b]t[/b]", "[red]c", "[/x] :smile:", "[i]"):
        assert text in said
