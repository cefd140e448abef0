"""Every notebook runs from start to end on a lake on which a week has run."""

import shutil
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from cas_spark.indicators.catalogue import catalogue_of
from cas_spark.settings import load_settings
from cas_spark.tracking.challenger import log_experiment
from cas_spark.tracking.store import open_store
from tests.toy import write_settings
from tests.tracking.weeks import (
    PRIORITIES,
    challenge_manifest_of,
    challenge_results,
    models_of,
    shares_in_teams,
)

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def executed(name: str, folder: Path) -> list[Any]:
    """What the cells of a notebook show."""
    notebook = jupytext.read(NOTEBOOKS / name)
    client = NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.spark
def test_models_are_compared_from_mlflow_alone(
    demo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake of a challenger"
    shutil.copytree(demo_lake.parent, lake)
    settings = load_settings(write_settings(lake))
    catalogue = catalogue_of(PRIORITIES)
    log_experiment(
        open_store(settings),
        settings,
        challenge_manifest_of(settings, 2),
        models_of(catalogue),
        catalogue,
        challenge_results(),
        shares_in_teams(),
        {},
    )
    monkeypatch.setenv("CAS_SETTINGS", str(lake / "toy.yaml"))
    results = executed("compare_models.py", tmp_path)
    tables = [r["data"]["text/html"] for r in results if "text/html" in r.get("data", {})]
    assert len(tables) == 6
    assert "2024-01-08" in tables[0]
    for expected in ("Alfa", "Bravo", "burglary", "robbery"):
        assert expected in tables[1]
    assert "self_exciting_mix" in tables[2]
    assert "probability" in tables[4]
    assert "bold" in tables[5]
    assert "catches more" in tables[5]


@pytest.mark.spark
def test_a_teams_week(demo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAS_SETTINGS", str(demo_lake))
    results = executed("team_week.py", tmp_path)
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
