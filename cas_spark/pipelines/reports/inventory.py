"""What is in the lake: versions, rows and digests, as the last complete run left them."""

from typing import Any

from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake


def inventory_of(lake: Lake) -> dict[str, Any]:
    """`run`, `finished_at`, `settings_sha256`, and `tables` with name, version, rows and digest.

    Raises:
        CasError: the lake has no complete run.
    """
    last = lake.last_manifest
    if last is None:
        raise CasError(
            what=f"the lake {lake.root}",
            found="no complete run",
            expected="at least one",
            do="Run `cas-spark weekly` with these settings first",
        )
    return {
        "run": last.number,
        "step": last.step,
        "settings_sha256": last.settings_sha256,
        "tables": [
            {
                "name": name,
                "version": version,
                "rows": lake.read_version(name, version).count(),
                "digest": last.digests[name],
            }
            for name, version in sorted(last.versions_out.items())
        ],
    }
