"""What looks as if it told who somebody is must not be mapped; keys, moments and codes may."""

import numpy as np
import pytest

from cas_spark.sources.personal_data import (
    is_address,
    is_citizen_number,
    is_name,
    is_opaque,
    suspicion_of,
)


def mixed(some: list[str], others: list[str], share: float) -> list[str]:
    """A hundred values, of which a share are some of the first."""
    number = round(100 * share)
    return [some[i % len(some)] for i in range(number)] + [
        others[i % len(others)] for i in range(100 - number)
    ]


NAMES = ["Jan de Vries", "P. Jansen", "VRIES, Anna van der", "Zoë O'Brien-Smit"]
ADDRESSES = [
    "Kerkstraat 12",
    "Lange Dijk 3-B",
    "de Ruyterkade 117 bis",
    "1234 AB",
    "12 Main Street",
]
KEYS = ["9f86d081884c7d65", "P-000123", "c2f9e1d0-1b2a-4c3d-8e4f-5a6b7c8d9e0f"]


@pytest.mark.parametrize("value", NAMES)
def test_two_capitalised_words_and_nothing_else_look_like_a_name(value: str) -> None:
    assert is_name(value)


@pytest.mark.parametrize("value", ["Jansen", "the house", "A10", "2024-01-05 10:00", "Unit B 12"])
def test_a_single_word_a_code_or_a_moment_is_no_name(value: str) -> None:
    assert not is_name(value)


@pytest.mark.parametrize("value", [*ADDRESSES, "Kerkstraat 12a, 1234AB Ergens", "4 N Oak St"])
def test_a_street_with_a_house_or_a_postcode_looks_like_an_address(value: str) -> None:
    assert is_address(value)


@pytest.mark.parametrize(
    "value", ["5 August 2020", "3 Oct 2021 10:15", "2024-01-05T10:00", "BVH 2024123", "123456.5"]
)
def test_a_moment_or_a_case_is_no_address(value: str) -> None:
    assert not is_address(value)


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ("111222333", True),
        ("123456782", True),
        ("123456789", False),
        ("012345672", True),
        ("12345672", True),  # its zero was lost
        ("000000000", False),
        ("1112223330", False),
        ("20240105", False),
    ],
)
def test_citizen_numbers_pass_the_test_of_eleven(value: str, passes: bool) -> None:  # noqa: FBT001
    assert is_citizen_number(value) == passes
    digits = [int(digit) for digit in value.zfill(9)]
    if len(digits) == 9 and any(digits):
        total = sum((9 - i) * digits[i] for i in range(8)) - digits[8]
        assert (total % 11 == 0) == passes


@pytest.mark.parametrize("value", ["Jan de Vries", "Jansen", "jan2@example.org", "Kerkstraat 12"])
def test_a_key_has_a_digit_and_no_space(value: str) -> None:
    assert not is_opaque(value)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (mixed(["111222333"], KEYS, 0.51), "citizen numbers"),
        (mixed(NAMES, KEYS, 0.51), "capitalised words"),
        (mixed(ADDRESSES, KEYS, 0.21), "house number"),
        (["111222333"] * 3, "citizen numbers"),
        (["Jan de Vries"], "capitalised words"),
    ],
)
def test_a_column_is_suspected_from_its_share_on(values: list[str], why: str) -> None:
    for is_person in (False, True):
        found = suspicion_of(values, is_person=is_person)
        assert found is not None
        assert why in found


@pytest.mark.parametrize(
    "values",
    [
        [],
        KEYS,
        mixed(["111222333"], KEYS, 0.5),
        mixed(NAMES, KEYS, 0.49),
        mixed(ADDRESSES, KEYS, 0.2),
        ["111222333"] * 2,  # too few to tell
    ],
)
def test_below_its_share_it_is_not(values: list[str]) -> None:
    assert suspicion_of(values, is_person=True) is None


def test_random_keys_of_nine_digits_are_no_citizen_numbers() -> None:
    values = [str(key) for key in np.random.default_rng(5).integers(10**8, 10**9, 5000)]
    assert suspicion_of(values, is_person=True) is None


def test_the_person_must_be_a_key_and_other_columns_may_be_words() -> None:
    words = ["Jansen", "Smit", "Visser"]
    assert suspicion_of(words, is_person=False) is None
    found = suspicion_of(words, is_person=True)
    assert found is not None
    assert "opaque" in found
