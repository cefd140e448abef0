"""Reads a settings file and tells all that is wrong with it at once."""

from glob import glob
from pathlib import Path

import yaml
from pydantic import ValidationError

from cas_spark.errors import SettingsError
from cas_spark.settings.settings import Settings


def load_settings(path: Path) -> Settings:
    """Settings from a YAML file.

    Raises:
        SettingsError: the file is missing, not YAML, or any value is wrong; lists every problem.
    """
    if not path.is_file():
        raise SettingsError(path, ["no such file"])
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingsError(path, [f"not YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise SettingsError(path, [f"holds a {type(content).__name__}, expected named settings"])
    try:
        return Settings.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise SettingsError(path, problems) from error


def check_inputs(path: Path, settings: Settings) -> None:
    """Check that every local file that the settings name is there.

    Raises:
        SettingsError: lists every file that is missing.
    """
    layers = [settings.grid.teams, *settings.grid.surroundings]
    named = [layer.path for layer in layers] + [source.files for source in settings.incidents]
    missing = [name for name in named if "://" not in name and not glob(name)]
    if missing:
        raise SettingsError(path, [f"no such file: {name}" for name in missing])
