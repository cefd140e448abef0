"""What a manifest keeps of the settings is enough to make the week again."""

from cas_spark.settings import Settings
from tests.toy import settings_of_toy


def test_the_record_keeps_the_order_of_priorities_and_horizons() -> None:
    # Columns and sums go in this order, so another would make other bytes.
    settings = settings_of_toy(
        priorities={"robbery": {"title": "Robbery"}, "burglary": {"title": "Burglary"}},
        horizons={"later": 6, "current": 0},
    )
    again = Settings.model_validate_json(settings.as_json())
    assert again == settings
    assert list(again.priorities) == ["robbery", "burglary"]
    assert list(again.horizons) == ["later", "current"]
    assert again.sha256() == settings.sha256()
