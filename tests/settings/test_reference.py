from pathlib import Path

from cas_spark.settings.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_settings_reference_is_up_to_date() -> None:
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == reference(), "run `make docs`"
