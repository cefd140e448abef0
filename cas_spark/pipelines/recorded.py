"""The settings with which a past run was made, from its manifest."""

import json

from pydantic import ValidationError

from cas_spark.errors import CasError
from cas_spark.lake.manifest import Manifest
from cas_spark.settings import Settings
from cas_spark.settings.redaction import restored


def settings_of(manifest: Manifest, live: Settings | None = None) -> Settings:
    """The settings of a complete run; places are where things lay then.

    Args:
        manifest: of the run.
        live: settings with the secrets of places that the manifest names too; None to read none.

    Raises:
        CasError: this code can no longer read them.
    """
    try:
        values = json.loads(manifest.settings)
        if live is not None:
            values = restored(values, live.model_dump(mode="json"))
        return Settings.model_validate(values)
    except ValidationError as error:
        raise CasError(
            what=f"the settings of the {manifest.step} run {manifest.number}",
            found=f"{error.error_count()} that this code does not know, such as "
            f"{'.'.join(map(str, error.errors()[0]['loc']))}",
            expected="settings of this version of the code",
            do=f"Use the version that made the run, commit {manifest.commit}, or run the step "
            "again with settings of this one",
        ) from error
