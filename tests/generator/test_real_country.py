"""A real country's totals are met, gaps filled as told, and crime as uneven as it is told."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cas_spark.errors import CasError
from cas_spark.generator import generate_incidents
from cas_spark.generator.real_country import (
    Country,
    as_uneven_as,
    filled,
    gini_of,
    read_country,
    shared_out,
    totals_of,
    weigh_areas,
)
from cas_spark.settings import load_settings
from cas_spark.settings.generator import GeneratedOffence, RealCountry
from tests.sources.towns import BURGLARY, FIGHT, ZONE, written_country

NL = Path(__file__).parents[2] / "conf" / "nl.yaml"


def test_a_municipality_follows_the_others_in_a_year_that_lacks_it() -> None:
    known = pd.DataFrame({2019: [100.0, np.nan], 2022: [50.0, 20.0]}, index=["old", "new"])
    found = filled(known, [2018, 2019, 2020, 2022, 2023])
    # The others halved from 2019 to 2022; before, between and after are nearest or on the line.
    assert list(found.loc["new"]) == pytest.approx([40, 40, 40 - 20 / 3, 20, 20])
    assert list(found.loc["old"]) == pytest.approx([100, 100, 100 - 50 / 3, 50, 50])


def test_a_municipality_of_which_nothing_is_told_has_no_total() -> None:
    known = pd.DataFrame({2019: [100.0, np.nan]}, index=["told", "silent"])
    assert filled(known, [2019]).index.tolist() == ["told"]


@given(
    hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0.01, 1000)),
    st.integers(0, 10_000),
)
def test_what_is_shared_out_adds_up_and_is_within_one_of_the_share(
    weights: np.ndarray, number: int
) -> None:
    parts = shared_out(weights, number)
    assert parts.sum() == number
    assert (np.abs(parts - weights / weights.sum() * number) < 1).all()


@given(hnp.arrays(np.float64, st.integers(2, 30), elements=st.floats(0.01, 1000)))
def test_the_gini_coefficient_is_half_the_mean_difference_over_the_mean(
    values: np.ndarray,
) -> None:
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert gini_of(values) == pytest.approx(differences / 2 / values.mean())


def test_weights_are_stretched_to_the_coefficient_asked() -> None:
    log_weights = np.random.default_rng(1).standard_normal(60)
    for asked in (0.2, 0.5, 0.8):
        assert gini_of(np.exp(as_uneven_as(log_weights, asked))) == pytest.approx(asked, abs=1e-6)


def test_offences_without_a_figure_add_up_to_the_number_of_the_country(tmp_path: Path) -> None:
    settings = written_country(tmp_path)
    offences = {
        "burglary": BURGLARY.model_copy(update={"figure": "burglaries"}),
        "fight": FIGHT.model_copy(update={"incidents_per_year": 31, "yearly_change": -0.5}),
    }
    totals = totals_of(read_country(settings), settings, offences, [2020, 2021])
    found = {
        (offence, year): rows.sort_values("total_id")["incidents"].tolist()
        for (offence, year), rows in totals.groupby(["offence", "year"])
    }
    assert found["burglary", 2020] == [200, 100]
    assert found["fight", 2020] == [21, 10]
    assert sum(found["fight", 2021]) == 16


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = written_country(tmp_path)
    offences = {"burglary": BURGLARY.model_copy(update={"figure": "robberies"})}
    with pytest.raises(CasError, match="no columns robberies"):
        totals_of(read_country(settings), settings, offences, [2020])


class TestTheNetherlands:
    """What conf/nl.yaml generates, held to the real figures."""

    @pytest.fixture(scope="class")
    def settings(self) -> RealCountry:
        generator = load_settings(NL).generator
        assert generator is not None
        assert generator.country is not None
        if not Path(generator.country.areas.path).is_file():
            pytest.skip("the data of the Netherlands are not here")
        return generator.country

    @pytest.fixture(scope="class")
    def offences(self) -> Mapping[str, GeneratedOffence]:
        generator = load_settings(NL).generator
        assert generator is not None
        return generator.offences

    @pytest.fixture(scope="class")
    def country(self, settings: RealCountry) -> Country:
        return read_country(settings)

    @pytest.fixture(scope="class")
    def incidents(
        self,
        country: Country,
        settings: RealCountry,
        offences: Mapping[str, GeneratedOffence],
    ) -> pd.DataFrame:
        """All incidents of two years of the figures, one of them with gaps."""
        generator = load_settings(NL).generator
        assert generator is not None
        years = [2019, 2020]
        totals = totals_of(country, settings, offences, years)
        return generate_incidents(
            weigh_areas(country, offences, generator.seed),
            totals,
            offences,
            window=(generator.start, generator.start.replace(year=2021)),
            seed=generator.seed,
            zone=ZONE,
            places_per_km2=4,  # fewer places than the settings' own, for the time it takes
        )

    def test_every_neighbourhood_has_a_municipality(self, country: Country) -> None:
        assert len(country.areas) == 12_229
        assert country.areas["total_id"].nunique() == 342

    def test_yearly_totals_per_municipality_are_the_real_ones(
        self,
        country: Country,
        settings: RealCountry,
        offences: Mapping[str, GeneratedOffence],
        incidents: pd.DataFrame,
    ) -> None:
        municipality = country.areas.set_index("area_id")["total_id"]
        counted = incidents.assign(
            total_id=incidents["area_id"].map(municipality),
            year=incidents["occurred_at"].dt.year,
        )
        real = pd.read_parquet(settings.figures.path)
        real = real[real[settings.figures.year] == 2019].set_index(settings.figures.municipality)
        checked = 0
        for name, offence in offences.items():
            of_name = counted[(counted["offence"] == name) & (counted["year"] == 2019)]
            if offence.figure is None:
                assert len(of_name) == offence.incidents_per_year
                continue
            told = real[offence.figure].dropna()
            told = told[told.index.isin(municipality)]
            found = of_name.groupby("total_id").size().reindex(told.index, fill_value=0)
            assert ((found - told).abs() <= np.maximum(1, 0.05 * told)).all(), name
            checked += len(told)
        assert checked > 5 * 330

    def test_crime_is_about_as_concentrated_as_it_really_is(
        self, country: Country, incidents: pd.DataFrame
    ) -> None:
        per_area = incidents.groupby("area_id").size()
        areas = country.areas.assign(number=country.areas["area_id"].map(per_area).fillna(0))
        found = areas.groupby("total_id")["number"].agg(lambda values: gini_of(values.to_numpy()))
        large = areas.groupby("total_id").size()
        both = pd.DataFrame({"found": found, "asked": country.gini, "areas": large}).dropna()
        both = both[both["areas"] >= 10]
        assert len(both) > 250
        assert (both["found"] - both["asked"]).abs().median() < 0.04
        assert np.corrcoef(both["found"], both["asked"])[0, 1] > 0.85
