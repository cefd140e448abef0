"""Reads a settings file and tells all that is wrong with it at once."""

from glob import glob
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cas_spark.errors import CasError, SettingsError
from cas_spark.settings.settings import Settings

EXTENDS = "extends"
"""Key of a file that changes another one of the same folder: mappings are merged, key by key, and
anything else replaces what the other file says."""


def load_settings(path: Path) -> Settings:
    """Settings from a YAML file.

    Raises:
        SettingsError: the file is missing, not YAML, or any value is wrong; lists every problem.
    """
    content = _read(path, ())
    try:
        return Settings.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SettingsError(path, problems) from error


def check_inputs(path: Path, settings: Settings) -> None:
    """Check that every local file that the settings name is there, and that the key can be used.

    Whether a key file that is missing may be made is for the command to tell, which knows the lake.

    Raises:
        SettingsError: lists every file that is missing, and what is wrong with the key.
    """
    named = [layer.path for layer in settings.grid.layers]
    named += [source.files for source in settings.sources]
    missing = [name for name in named if "://" not in name and not glob(name)]
    problems = [f"no such file: {name}" for name in missing]
    try:
        if not settings.key.is_missing:
            settings.key.read()
    except CasError as error:
        problems.append(str(error))
    if problems:
        raise SettingsError(path, problems)


def _read(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file, with that of the files it extends below it."""
    if not path.is_file():
        raise SettingsError(path, ["no such file"])
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(path, [f"not YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise SettingsError(path, [f"holds a {type(content).__name__}, expected named settings"])
    if EXTENDS not in content:
        return content
    name = content.pop(EXTENDS)
    # Relative places are meant from the folder of the settings file, so there is but one folder.
    if not isinstance(name, str) or Path(name).name != name:
        raise SettingsError(path, [f"{EXTENDS}: {name!r}, expected a file of the same folder"])
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
