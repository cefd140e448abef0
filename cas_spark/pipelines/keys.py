"""The key of a lake: one for its life, made by the first command where the settings name a file."""

import logging

from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.settings import Settings
from cas_spark.sources.keyed_ids import check_of_key

log = logging.getLogger(__name__)

PSEUDONYM_CHECK = "pseudonym_check"
"""Name among a manifest's facts, from the first run on that made ids with a key."""


def key_of(lake: Lake, settings: Settings) -> bytes:
    """The key with which the lake's ids are made.

    Where its file is missing and no id was ever made with a key, it is made; the lease of the lake
    is held meanwhile.

    Raises:
        CasError: there is none, it is another than before, or it cannot be used.
    """
    place, last = settings.key, lake.last_manifest
    check = last.facts.get(PSEUDONYM_CHECK) if last is not None else None
    if place.is_missing and check is None:
        place.make()
        log.warning(
            "a new key is in %s: keep it as long as the lake, and apart from it. Without it no "
            "extract can be ingested; a person who has it and a register can match the ids",
            place.file,
        )
    if place.is_missing:
        raise CasError(
            what=f"the pseudonym key in the file {place.file}",
            found="no such file",
            expected=f"the key with which the ids of the lake {lake.root} were made",
            do="Put the key back, or name its place in pseudonym_key; where it is lost, start "
            "another lake, since no id can be carried over",
        )
    key = place.read()
    if check not in (None, check_of_key(key)):
        raise CasError(
            what="the pseudonym key",
            found="another than that with which the lake's ids were made",
            expected="the same key for the life of the lake: with another one, facts and persons "
            "would count twice",
            do="Put the key back, or name its place in pseudonym_key; where it is lost or was "
            "given away, start another lake, since no id can be carried over",
        )
    return key
