"""MLflow holds any name that a team, a title or a folder may have."""

from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest

from cas_spark.errors import CasError
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.tracking.native_model import run_of_team
from cas_spark.tracking.scores import log_measures
from cas_spark.tracking.store import database_of, open_store, sqlite_uri
from cas_spark.tracking.week import log_models
from tests.nasty import NASTY
from tests.tracking.weeks import POLL, evaluations_of, manifest_of, models_of, settings_of

TEAMS = sorted(name for name in NASTY.values() if len(name) <= 250)[::3]


def test_a_week_of_teams_with_any_name(
    empty_mlflow: Path, tmp_path: Path, catalogue: Catalogue
) -> None:
    lake = tmp_path / "a lake #1; 'of' [all] 日本 & $x"
    (lake / "mlflow").mkdir(parents=True)
    (lake / "mlflow" / "mlflow.db").write_bytes((empty_mlflow / "mlflow.db").read_bytes())
    remarks = [name[:500] for name in NASTY.values()]
    settings = settings_of(lake, remarks=remarks, horizons={"current": 0})
    store = open_store(settings)
    store.try_to_write()
    one, now = ("burglary",), ("current",)
    models = models_of(catalogue, teams=TEAMS, priorities=one, horizons=now)
    log_models(
        store,
        settings,
        manifest_of(settings),
        models,
        catalogue,
        dict(zip(TEAMS, TEAMS, strict=True)),
    )
    scored = evaluations_of(teams=TEAMS, priorities=one, horizons=now)
    assert log_measures(store, scored) == 1
    for team in TEAMS:
        run = run_of_team(store, POLL, team, "burglary")
        assert run.data.tags["team"] == team
        assert run.data.metrics["caught_share_at_3_percent.current"] == 0.2
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/toy@latest")
    row = {"team": TEAMS[0], "priority": "burglary", "horizon": "current"}
    rows = pd.DataFrame([row | dict.fromkeys(catalogue.names, 0.0)])
    assert model.predict(rows)["probability"].between(0, 1).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [lake.name]


@pytest.mark.parametrize("name", ["m.db", "a b#c.db", "日本 [x] 'y'.db"])
def test_a_database_is_found_again_by_its_address(tmp_path: Path, name: str) -> None:
    assert database_of(sqlite_uri(tmp_path / name)) == tmp_path / name
    assert database_of("http://host") is None


def test_what_cannot_be_written_is_told_before_the_run(empty_mlflow: Path, tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_bytes((empty_mlflow / "mlflow.db").read_bytes())
    (tmp_path / "taken").touch()
    artifacts = {"artifacts": str(tmp_path / "taken")}
    with pytest.raises(CasError, match="a folder of artifacts that can be written"):
        open_store(settings_of(tmp_path, tracking=artifacts)).try_to_write()
