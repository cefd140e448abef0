"""Every notebook runs from start to end on a lake on which a week has run."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.mark.spark
def test_a_teams_week(demo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAS_SETTINGS", str(demo_lake))
    notebook = jupytext.read(NOTEBOOKS / "team_week.py")
    client = NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    results = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "\n".join(str(result.get("data", {}).get("text/markdown", "")) for result in results)
    assert "DRAFT" in shown
    assert "Generated data" in shown
    pictures = [result for result in results if "image/png" in result.get("data", {})]
    assert len(pictures) == 1
    tables = [result for result in results if "text/html" in result.get("data", {})]
    assert len(tables) == 8
    assert "Raised most by" in tables[-2]["data"]["text/html"]
    assert "all_history_count" in tables[-1]["data"]["text/html"]


def test_notebooks_are_kept_as_text_that_opens_as_a_notebook() -> None:
    for path in NOTEBOOKS.glob("*.py"):
        nbformat.validate(jupytext.read(path))
