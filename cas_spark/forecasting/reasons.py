"""Reasons: what raises a chosen cell above its team, as numbers and in sentences to be read.

They show what the forecast rests on, not what causes crime there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cas_spark.indicators.indicator import ANY, Indicator
from cas_spark.settings.settings import Priority

Doubles = npt.NDArray[np.float64]

REASONS = 3
REASON = pa.struct(
    [
        ("indicator", pa.string()),
        ("value", pa.float64()),
        ("contribution", pa.float64()),
        ("above_mean", pa.float64()),
    ]
)
RAISED_BY = pa.struct([("group", pa.string()), ("above_mean", pa.float64())])

Language = Literal["en", "nl"]

_NONE_RAISES = {
    "en": "No indicator raises this cell above the rest of its team.",
    "nl": "Geen kenmerk verhoogt dit vakje boven de rest van het team.",
}
_RAISED_BY = {"en": "Raised most by", "nl": "Vooral verhoogd door"}
_ANY_CRIME = {"en": "Incidents of any priority", "nl": "Incidenten van welk speerpunt ook"}
_IN_CELL = {"en": "in the cell", "nl": "in het vakje"}
_IN_BLOCK = {"en": "in the cell or next to it", "nl": "in het vakje of ernaast"}


def largest_reasons(
    names: Sequence[str], values: Doubles, contributions: Doubles, above_mean: Doubles
) -> pa.ListArray:
    """The three indicators that raise a cell's logit most above the mean of its team.

    What has one value for the whole team raises no cell above another, and so is never among them.

    Args:
        names: of the indicators.
        values: of the cells, shape (cells, indicators).
        contributions: to their logits, same shape.
        above_mean: how much more these are than on average in the team, same shape.

    Returns:
        Of each cell at most three REASON, the largest `above_mean` first, ties by name; none that
        lowers the logit.
    """
    by_name = np.argsort(np.argsort(names))
    order = np.lexsort((np.broadcast_to(by_name, above_mean.shape), -above_mean), axis=-1)
    order = order[:, :REASONS]
    is_raising = np.take_along_axis(above_mean, order, axis=1) > 0
    cell, _ = np.nonzero(is_raising)
    place = order[is_raising]
    columns = [pa.array(of_cells[cell, place]) for of_cells in (values, contributions, above_mean)]
    structs = pa.StructArray.from_arrays(
        [pa.array(names, pa.string()).take(pa.array(place)), *columns], fields=list(REASON)
    )
    return pa.ListArray.from_arrays(_offsets(is_raising.sum(axis=1)), structs)


def by_group(
    names: Sequence[str], above_mean: Doubles, catalogue: Iterable[Indicator]
) -> pa.ListArray:
    """How far each group of indicators raises cells' logits above the mean of their team.

    Args:
        names: of the indicators.
        above_mean: how much more their contributions are than on average, (cells, indicators).
        catalogue: all indicators; all of their groups are returned, in order.

    Returns:
        Of each cell a RAISED_BY for every group.
    """
    group_of = {indicator.name: indicator.group for indicator in catalogue}
    groups = sorted(set(group_of.values()))
    sums = np.zeros((len(above_mean), len(groups)))
    for name, of_cells in zip(names, above_mean.T, strict=True):  # one by one: the same everywhere
        sums[:, groups.index(group_of[name])] += of_cells
    named = pa.array(groups, pa.string()).take(pa.array(np.tile(np.arange(len(groups)), len(sums))))
    structs = pa.StructArray.from_arrays([named, pa.array(sums.ravel())], fields=list(RAISED_BY))
    return pa.ListArray.from_arrays(_offsets(np.full(len(sums), len(groups))), structs)


def _offsets(lengths: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())


def phrase_of(
    indicator: Indicator, value: float, priorities: Mapping[str, Priority], language: Language
) -> str:
    """What an indicator says of a cell, in a few words.

    Args:
        indicator: of the catalogue.
        value: of the cell, as `snapshots` holds it.
        priorities: of the settings.
        language: English or Dutch.
    """
    is_dutch = language == "nl"
    what = _ANY_CRIME[language]
    if indicator.of not in (ANY, None):
        priority = priorities[indicator.of or ""]
        what = (priority.title_nl or priority.title) if is_dutch else priority.title
    when = indicator.when_nl if is_dutch else indicator.when
    number = _number(value, language)
    if indicator.kind == "count":
        return f"{what}: {number} {_IN_CELL[language]} {when}"
    if indicator.kind == "density":
        near = (
            f"rond het vakje, gewogen naar afstand ({indicator.bandwidth_m} m)"
            if is_dutch
            else f"around the cell, weighed by distance ({indicator.bandwidth_m} m)"
        )
        return f"{what}: {number} {near} {when}"
    if indicator.kind == "weeks_since":
        where = (_IN_BLOCK if indicator.is_of_block else _IN_CELL)[language]
        ago = f"{number} weken geleden" if is_dutch else f"{number} weeks ago"
        return f"{what}: {'de laatste' if is_dutch else 'the last'} {where} {ago}"
    if indicator.group == "suspects":
        return f"{what}: {_of_suspects(indicator, value, language)}"
    meaning = indicator.meaning_nl if is_dutch else indicator.meaning
    if indicator.group == "area_statistics":
        number = _number(value, language, decimals=3 if abs(value) < 1 else 1)
    return f"{meaning}: {number}"


def _of_suspects(indicator: Indicator, value: float, language: Language) -> str:
    """Return the sentence on homes of suspects, which never identifies one."""
    radius, number, is_dutch = indicator.radius_m or 0, _number(value, language), language == "nl"
    is_one = value == 1
    if indicator.kind == "suspects" and is_dutch:
        who = "bekende verdachte woont" if is_one else "bekende verdachten wonen"
        return f"{number} {who} binnen {radius} m"
    if indicator.kind == "suspects":
        who = "known suspect lives" if is_one else "known suspects live"
        return f"{number} {who} within {radius} m"
    if value == 0:
        return (
            "in het vakje woont een bekende verdachte"
            if is_dutch
            else "a known suspect lives in the cell"
        )
    if value >= radius:
        return (
            f"binnen {radius} m woont geen bekende verdachte"
            if is_dutch
            else f"no known suspect lives within {radius} m"
        )
    return (
        f"het dichtstbijzijnde vakje waar een bekende verdachte woont ligt op {number} m"
        if is_dutch
        else f"the nearest cell where a known suspect lives is {number} m away"
    )


def _number(value: float, language: Language, decimals: int = 1) -> str:
    """With decimals where it has any, in the language's own way."""
    text = f"{value:.0f}" if value == round(value) else f"{value:.{decimals}f}"
    return text.replace(".", ",") if language == "nl" else text


def sentences_of(
    reasons: pa.ListArray,
    indicators: Mapping[str, Indicator],
    priorities: Mapping[str, Priority],
    language: Language = "en",
) -> pa.StringArray:
    """A sentence per cell for the officer who reads the map.

    Args:
        reasons: of `largest_reasons`, a list of REASON per cell; what is no indicator of these is
            left out.
        indicators: by name.
        priorities: of the settings.
        language: English or Dutch.
    """
    flat = reasons.flatten()
    is_known = pc.is_in(flat.field("indicator"), pa.array(indicators, pa.string()))
    flat, cells = flat.filter(is_known), pc.list_parent_indices(reasons).filter(is_known)
    pairs = list(
        zip(*(flat.field(name).to_pylist() for name in ("indicator", "value")), strict=True)
    )
    # Counts are small whole numbers, so few of many phrases differ.
    phrases = {
        (name, value): phrase_of(indicators[name], value, priorities, language)
        for name, value in set(pairs)
    }
    numbers = np.bincount(cells.to_numpy(), minlength=len(reasons))
    of_cells = pa.ListArray.from_arrays(
        _offsets(numbers), pa.array([phrases[pair] for pair in pairs], pa.string())
    )
    listed = pc.binary_join(of_cells, "; ")
    sentences = pc.binary_join_element_wise(f"{_RAISED_BY[language]}: ", listed, ".", "")
    return pc.if_else(pa.array(numbers > 0), sentences, _NONE_RAISES[language])
