"""The settings with which a past run was made, from its manifest."""

from pydantic import ValidationError

from cas_spark.errors import CasError
from cas_spark.lake.manifest import Manifest
from cas_spark.settings import Settings


def settings_of(manifest: Manifest) -> Settings:
    """The settings of a complete run; places are where things lay then.

    Raises:
        CasError: this code can no longer read them.
    """
    try:
        return Settings.model_validate_json(manifest.settings)
    except ValidationError as error:
        raise CasError(
            what=f"the settings of the {manifest.step} run {manifest.number}",
            found=f"{error.error_count()} that this code does not know, such as "
            f"{'.'.join(map(str, error.errors()[0]['loc']))}",
            expected="settings of this version of the code",
            do=f"Use the version that made the run, commit {manifest.commit}, or run the step "
            "again with settings of this one",
        ) from error
