"""Where MLflow keeps runs and models of a lake, and how the runs of a week are found there.

A lake has one experiment per month, a week one parent run, and each team and priority of that week
one child run. What challenges the weekly models has an experiment of its own, with runs of the same
kind under other values of the tag `level`, so that they are not taken for a week. Runs are found by
their tags, never by remembered ids, so that a lake and its MLflow store may be restored apart from
each other.
"""

import logging
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cas_spark.errors import CasError
from cas_spark.settings import Settings
from cas_spark.settings.paths import local_path
from cas_spark.settings.redaction import redacted

FOLDER = "mlflow"
OF_SQLITE = ("", "-journal", "-wal", "-shm")
"""Endings of the files of a database."""

PAGE = 1000
"""Runs per page of a search; MLflow itself stops silently at this number."""

WEEK, TEAM = "week", "team"
"""Values of the tag `level`: a parent run, and a child run."""

CHALLENGE, CHALLENGE_TEAM = "experiment", "experiment_team"
"""The same for a challenger, which is no week."""

PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Store:
    """MLflow's runs, artifacts and registered models of one lake.

    Attributes:
        client: talks to the tracking store and the registry.
        uri: of both; what `mlflow ui --backend-store-uri` takes.
        artifacts: folder under which each experiment has its own; None where the server decides.
        lake: the lake's name, also that of its registered model.
    """

    client: MlflowClient
    uri: str
    artifacts: str | None
    lake: str

    def try_to_write(self) -> None:
        """Find out whether runs and artifacts can be written, where that costs nothing.

        A database in a file and a local folder are tried; a server and remote storage are not.

        Raises:
            CasError: one of them cannot be written.
        """
        database = database_of(self.uri)
        folder = None if self.artifacts is None else local_path(self.artifacts)
        try:
            if database is not None:
                with closing(sqlite3.connect(database)) as connection:
                    connection.execute("BEGIN IMMEDIATE")  # takes the lock, changes nothing
                    connection.rollback()
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except (OSError, sqlite3.Error) as error:
            raise CasError(
                what=f"MLflow at {redacted(self.uri)}",
                found=str(error),
                expected="a tracking store and a folder of artifacts that can be written",
                do="Give the right to write them, or change tracking.uri and tracking.artifacts; "
                "nothing was done yet",
            ) from error

    def experiment_name(self, poll: date) -> str:
        """The experiment that holds a poll's runs, such as `demo 2025-01`."""
        return f"{self.lake} {poll:%Y-%m}"

    def challenge_name(self, name: str) -> str:
        """The experiment that holds a challenger's runs, such as `demo experiment fewer`."""
        return f"{self.lake} experiment {name}"

    def find_experiment(self, name: str) -> str | None:
        """The id of an experiment, or None where there is none yet."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return None
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def make_experiment(self, name: str) -> str:
        """The id of an experiment, made if need be."""
        found = self.find_experiment(name)
        if found is not None:
            return found
        location = None
        if self.artifacts is not None:
            location = f"{self.artifacts}/{name.replace(' ', '-')}"
            if location.startswith("/"):
                location = Path(location).as_uri()  # a plain path may not hold #
        return self.client.create_experiment(name, artifact_location=location)

    def runs_with(self, experiment: str, tags: Mapping[str, str]) -> list[Run]:
        """All runs of an experiment that have these tags, deleted ones left out."""
        conditions = {"lake": self.lake, **tags}
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in conditions.items())
        return list(self._all_pages(experiment, query))

    def _all_pages(self, experiment: str, query: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [experiment], query, max_results=PAGE, order_by=["run_id"], page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def weeks_of(self, poll: date) -> list[Run]:
        """The parent runs of a poll: one, or more where logging broke off."""
        return self._parents(self.experiment_name(poll), WEEK, poll)

    def challenges_of(self, name: str, poll: date) -> list[Run]:
        """The parent runs of a challenger at a poll: one, or more where logging broke off."""
        return self._parents(self.challenge_name(name), CHALLENGE, poll)

    def _parents(self, experiment_name: str, level: str, poll: date) -> list[Run]:
        experiment = self.find_experiment(experiment_name)
        if experiment is None:
            return []
        return self.runs_with(experiment, {"level": level, "poll": poll.isoformat()})

    def children_of(self, parent: Run) -> list[Run]:
        """The runs of a week's teams and priorities."""
        return self.runs_with(parent.info.experiment_id, {PARENT: parent.info.run_id})


def open_store(settings: Settings) -> Store:
    """MLflow as the settings say; SQLite and a folder inside the lake where they say nothing.

    Raises:
        CasError: the lake is not a local folder and no tracking store is declared, or the store
            cannot be opened.
    """
    uri, artifacts = uris_of(settings)
    if uri is None:
        raise CasError(
            what="tracking.uri",
            found=f"none, and the lake {settings.lake}, which is not a local folder",
            expected="where MLflow keeps its runs: SQLite, the default, needs a local folder",
            do="Set tracking.uri to a server (http://…) or a database (postgresql://…), and "
            "tracking.artifacts to a folder that all can reach",
        )
    _keep_quiet()
    database = database_of(uri)
    is_own = settings.tracking.uri is None
    try:
        if is_own and database is not None:
            if not database.exists():
                _make_database(database)
            _commit_to_a_log(database)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error, ImportError) as error:
        raise CasError(
            what=f"MLflow at {redacted(uri)}",
            found=settings.without_secrets(str(error).strip().splitlines()[0])[:300],
            expected="a tracking store that can be reached, of this MLflow's version",
            do="Start or mend it, or change tracking.uri; then run the same command again",
        ) from error
    return Store(client, uri, artifacts.rstrip("/") if artifacts else None, settings.name)


def _make_database(database: Path) -> None:
    """Make MLflow's database whole or not at all: killed amid its migrations it is past mending."""
    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_suffix(".unfinished")
    # With SQLite's journal; and the log of a database that is no more, which it would play back.
    of_sqlite = [unfinished.with_name(f"{unfinished.name}{ending}") for ending in OF_SQLITE]
    for left_behind in (*of_sqlite, _log_of(database)):
        left_behind.unlink(missing_ok=True)
    MlflowClient(sqlite_uri(unfinished)).search_experiments(max_results=1)
    unfinished.rename(database)


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def _commit_to_a_log(database: Path) -> None:
    """Let a commit wait for the disk once, not twice or more; a national week has thousands.

    The database remembers it, and only programs on one machine may then have it open at the same
    time. https://www.sqlite.org/wal.html
    """
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def uris_of(settings: Settings) -> tuple[str | None, str | None]:
    """Where the tracking store and the artifacts are; None where that is not known here."""
    uri, artifacts = settings.tracking.uri, settings.tracking.artifacts
    lake = local_path(settings.lake)
    if lake is not None and artifacts is None and not (uri or "").startswith("http"):
        artifacts = (lake / FOLDER / "artifacts").as_uri()
    if lake is not None and uri is None:
        uri = sqlite_uri(lake / FOLDER / "mlflow.db")
    return uri, artifacts


def sqlite_uri(database: Path) -> str:
    """The address of a database in a file, whose path holds neither % nor ?."""
    # Encoded, MLflow would make empty folders of the encoded names.
    return f"sqlite:///{database}"


def database_of(uri: str) -> Path | None:
    """The file of an SQLite database, or None where the address is of something else."""
    if not uri.startswith("sqlite:"):
        return None
    database = make_url(uri).database
    return Path(database) if database else None


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970; a moment without a zone, as Spark gives it, is in local time."""
    return round(moment.astimezone(UTC).timestamp() * 1000)


def _keep_quiet() -> None:
    """Leave out what MLflow's database layer logs of its own migrations."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
