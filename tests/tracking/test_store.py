import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cas_spark.errors import CasError
from cas_spark.settings.paths import local_path
from cas_spark.settings.redaction import redacted
from cas_spark.tracking.store import open_store
from tests.tracking.weeks import settings_of


def test_a_lake_that_is_no_local_folder_needs_a_declared_store() -> None:
    with pytest.raises(CasError, match=r"tracking.uri: found none, and the lake s3a://bucket/lake"):
        open_store(settings_of("s3a://bucket/lake"))


def test_a_declared_store_is_used_and_the_lake_left_alone(tmp_path: Path) -> None:
    uri, artifacts = f"sqlite:///{tmp_path / 'elsewhere.db'}", str(tmp_path / "artifacts")
    store = open_store(
        settings_of(tmp_path / "lake", tracking={"uri": uri, "artifacts": artifacts + "/"})
    )
    assert (store.uri, store.artifacts) == (uri, artifacts)
    assert not (tmp_path / "lake").exists()


def test_the_own_database_keeps_to_its_log_but_not_to_one_left_by_another(tmp_path: Path) -> None:
    database = tmp_path / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    other, log = tmp_path / "other.db", database.with_name("mlflow.db-wal")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE of_another (number)")
        connection.commit()
        shutil.copy(other.with_name("other.db-wal"), log)
    open_store(settings_of(tmp_path))
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "runs" in tables
    assert "of_another" not in tables


def test_a_store_that_cannot_be_opened_is_told_without_its_password(tmp_path: Path) -> None:
    database = tmp_path / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    database.write_text("not a database")
    declared = settings_of(tmp_path, tracking={"uri": f"sqlite:///{database}"})
    for settings in (declared, settings_of(tmp_path)):
        with pytest.raises(CasError, match="expected a tracking store that can be reached"):
            open_store(settings)
    assert redacted("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("/a/lake", Path("/a/lake")),
        ("file:///a%20b", Path("/a b")),
        ("s3a://bucket/lake", None),
        ("hdfs://host/lake", None),
    ],
)
def test_what_is_local(place: str, path: Path | None) -> None:
    assert local_path(place) == path


def test_nothing_of_mlflow_reaches_the_terminal(tmp_path: Path) -> None:
    program = f"""
from tests.tracking.weeks import *
from cas_spark.indicators.catalogue import catalogue_of
from cas_spark.tracking.scores import log_measures
from cas_spark.tracking.store import open_store
from cas_spark.tracking.week import log_models
settings = settings_of({str(tmp_path / "lake")!r})
catalogue = catalogue_of(PRIORITIES)
store = open_store(settings)
log_models(store, settings, manifest_of(settings), models_of(catalogue, teams=["a1"]), catalogue)
log_measures(store, evaluations_of())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_process_killed_while_the_database_is_made_leaves_no_half_of_it(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    program = f"""
import os, signal
from sqlalchemy import event
from sqlalchemy.engine import Engine
from cas_spark.tracking.store import open_store
from tests.tracking.weeks import settings_of

@event.listens_for(Engine, "after_cursor_execute")
def die_amid_migrations(connection, cursor, statement, *_):
    if "ALTER TABLE" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

open_store(settings_of({str(lake)!r}))
"""
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert open_store(settings_of(lake)).client.search_experiments()
    left = {path.name for path in (lake / "mlflow").iterdir()}
    assert left - {"mlflow.db-wal", "mlflow.db-shm"} == {"mlflow.db"}  # its log, while it is open
