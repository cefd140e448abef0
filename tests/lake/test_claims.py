"""What a claim on a lake says, and when its dates say nothing."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from cas_spark.lake import lease as lease_module
from cas_spark.lake.claims import Claim, Sighting, claim_in, text_of
from cas_spark.pipelines.reports.status import _heard

CLAIM = Claim("host", "machine", 1, {"1": "1", "2": None}, "weekly", "2024-01-01", 180)


def test_a_claim_is_read_as_it_was_written_whatever_a_newer_version_adds() -> None:
    assert claim_in(text_of(CLAIM)) == CLAIM
    assert claim_in(json.dumps(vars(CLAIM) | {"user": "a newer field"})) == CLAIM


@pytest.mark.parametrize("text", ["{", "", "[]", "1", "null", '"lease"', "[" * 100_000])
def test_a_text_that_is_no_claim_is_malformed(text: str) -> None:
    assert claim_in(text) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"holds_seconds": "180"},
        {"holds_seconds": None},
        {"holds_seconds": float("nan")},
        {"holds_seconds": float("inf")},
        {"holds_seconds": -1},
        {"processes": ["1"]},
        {"processes": {}},
        {"processes": {"one": "1"}},
        {"processes": {"1": 1}},
        {"processes": {"9" * 5000: "1"}},
        {"pid": "1"},
        {"host": None},
    ],
)
def test_a_claim_with_a_value_of_another_kind_is_malformed(changes: dict[str, Any]) -> None:
    assert claim_in(json.dumps(vars(CLAIM) | changes)) is None


@pytest.mark.parametrize(
    ("age_seconds", "holds_seconds", "is_over", "is_odd"),
    [
        (179, 180, False, False),
        (181, 180, True, False),
        (-5, 180, False, False),
        (-11, 180, False, True),
        (0, 600, False, False),
        (0, 601, False, True),
    ],
)
def test_only_a_claim_that_is_dated_ahead_or_asks_for_too_long_is_odd(
    age_seconds: float, holds_seconds: float, *, is_over: bool, is_odd: bool
) -> None:
    claim = replace(CLAIM, holds_seconds=holds_seconds)
    sighting = Sighting("lease-1.json", claim, age_seconds, (1.0, 0.0))
    assert (sighting.is_over, sighting.is_odd is not None) == (is_over, is_odd)


def test_where_no_clock_counts_sleep_the_monotonic_one_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert lease_module._clock() == pytest.approx(time.monotonic(), abs=1)


def test_status_says_of_a_claim_that_is_dated_ahead_that_it_is() -> None:
    assert _heard(7.4) == "last heard of 7 s ago"
    assert _heard(-3.0) == "last heard of 0 s ago"
    assert _heard(-3600.0) == "last heard of 3600 s ahead of this machine's clock"
