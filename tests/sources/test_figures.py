"""Rows add up to what the reader numbered, and an extract that is misread as a whole is refused."""

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.sources.figures import Figures, Rejections, check_some_are_used, figures_of
from tests.sources.deliveries import delivered, ids_of, row, settings_of, write


def figures(accepted: int = 0, revisions: int = 0, **rejected: int) -> Figures:
    rejections = {reason: Rejections(rows, 1, "?") for reason, rows in rejected.items()}
    read = accepted + revisions + sum(rejected.values())
    return Figures(read, accepted, revisions, rejections, 0, None, None)


@pytest.mark.parametrize(
    "found",
    [
        figures(malformed=3),
        figures(outside_teams=1),
        figures(other_code=10, known_unreadable=1),
        figures(a_test=1, coordinates_missing=9),
        figures(known_after_delivery=4),
    ],
)
def test_an_extract_of_which_no_row_can_be_used_is_refused(found: Figures, tmp_path: Path) -> None:
    [source] = settings_of(tmp_path).incidents
    with pytest.raises(CasError, match="no row that can be used .*incidents.register") as refused:
        check_some_are_used(found, source, "extract.csv")
    assert "Nothing was written" in str(refused.value)


@pytest.mark.parametrize(
    "found",
    [
        figures(accepted=1, malformed=99),
        figures(revisions=1, malformed=99),
        figures(duplicate=9, malformed=1),
        figures(erased=1, outside_teams=1),
        figures(past_term=5, malformed=1),
        figures(contradictory=1, malformed=1),
        figures(other_code=10),
        figures(other_code=10, a_test=1),
        figures(a_test=1),
    ],
)
def test_one_that_was_read_or_holds_nothing_wanted_is_not(found: Figures, tmp_path: Path) -> None:
    [source] = settings_of(tmp_path).incidents
    check_some_are_used(found, source, "extract.csv")


@pytest.mark.spark
@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"x": '"100010,5"'}, ["coordinates_missing is row 1", "'100010,5, 400010'", "decimal"]),
        ({"note": ","}, ["malformed is row 1", "trailing_delimiter"]),
        ({"known": "31/01/2020"}, ["known_unreadable is row 1", '"d/M/yyyy"', "known.formats"]),
        ({"code": "Q"}, ["unknown_code is row 1", "'Q'", "priority.codes"]),
    ],
)
def test_the_first_value_and_the_setting_stand_in_the_message(
    spark: SparkSession, tmp_path: Path, changes: dict[str, str], texts: list[str]
) -> None:
    rows = [row(**{"number": str(i), **changes}) for i in range(3)]
    with pytest.raises(CasError) as refused:
        delivered(spark, settings_of(tmp_path), write(tmp_path / "extract.csv", rows))
    assert all(text in str(refused.value) for text in texts), str(refused.value)


@pytest.mark.spark
def test_the_same_rows_again_are_all_duplicates_and_not_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path)
    path = write(tmp_path / "extract.csv", [row(number="1"), row(number="2", known="?")])
    first = delivered(spark, settings, path)
    again = delivered(spark, settings, path, ids_of(first))
    assert again.counts == {"read": 2, "accepted": 0, "revisions": 0, "rejected": 2}


@pytest.mark.spark
@pytest.mark.parametrize(
    "numbers",
    [[1, 2, 4], [1, 2, 2, 3], [2, 3], [1, 1, 3], [1, 3, 3, 3]],
    ids=["lost", "doubled", "first lost", "one lost and one doubled", "the sum of four"],
)
def test_rows_that_are_lost_or_doubled_are_a_fault_that_is_found(
    spark: SparkSession, numbers: list[int]
) -> None:
    def counted(rows: list[int]) -> Figures:
        values: list[tuple[Any, ...]] = [(n, None, None, None) for n in rows]
        schema = "row_number long, reason string, found string, known_at timestamp"
        frame = spark.createDataFrame(values, schema)
        return figures_of(frame, "extract.csv", F.lit(False), F.lit(True))

    assert counted([3, 1, 2]).accepted == 3
    with pytest.raises(CasError, match="extract.csv.*fault of the program"):
        counted(numbers)
