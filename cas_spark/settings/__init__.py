"""What a user may set: typed, frozen, unknown keys refused before Spark starts."""

from cas_spark.settings.loading import check_inputs, load_settings
from cas_spark.settings.settings import Settings

__all__ = ["Settings", "check_inputs", "load_settings"]
