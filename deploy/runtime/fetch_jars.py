"""Fetches the jars that are missing or wrong.

Runs in the project's environment, where the client for their repository is.
"""

import contextlib
import io
import sys
from pathlib import Path

from jars import LIST, Jar, JarList, sum_of
from maven_artifact import Artifact, Downloader, RequestException
from places import JARS
from problem import SetupError, say

ATTEMPTS = 3


def fetch(jar: Jar, folder: Path) -> None:
    """Fetch one jar; it is there only once its sum is right.

    Raises:
        SetupError: it could not be fetched, or has another sum.
    """
    draft = folder / f".{jar.name}"
    say(f"fetching {jar.coordinates}")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                Downloader().download(Artifact.parse(jar.coordinates), filename=str(draft))
            break
        except (RequestException, OSError) as error:
            if attempt == ATTEMPTS:
                raise SetupError(
                    f"{jar.coordinates} could not be fetched; check the network, or put "
                    f"{jar.name} into {folder} yourself, and run make setup again "
                    f"({' '.join(str(error).split())})"
                ) from error
    found = sum_of(draft)
    if found != jar.sha256:
        draft.unlink()
        raise SetupError(
            f"{jar.coordinates} was refused: found sha256 {found}, "
            f"expected {jar.sha256} as in {LIST}"
        )
    draft.replace(folder / jar.name)


def fetch_missing(folder: Path) -> None:
    """Fetch every jar that is missing or wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    for jar in JarList.read().wrong_files(folder):
        fetch(jar, folder)


if __name__ == "__main__":
    try:
        fetch_missing(JARS)
    except SetupError as error:
        sys.exit(f"set-up: {error}")
