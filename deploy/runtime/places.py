"""Where the set-up puts things, and how it does so without anyone seeing half of it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK_FILE = ROOT / "uv.lock"
VENV = ROOT / ".venv"
RUNTIME = ROOT / ".runtime"
JARS = RUNTIME / "jars"
CONF = RUNTIME / "conf"
JAVA = RUNTIME / "java"
STAMP = RUNTIME / "stamp"


def replace_text(path: Path, text: str) -> None:
    """Write a file whole, or leave it as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def replace_link(path: Path, target: Path) -> None:
    """Point a link at its target, at once."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)
