"""A file appears whole or not at all, and never in place of another."""

import errno
import os
from pathlib import Path

import pytest

from cas_spark.platform.objects import LocalFolder, NoHardLinksError
from cas_spark.platform.storage import _put_if_absent_locally


def test_the_first_writer_of_a_name_wins_and_no_draft_stays(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "new")
    assert folder.names() == []
    assert folder.put_if_absent("a.json", b"first")
    assert not folder.put_if_absent("a.json", b"second")
    assert (folder.names(), folder.read("a.json")) == (["a.json"], b"first")
    folder.replace("a.json", b"third")
    assert folder.read("a.json") == b"third"
    assert os.listdir(folder.path) == ["a.json"]  # noqa: PTH208  # hidden drafts too


def test_a_draft_of_a_killed_writer_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".a.json-0123456789abcdef0123456789abcdef.unfinished").write_text("half")
    assert LocalFolder(tmp_path).names() == []


def test_a_file_system_without_hard_links_is_reported_and_the_marker_is_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(NoHardLinksError, match="Operation not permitted"):
        LocalFolder(tmp_path).put_if_absent("a.json", b"text")
    assert _put_if_absent_locally(tmp_path / "a.json", "text")
    assert not _put_if_absent_locally(tmp_path / "a.json", "other")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["text"]
