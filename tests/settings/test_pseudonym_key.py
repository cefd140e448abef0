"""A key cannot be guessed, is read by its owner only, and lies outside the lake."""

import base64
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from cas_spark.errors import CasError, SettingsError
from cas_spark.settings import check_inputs, load_settings
from cas_spark.settings.pseudonym_key import PseudonymKey, weakness_of
from tests.toy import KEY, settings_of_toy, write_toy

WEAK = {
    b"": "nothing",
    b"only 15 bytes..": "15 bytes",
    b"0" * 16: "bits",
    b"0" * 64: "different bytes",
    bytes(16): "different bytes",
    b"0123456789abcdef" * 4: "pattern",
    bytes(range(16)).hex().encode(): "pattern",
    b"abcdefghijklmnopqrstuvwxyz0123": "pattern",
    b"aaaabbbbccccddddeeeeffffgggghhhh": "pattern",
    b"x7Kq9ZtW" * 4: "pattern",
    b"correct horse battery staple again": "words",
    b"Summer-Holiday-Amsterdam-Autumn": "words",
    b"31415926535897932384626": "characters",
    b"9f1c27d3a85be460": "bits",  # 16 characters, but only 64 bits
}


def test_a_random_key_that_looks_like_short_words_is_taken() -> None:
    assert weakness_of(b"Pltvg-vsiWmFujwxo4kAme-WcgFhRNqzSNMWKMWfDNY") is None


@pytest.mark.parametrize(("key", "found"), WEAK.items())
def test_a_key_that_can_be_guessed_is_refused(key: bytes, found: str) -> None:
    assert found in str(weakness_of(key))


@budget(max_examples=300)
@given(st.randoms(use_true_random=True))
def test_random_keys_of_the_usual_forms_are_taken(random: object) -> None:
    secret = random.randbytes(32)  # type: ignore[attr-defined]
    for key in (secret[:16], secret.hex().encode(), secret[:16].hex().upper().encode()):
        assert weakness_of(key) is None
    assert weakness_of(base64.b64encode(secret)) is None
    assert weakness_of(base64.urlsafe_b64encode(secret).rstrip(b"=")) is None


def key_in(folder: Path, mode: int = 0o600, content: str = f"{KEY}\n") -> PseudonymKey:
    file = folder / "a.key"
    file.write_text(content, encoding="ascii")
    file.chmod(mode)
    return PseudonymKey(file=str(file))


def test_a_key_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    assert key_in(tmp_path).read() == KEY.encode()
    assert key_in(tmp_path, 0o400).read() == KEY.encode()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(CasError, match=f"mode {mode:04o}.*chmod 600 '{tmp_path}/a.key'"):
        key_in(tmp_path, mode).read()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.key", 0o600)
    with pytest.raises(CasError, match="a folder, pipe or device"):
        PseudonymKey(file=str(tmp_path / "a.key")).read()


def test_a_large_file_taken_for_a_key_is_judged_at_once(tmp_path: Path) -> None:
    start = time.process_time()
    with pytest.raises(CasError, match="pattern"):
        key_in(tmp_path, content="abcdefgh" * 100_000 + "!").read()
    assert time.process_time() - start < 5


def test_a_new_key_is_for_its_owner_only_and_never_replaces_one(tmp_path: Path) -> None:
    place = PseudonymKey(file=str(tmp_path / "keys" / "new.key"))
    assert place.is_missing
    place.make()
    key = place.read()
    assert stat.S_IMODE(Path(str(place.file)).stat().st_mode) == 0o600
    place.make()
    assert place.read() == key
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["new.key"]
    with pytest.raises(CasError, match="No such file"):
        PseudonymKey(file=str(tmp_path / "none")).read()


def test_without_a_place_it_is_beside_a_lake_in_a_local_folder(tmp_path: Path) -> None:
    assert settings_of_toy(tmp_path).key.file == str(tmp_path / "lake.key")
    assert settings_of_toy(lake=f"file://{tmp_path}/lake").key.file == str(tmp_path / "lake.key")
    with pytest.raises(CasError, match="not a local folder; expected the place of the key"):
        settings_of_toy(lake="s3a://bucket/lake").key  # noqa: B018  # reading it is what fails


@pytest.mark.parametrize("inside", ["lake/key", "lake/../lake/keys/a", "link/key"])
def test_a_key_inside_the_lake_is_refused(tmp_path: Path, inside: str) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    settings = settings_of_toy(tmp_path, pseudonym_key={"file": str(tmp_path / inside)})
    with pytest.raises(CasError, match="a place inside the lake"):
        settings.key  # noqa: B018


def test_what_is_wrong_with_a_key_is_told_before_spark_starts(tmp_path: Path) -> None:
    path = write_toy(tmp_path)
    check_inputs(path, load_settings(path))
    (tmp_path / "lake.key").unlink()
    check_inputs(path, load_settings(path))  # a new lake gets one
    key_in(tmp_path, content="0" * 16).make()
    (tmp_path / "a.key").rename(tmp_path / "lake.key")
    with pytest.raises(SettingsError, match="64 bits"):
        check_inputs(path, load_settings(path))
