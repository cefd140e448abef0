from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cas_spark.forecasting.reasons import (
    REASON,
    by_group,
    largest_reasons,
    phrase_of,
    sentences_of,
)
from cas_spark.indicators.catalogue import catalogue_of
from cas_spark.settings.geography import AreaStatistics
from cas_spark.settings.settings import Priority

PRIORITIES = {
    "burglary": Priority(title="Burglary", title_nl="Woninginbraak"),
    "robbery": Priority(title="Robbery"),
}
AREAS = AreaStatistics.model_validate(
    {
        "name": "area",
        "area": "id",
        "figures": [
            {
                "name": "people",
                "column": "n",
                "kind": "share_out",
                "unit": "people",
                "meaning": "inhabitants",
                "meaning_nl": "inwoners",
            },
            {
                "name": "rented",
                "column": "r",
                "kind": "average",
                "unit": "share",
                "meaning": "share of dwellings that are rented",
            },
        ],
        "editions": [{"path": "/a", "layer": "a", "published_on": "2020-01-01"}],
    }
)
CATALOGUE = catalogue_of(list(PRIORITIES), ["stations"], [AREAS], has_suspects=True)
INDICATORS = {i.name: i for i in CATALOGUE.indicators}


def reason(name: str, value: float, above_mean: float = 1.0) -> dict[str, Any]:
    return {"indicator": name, "value": value, "contribution": 0.5, "above_mean": above_mean}


def test_the_largest_reasons_raise_a_cell_above_its_team() -> None:
    every = {
        "season_sin": (1.0, 8.0, 0.0),  # large, but the same in every cell
        "robbery_count_4w": (2.0, 0.1, 0.5),
        "burglary_count_4w": (1.0, 0.1, 0.5),
        "any_count_52w": (7.0, 0.1, 0.25),
        "burglary_count_all": (9.0, 3.0, 0.125),
        "robbery_weeks_since": (260.0, -1.0, -1.0),
    }
    likely = np.array(list(every.values())).T
    unlikely = -np.abs(likely)
    cells = np.stack([likely, unlikely, likely], axis=1)  # value, contribution, above the mean
    found = largest_reasons(list(every), *cells)
    three = [
        {"indicator": name, "value": value, "contribution": 0.1, "above_mean": above}
        for name, value, above in (
            ("burglary_count_4w", 1.0, 0.5),
            ("robbery_count_4w", 2.0, 0.5),
            ("any_count_52w", 7.0, 0.25),
        )
    ]
    assert found.to_pylist() == [three, [], three]


def test_of_no_cells_or_no_indicators_there_are_no_reasons() -> None:
    for cells, names in ((0, ["any_count_52w"]), (2, list[str]())):
        nothing = np.empty((cells, len(names)))
        assert largest_reasons(names, nothing, nothing, nothing).to_pylist() == [[]] * cells
        assert len(by_group(names, nothing, INDICATORS.values())) == cells


@pytest.mark.parametrize(
    ("name", "value", "english", "dutch"),
    [
        (
            "burglary_count_4w",
            3.0,
            "Burglary: 3 in the cell in the last 4 weeks",
            "Woninginbraak: 3 in het vakje in de laatste 4 weken",
        ),
        (
            "burglary_density_250m_52w",
            4.25,
            "Burglary: 4.2 around the cell, weighed by distance (250 m) in the last 52 weeks",
            (
                "Woninginbraak: 4,2 rond het vakje, gewogen naar afstand (250 m) in de laatste "
                "52 weken"
            ),
        ),
        (
            "robbery_weeks_since_3x3",
            2.0,
            "Robbery: the last in the cell or next to it 2 weeks ago",
            "Robbery: de laatste in het vakje of ernaast 2 weken geleden",
        ),
        (
            "any_count_52w",
            8.0,
            "Incidents of any priority: 8 in the cell in the last 52 weeks",
            "Incidenten van welk speerpunt ook: 8 in het vakje in de laatste 52 weken",
        ),
        (
            "stations_within_500m",
            2.0,
            "number of stations within 500 m of the cell's centre: 2",
            "aantal stations binnen 500 m van het midden van het vakje: 2",
        ),
        (
            "area_people",
            15.28,
            "inhabitants, shared out over the area's cells by surface: 15.3",
            "inwoners, naar oppervlakte verdeeld over de vakjes van het gebied: 15,3",
        ),
        (
            "area_rented",
            0.0625,
            "share of dwellings that are rented, mean of the cell's areas by surface: 0.062",
            (
                "share of dwellings that are rented, gemiddeld over de gebieden van het vakje naar "
                "oppervlakte: 0,062"
            ),
        ),
        (
            "burglary_suspects_within_500m",
            3.0,
            "Burglary: 3 known suspects live within 500 m",
            "Woninginbraak: 3 bekende verdachten wonen binnen 500 m",
        ),
        (
            "robbery_suspects_within_1000m",
            1.0,
            "Robbery: 1 known suspect lives within 1000 m",
            "Robbery: 1 bekende verdachte woont binnen 1000 m",
        ),
        (
            "burglary_suspect_nearest_m",
            176.78125,
            "Burglary: the nearest cell where a known suspect lives is 176.8 m away",
            (
                "Woninginbraak: het dichtstbijzijnde vakje waar een bekende verdachte woont ligt "
                "op 176,8 m"
            ),
        ),
        (
            "burglary_suspect_nearest_m",
            0.0,
            "Burglary: a known suspect lives in the cell",
            "Woninginbraak: in het vakje woont een bekende verdachte",
        ),
        (
            "burglary_suspect_nearest_m",
            1625.0,
            "Burglary: no known suspect lives within 1625 m",
            "Woninginbraak: binnen 1625 m woont geen bekende verdachte",
        ),
    ],
)
def test_a_phrase_tells_the_number_in_both_languages(
    name: str, value: float, english: str, dutch: str
) -> None:
    assert phrase_of(INDICATORS[name], value, PRIORITIES, "en") == english
    assert phrase_of(INDICATORS[name], value, PRIORITIES, "nl") == dutch


def test_every_indicator_has_a_phrase() -> None:
    for indicator in INDICATORS.values():
        assert phrase_of(indicator, 1.0, PRIORITIES, "en")
        assert phrase_of(indicator, 1.0, PRIORITIES, "nl")


def test_a_sentence_joins_the_reasons_or_says_that_there_are_none() -> None:
    reasons = [
        [reason("burglary_count_4w", 3), reason("any_count_52w", 8)],
        [],
        [reason("gone", 1), reason("burglary_count_4w", 3)],
        [reason("gone", 1)],
    ]
    every = pa.array(reasons, pa.list_(REASON))
    both, none, known, unknown = sentences_of(every, INDICATORS, PRIORITIES).to_pylist()
    assert both == (
        "Raised most by: Burglary: 3 in the cell in the last 4 weeks; "
        "Incidents of any priority: 8 in the cell in the last 52 weeks."
    )
    assert known == "Raised most by: Burglary: 3 in the cell in the last 4 weeks."
    assert none == unknown == "No indicator raises this cell above the rest of its team."
    assert sentences_of(every.slice(1), INDICATORS, PRIORITIES).to_pylist() == [none, known, none]
    dutch = sentences_of(every, INDICATORS, PRIORITIES, "nl").to_pylist()
    assert dutch[0].startswith("Vooral verhoogd door: Woninginbraak: 3 ")
    assert dutch[1].startswith("Geen kenmerk")


def test_groups_add_up_what_raises_the_cell() -> None:
    names = ["burglary_count_4w", "any_count_52w", "burglary_density_250m_52w"]
    above_mean = np.array([[0.5, 0.25, -1.0], [0.5, 0.0, 0.0]])
    first, second = (
        {pair["group"]: pair["above_mean"] for pair in cell}
        for cell in by_group(names, above_mean, INDICATORS.values()).to_pylist()
    )
    groups = {indicator.group for indicator in INDICATORS.values()}
    assert first == dict.fromkeys(groups, 0.0) | {"history": 0.75, "near": -1.0}
    assert second == dict.fromkeys(groups, 0.0) | {"history": 0.5}
