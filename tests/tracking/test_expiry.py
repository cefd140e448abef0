from datetime import timedelta
from pathlib import Path

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.settings import Settings
from cas_spark.tracking.expiry import forget_polls, old_polls, places_of
from cas_spark.tracking.store import FOLDER, Store
from tests.tracking.test_week import NEXT, log
from tests.tracking.weeks import POLL, settings_of


def test_old_polls_go_with_their_artifacts_and_newer_ones_stay(
    store: Store, settings: Settings, catalogue: Catalogue
) -> None:
    for poll in (POLL, NEXT):
        log(store, settings, catalogue, poll=poll)
    [week] = store.weeks_of(POLL)
    artifacts = Path(settings.lake, FOLDER, "artifacts")
    files = {path for path in artifacts.rglob("*") if path.is_file()}
    assert old_polls(settings, POLL) == []
    assert old_polls(settings, NEXT) == [POLL]
    forget_polls(settings, [POLL])
    assert store.weeks_of(POLL) == []
    assert len(store.weeks_of(NEXT)) == 1
    assert old_polls(settings, NEXT + timedelta(days=1)) == [NEXT]
    left = {path for path in artifacts.rglob("*") if path.is_file()}
    assert left < files
    assert not [path for path in left if week.info.run_id in str(path)]
    assert len(left) == len(files) / 2


def test_a_lake_without_mlflow_has_no_polls_there(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert old_polls(settings, POLL) == []
    assert not list(tmp_path.iterdir())


def test_what_only_a_server_can_look_into_is_told_without_its_password(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    mlflow = f"{tmp_path}/mlflow"
    inside = ([f"{mlflow}/artifacts", f"{mlflow}/mlflow.db", f"{mlflow}/mlflow.db-wal"], None)
    assert places_of(settings) == inside
    server = settings.tracking.model_copy(update={"uri": "postgresql://cas:secret@host/mlflow"})
    elsewhere = settings.model_copy(update={"tracking": server})
    assert places_of(elsewhere) == (inside[0][:1], "postgresql://cas:***@host/mlflow")
