"""Wrong settings and arguments: told all at once, before Spark starts, with exit code 2."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cas_spark import cli
from cas_spark.cli import lake, session
from cas_spark.errors import CasError, SettingsError
from cas_spark.settings import check_inputs, load_settings
from cas_spark.settings.redaction import print_redacted
from tests.toy import content_of_toy, write_settings, write_teams


@pytest.fixture(autouse=True)
def _no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"Spark was started for {name}")

    monkeypatch.setattr(session, "start_session", refuse)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.run_cli(list(arguments))
    captured = capsys.readouterr()
    return code, " ".join((captured.err + captured.out).split())


def written(folder: Path, content: dict[str, Any]) -> str:
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def test_all_problems_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = content_of_toy(tmp_path)
    content["horizon"] = {"current": 0}
    content["grid"]["crs"] = "EPSG:4326"
    content["polls"]["weekday"] = "moonday"
    code, text = told(capsys, "weekly", "--settings", written(tmp_path, content))
    assert code == 2
    assert "3 problems" in text
    assert "horizon: no such setting; did you mean horizons?" in text
    assert "geographic in degree: cells are squares of 125 m" in text
    assert "'moonday': give one of monday" in text


def test_both_ends_of_a_backtest_must_be_polls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_settings(tmp_path)
    ends = ("--from", "2024-01-09", "--to", "2024-01-10")
    code, text = told(capsys, "backtest", "--settings", str(path), *ends)
    assert code == 2
    assert "--from: poll 2024-01-09 is a tuesday" in text
    assert "--to: poll 2024-01-10 is a wednesday" in text


def test_a_missing_file_and_a_wrong_poll_day_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_settings(tmp_path)
    code, text = told(capsys, "weekly", "--settings", str(path), "--poll", "2024-01-09")
    assert code == 2
    assert "poll 2024-01-09 is a tuesday, expected a monday" in text
    assert f"no such file: {tmp_path}/teams.gpkg" in text
    assert f"no such file: {tmp_path}/incidents_*.csv*" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["weekly", "--settings", "nowhere.yaml"], "no such file"),
        (["weekly"], "Missing option '--settings'"),
        (["weekly", "--settings", "x.yaml", "--poll", "soon"], "does not match the format"),
        (["monthly", "--settings", "x.yaml"], "No such command 'monthly'"),
        (["experiment", "--settings", "x.yaml", "--name", "it's"], "give letters, digits, - and _"),
        (
            ["experiment", "--settings", "x.yaml", "--name", "a", "--weeks", "1"],
            "greater than or equal to 2",
        ),
        (["export-model", "--settings", "x.yaml", "--poll", "2024-01-08"], "Missing option"),
        (["experiment", "--settings", "x.yaml", "--name", "[/b]"], "give letters, digits, - and _"),
        (["experiment", "--settings", "x.yaml", "--name", "a" * 64], "at most 63"),
        (["[/b]", "--settings", "x.yaml"], "No such command '[/b]'"),
        (["weekly", "--settings", "[/b].yaml"], "[/b].yaml: found 1 problem - no such file"),
        (["weekly", "--settings", "x", "--poll", "0001-01-01"], "give a day from 1900-01-01 to"),
        (["retain", "--settings", "x", "--as-of", "9999-12-31"], "give a day from 1900-01-01 to"),
        (["rebuild", "--settings", "x", "--run", "9" * 30], "less than or equal to"),
        (["status", "--settings", "x", "--runs", "9" * 30], "less than or equal to"),
        (["weekly", "--settings", "/"], "a folder, expected a file"),
        (
            [
                *("export-model", "--settings", "x", "--poll", "2024-01-08", "--team", "[/b]"),
                *("--priority", "p", "--horizon", "h", "--to", "a[1]"),
            ],
            "give a path without * ? [ ] { } \\",
        ),
    ],
)
def test_wrong_arguments_exit_with_2(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(capsys, *arguments)
    assert code == 2
    assert text in said


def test_a_failure_says_what_to_do_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_settings(tmp_path)
    write_teams(tmp_path / "teams.gpkg")
    (tmp_path / "incidents_1.csv").write_text("x\n")

    def fail(name: str) -> None:
        raise CasError("the lake [red]", "nothing", "something", f"Start {name}")

    monkeypatch.setattr(session, "start_session", fail)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    code, text = told(capsys, "ingest", "--settings", str(path))
    assert code == 1
    assert text == (
        "the lake [red]: found nothing; expected something. Start cas-spark ingest toy To go on, "
        f"once the cause is mended: cas-spark ingest --settings {path} "
        "Readers still see the last complete run."
    )
    monkeypatch.setenv("SPARK_CONF_DIR", "/of/a cluster")
    arguments = ["--settings", str(path), "--as-of", "2024-01-01"]
    _, text = told(capsys, "retain", *arguments)
    assert f"SPARK_CONF_DIR='/of/a cluster' cas-spark retain {' '.join(arguments)}" in text


def test_no_error_log_or_traceback_shows_the_password_of_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = content_of_toy(tmp_path) | {
        "lake": "s3a://AKIA:Tr0ub4dor@bucket/lake",
        "tracking": {"uri": "http://127.0.0.1:1"},
        "resources": {"storage_access": "spark"},
    }
    path = written(tmp_path, content)
    code, text = told(capsys, "weekly", "--settings", path)
    assert code == 2
    assert "pseudonym_key: found none, and the lake s3a://AKIA:***@bucket/lake" in text

    def fail(name: str) -> None:
        logging.getLogger("cas_spark").warning("the lake %s is far away", content["lake"])
        raise CasError(f"the lake {content['lake']}", name, "another", "Wait")

    monkeypatch.setattr(session, "start_session", fail)
    _, text = told(capsys, "retain", "--settings", path, "--as-of", "2024-01-01")
    assert "the lake s3a://AKIA:***@bucket/lake: found" in text
    assert "Tr0ub4dor" not in text
    try:
        fail("")
    except CasError as error:
        print_redacted(type(error), error, error.__traceback__)
    text = capsys.readouterr().err
    assert "s3a://AKIA:***@bucket/lake" in text
    assert "Tr0ub4dor" not in text


def test_a_pattern_that_matches_nothing_is_told_with_all_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_settings(tmp_path, indicators={"leave_out": ["*_densty_*"]})
    code, text = told(capsys, "weekly", "--settings", str(path), "--poll", "2024-01-09")
    assert code == 2
    for problem in ("'*_densty_*' matches no indicator", "is a tuesday", "no such file"):
        assert problem in text
    assert told(capsys, "tables", "--settings", str(path))[0] == 2


def test_a_layer_and_an_extract_are_found_whatever_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "a [b] {c} * #1 é"
    folder.mkdir()
    path = write_settings(folder)
    with pytest.raises(SettingsError, match="2 problems"):
        check_inputs(path, load_settings(path))
    write_teams(folder / "teams.gpkg")
    content = content_of_toy(folder)
    content["incidents"]["register"]["files"] = str(folder / ("x" * 300))
    with pytest.raises(SettingsError, match="no such file: .*xxx"):
        check_inputs(path, load_settings(Path(written(folder, content))))
    content["incidents"]["register"]["files"] = str(folder / "incidents_[1].csv")
    (folder / "incidents_[1].csv").touch()
    plain = load_settings(Path(written(folder, content)))
    check_inputs(path, plain)


def test_help_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = told(capsys, "--help")
    assert code == 0
    for step in ("ingest", "grid", "snapshots", "train", "forecast", "evaluate", "weekly"):
        assert step in text


@pytest.mark.parametrize("command", [("ingest",), ("weekly",), ("weekly", "--dry-run")])
def test_a_source_to_read_again_must_be_one_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    path = write_settings(tmp_path)
    code, text = told(capsys, *command, "--settings", str(path), "--reread", "registry")
    assert code == 2
    assert "--reread registry: no such source, expected one of register" in text


def test_no_other_step_reads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_settings(tmp_path)
    code, text = told(capsys, "grid", "--settings", str(path), "--reread", "register")
    assert code == 2
    assert "--reread" in text


def test_figures_replace_a_file_of_such_figures_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    figures = pd.DataFrame({"year": [2023], "revisions": [7]})
    for _ in range(2):
        lake._write_csv(figures, path)
        assert path.read_text() == "year,revisions\n2023,7\n"
    for mine in ("", "year\n", "year,revisions,notes\n2023,7,mine\n", "\x89PNG\r\n"):
        path.write_text(mine, newline="")
        with pytest.raises(CasError, match="other content"):
            lake._write_csv(figures, path)
        assert path.read_bytes() == mine.encode()
