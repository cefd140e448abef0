"""Which challengers may be measured against the latest weekly run."""

from dataclasses import replace
from pathlib import Path

import pytest

from cas_spark.errors import CasError
from cas_spark.pipelines.experiment import champion_of
from tests.toy import POLL, content_of_toy, settings_of_toy
from tests.tracking.weeks import manifest_of

CHAMPION = settings_of_toy(Path("/champion"))
WEEKLY = manifest_of(CHAMPION, number=7, poll=POLL)


def test_a_challenger_may_change_how_models_are_made_and_where_things_lie() -> None:
    challenger = settings_of_toy(
        Path("/elsewhere"),
        title="Fewer",
        indicators={"leave_out": ["*_density_*"]},
        training={"engine": "mllib", "reg_param": 1.0},
        polls={"count": 52, "allow_short_history": True},
    )
    champion = champion_of(WEEKLY, challenger)
    assert (champion.run_number, champion.poll) == (7, POLL)
    assert champion.settings.training == CHAMPION.training
    assert champion.settings.polls == CHAMPION.polls
    assert champion.settings.lake == challenger.lake == "/elsewhere/lake"


def test_a_challenger_of_other_facts_is_told_each_difference() -> None:
    content = content_of_toy(Path("/elsewhere"))
    content["grid"]["version"] = "v2"
    content["incidents"]["register"]["priority"]["codes"]["burglary"] = ["B1"]
    changes = {
        "grid": content["grid"],
        "incidents": content["incidents"],
        "horizons": {"current": 0, "early_2w": 2},
        "polls": {"count": 52, "settling": {"days": 9}},
    }
    with pytest.raises(CasError) as told:
        champion_of(WEEKLY, settings_of_toy(Path("/elsewhere"), **changes))
    assert told.value.found.split("; ") == [
        "grid.version is 'v2', was 'v1'",
        "horizons.early_1w is not there, was 1",
        "horizons.early_2w is 2, was not there",
        "horizons.early_6w is not there, was 6",
        "incidents.register.priority.codes.burglary.0 is 'B1', was 'B*'",
        "polls.settling.days is 9, was None",
    ]
    assert "a lake of their own" in told.value.do


def test_without_a_weekly_run_there_is_no_champion() -> None:
    with pytest.raises(CasError, match="no complete weekly run.*Run `cas-spark weekly`"):
        champion_of(None, CHAMPION)


def test_a_weekly_run_by_settings_that_the_code_no_longer_knows_is_told() -> None:
    older = replace(WEEKLY, settings=WEEKLY.settings.replace('"horizons"', '"horizon"'))
    with pytest.raises(CasError, match="weekly run 7: found 1 .* such as horizon"):
        champion_of(older, CHAMPION)
