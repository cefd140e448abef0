"""Reasons: what raises a chosen cell's forecast most, as numbers and in words that can be read.

They tell on what the forecast rests, not what causes crime there.
"""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from cas_spark.forecasting.forecast import INTERCEPT
from cas_spark.indicators.catalogue import ANY, Indicator

REASONS = 3
SAME_EVERYWHERE = ("calendar", "level")
"""Kinds of indicators that have one value for all cells of a team."""


def largest_reasons(contributions: Column, indicators: Sequence[Indicator]) -> Column:
    """The three indicators that raise a cell's logit most.

    The intercept, the calendar and the team's level are left out: they are the same in every cell.

    Args:
        contributions: as in `forecasts`.
        indicators: of the catalogue.

    Returns:
        An array of at most three (indicator, contribution), the largest first, ties by name; none
        that lowers the logit.
    """
    same_everywhere = [INTERCEPT, *(i.name for i in indicators if i.kind in SAME_EVERYWHERE)]

    def raises(pair: Column) -> Column:
        return (pair["contribution"] > 0) & ~pair["indicator"].isin(same_everywhere)

    def by_size(pair: Column) -> Column:
        return F.struct((-pair["contribution"]).alias("size"), pair["indicator"].alias("name"))

    ordered = F.array_sort(F.transform(F.filter(contributions, raises), by_size))
    return F.transform(
        F.slice(ordered, 1, REASONS),
        lambda pair: F.struct(
            pair["name"].alias("indicator"), (-pair["size"]).alias("contribution")
        ),
    )


def words_of(indicator: Indicator, titles: Mapping[str, str]) -> str:
    """An indicator in a few words.

    Args:
        indicator: of the catalogue.
        titles: priority -> its title in the settings.
    """
    what = "incidents of any priority" if indicator.of == ANY else titles.get(indicator.of or "")
    if what is None:
        return indicator.meaning
    if indicator.kind == "count":
        return f"{what} in the cell {indicator.when}"
    if indicator.kind == "density":
        near = f"(the nearer the more, falling off over {indicator.bandwidth_m} m)"
        return f"{what} around the cell {indicator.when} {near}"
    if indicator.kind == "weeks_since":
        where = "in or next to the cell" if indicator.is_of_block else "in the cell"
        return f"weeks since the last {what} {where}"
    return indicator.meaning


def sentence_of(reasons: Sequence[tuple[str, float]], words: Mapping[str, str]) -> str:
    """A sentence for the officer who reads the map.

    Args:
        reasons: (indicator, contribution), the largest first.
        words: indicator -> `words_of` it.
    """
    if not reasons:
        return "No indicator raises this cell above what holds for the whole team."
    said = "; ".join(f"{words.get(name, name)} ({value:+.2f})" for name, value in reasons)
    return f"Raised most by: {said}."
