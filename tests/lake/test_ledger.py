"""The ledger has one entry for each act, without a gap, and finds every change."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.errors import CasError
from cas_spark.lake.ledger import DESTROYED, START, Ledger

AT = datetime(2024, 1, 8, 12, tzinfo=UTC)


def three_entries(root: Path) -> Ledger:
    ledger = Ledger(root)
    for i in range(1, 4):
        ledger.append("advice", {"by": "officer", "text": f"advice {i}"}, AT)
    return ledger


def test_entries_are_numbered_from_one_and_chained(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (ledger.entries(), ledger.head()) == ([], (0, START))
    first = ledger.append("approval", {"by": "a"}, AT.astimezone(timezone(timedelta(hours=1))))
    second = ledger.append("advice", {"by": "b"}, AT)
    assert (first.number, first.before, first.at) == (1, START, AT)
    assert (second.number, second.before) == (2, first.hash())
    assert Ledger(tmp_path).entries() == [first, second]
    assert Ledger(tmp_path).head() == (2, second.hash())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(payload=st.dictionaries(st.text(), json_values, max_size=4))
def test_any_payload_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, payload: dict[str, Any]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("lake"))
    ledger.append("advice", payload, AT)
    assert [entry.payload for entry in ledger.entries()] == [payload]


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "kind": lambda entry: entry.update(kind="approval"),
    "instant": lambda entry: entry.update(at="2024-01-08T13:00:00+00:00"),
    "payload": lambda entry: entry["payload"].update(by="another"),
    "salt": lambda entry: entry.update(salt="0" * 64),
    "payload_without_salt": lambda entry: entry.update(salt=None),
    "payload_gone": lambda entry: entry.update(payload=None, salt=None),
    "number": lambda entry: entry.update(number=3),
    "before": lambda entry: entry.update(before=START),
    "another_field": lambda entry: entry.update(remark=1),
    "no_field": lambda entry: entry.clear(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_entry_is_found(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    ledger = three_entries(tmp_path)
    path = tmp_path / "ledger" / "0000000002.json"
    entry = json.loads(path.read_text())
    change(entry)
    path.write_text(json.dumps(entry))
    with pytest.raises(CasError, match=r"000000000[23]\.json"):
        ledger.entries()


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"at": 1}', "\x00"])
def test_a_damaged_last_entry_stops_the_next_one(tmp_path: Path, text: str) -> None:
    ledger = three_entries(tmp_path)
    (tmp_path / "ledger" / "0000000003.json").write_text(text)
    with pytest.raises(CasError, match=r"0000000003\.json: found no entry"):
        ledger.append("advice", {}, AT)


def test_a_person_s_file_among_the_entries_is_none(tmp_path: Path) -> None:
    ledger = three_entries(tmp_path)
    (tmp_path / "ledger" / "notes.txt").write_text("mine")
    assert ledger.append("advice", {}, AT).number == 4
    assert len(ledger.entries()) == 4


def test_a_missing_entry_is_found(tmp_path: Path) -> None:
    ledger = three_entries(tmp_path)
    (tmp_path / "ledger" / "0000000002.json").unlink()
    with pytest.raises(CasError, match=r"0000000002\.json: found 0000000003\.json in its place"):
        ledger.entries()


def test_a_destroyed_payload_leaves_no_byte_and_a_chain_that_verifies(tmp_path: Path) -> None:
    ledger = three_entries(tmp_path)
    for _ in range(2):  # a repetition changes nothing
        ledger.destroy_payload(2, {"by": "auditor", "reason": "order"}, AT)
    kept = ledger.entries()
    assert [(entry.kind, entry.payload is None) for entry in kept] == [
        ("advice", False),
        ("advice", True),
        ("advice", False),
        (DESTROYED, False),
    ]
    assert kept[3].payload == {"by": "auditor", "reason": "order", "number": 2}
    for file in (tmp_path / "ledger").iterdir():
        assert b"advice 2" not in file.read_bytes()
    for number in (4, 5):
        with pytest.raises(CasError, match="no entry with a payload to destroy"):
            ledger.destroy_payload(number, {}, AT)


APPENDING = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from cas_spark.lake.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    entry = ledger.append("advice", {"by": sys.argv[2], "i": i}, datetime(2024, 1, 8, tzinfo=UTC))
    print(entry.number, flush=True)
"""


def test_eight_processes_append_at_once_while_a_ninth_is_killed(tmp_path: Path) -> None:
    def start(name: str, times: int) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", APPENDING, str(tmp_path), name, str(times)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    killed = start("killed", 1_000_000)
    assert killed.stdout is not None
    killed.stdout.readline()
    others = [start(str(i), 25) for i in range(8)]
    os.kill(killed.pid, signal.SIGKILL)
    confirmed = [int(line) for line in killed.stdout.read().split()]
    killed.wait()
    for other in others:
        confirmed += [int(number) for number in other.communicate()[0].split()]
        assert other.returncode == 0
    entries = Ledger(tmp_path).entries()
    acts = {(e.payload["by"], e.payload["i"]) for e in entries if e.payload is not None}
    assert len(acts) == len(entries)
    assert acts >= {(str(p), i) for p in range(8) for i in range(25)}
    assert set(confirmed) <= {entry.number for entry in entries}
