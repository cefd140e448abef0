"""Reads a settings file and reports all its problems at once."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cas_spark.errors import CasError, SettingsError
from cas_spark.settings.paths import local_files
from cas_spark.settings.problems import problems_of, shown
from cas_spark.settings.reach import problems_of_reach
from cas_spark.settings.settings import Settings
from cas_spark.settings.yaml_file import UnreadableError, read_yaml

EXTENDS = "extends"
"""Key of a file that changes another one of the same folder: mappings are merged, key by key, and
anything else replaces what the other file says."""


def load_settings(path: Path) -> Settings:
    """Settings from a YAML file.

    Raises:
        SettingsError: the file is missing, not YAML, any value is wrong, or a place is out of reach
            of this machine; lists every problem.
    """
    content = _read(path, ())
    try:
        settings = Settings.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        # Without its cause, which quotes values, secret ones among them.
        raise SettingsError(path, problems_of(error.errors(), content, Settings)) from None
    problems = problems_of_reach(settings)
    if problems:
        raise SettingsError(path, problems)
    return settings


def check_inputs(path: Path, settings: Settings) -> None:
    """Check that every local file that the settings name is there, and that the key can be used.

    The command decides whether a missing key file may be made, since it knows the lake.

    Raises:
        SettingsError: lists every file that is missing, and what is wrong with the key.
    """
    layers = dict.fromkeys(layer.path for layer in settings.grid.layers)
    missing = [path for path in layers if not _is_there(path)]
    files = [source.files for source in settings.sources]
    missing += [name for name in files if "://" not in name and not local_files(name)]
    problems = [f"no such file: {name}" for name in missing]
    try:
        if not settings.key.is_missing:
            settings.key.read()
    except CasError as error:
        problems.append(str(error))
    if problems:
        raise SettingsError(path, problems)


def _is_there(name: str) -> bool:
    """Return whether there is a file of a name, as far as this machine can see."""
    try:
        return "://" in name or Path(name).exists()
    except OSError:  # a name that no file can have
        return False


def _read(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file, with that of the files it extends below it."""
    try:
        content = read_yaml(path)
    except UnreadableError as error:
        raise SettingsError(path, error.problems) from error
    if not isinstance(content, dict):
        raise SettingsError(path, [f"holds {shown(content)}, expected named settings"])
    if EXTENDS not in content:
        return content
    name = content.pop(EXTENDS)
    # Relative places are meant from the folder of the settings file, so there is but one folder.
    if not isinstance(name, str) or not name or Path(name).name != name:
        found = shown(name)
        raise SettingsError(path, [f"{EXTENDS}: {found}, expected a file of the same folder"])
    base = path.with_name(name)
    if base in (*extending, path):
        raise SettingsError(path, [f"{EXTENDS}: {name} extends this file in turn"])
    return _merged(_read(base, (*extending, path)), content)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}
