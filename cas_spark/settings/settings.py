"""All that a user may set, as one frozen object, complete and checked before Spark starts."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from cas_spark.errors import CasError
from cas_spark.settings.effects import Effects
from cas_spark.settings.extracts import Extracts, IncidentExtracts, LinkedIncident
from cas_spark.settings.generator import Generator
from cas_spark.settings.geography import Grid, Name
from cas_spark.settings.intake import Intake
from cas_spark.settings.learning import Evaluation, Forecast, Indicators, Training
from cas_spark.settings.paths import OwnFolder, local_path
from cas_spark.settings.pseudonym_key import PseudonymKey
from cas_spark.settings.redaction import redacted, secrets_in, without_secrets
from cas_spark.settings.resources import Resources
from cas_spark.settings.retention import Retention
from cas_spark.settings.revisions import RevisionExtracts
from cas_spark.settings.schedule import WEEKDAYS, Polls
from cas_spark.settings.section import Section, Title
from cas_spark.settings.suspects import SuspectExtracts
from cas_spark.settings.zones import ZoneName

CELL_SIZE_M = 125
PLACES = {"lake", "path", "files", "folder", "uri", "artifacts", "pseudonym_key"}
"""Keys that say where something lies, not what it is."""


def without_places(value: Any) -> Any:
    """The same settings without the keys that say where something lies."""
    if isinstance(value, dict):
        return {key: without_places(v) for key, v in value.items() if key not in PLACES}
    if isinstance(value, list):
        return [without_places(item) for item in value]
    return value


def sha256_of_settings(values: Any, *, is_redacting: bool = True) -> str:
    """The sha256 of settings as plain values, without the places of files and without secrets."""
    portable = without_places(values)
    text = json.dumps(redacted(portable) if is_redacting else portable, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_list(value: Any) -> Any:
    """The sources that a file gives by name, so that an extending file can change one of them."""
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        return value
    return [{"name": name, **section} for name, section in value.items()]


def _default_horizons() -> dict[Name, int]:
    return {"current": 0, "early_1w": 1, "early_6w": 6}


class Priority(Section):
    """A kind of incident that is forecast."""

    title: Title
    title_nl: Title | None = Field(default=None, description="the title in Dutch")


class Tracking(Section):
    """Where MLflow keeps runs and models; by default SQLite and a folder inside the lake."""

    uri: str | None = Field(
        default=None, description="a password in it is used, and never stored or shown"
    )
    artifacts: str | None = None

    @field_validator("artifacts")
    @classmethod
    def _has_no_secret(cls, value: str | None) -> str | None:
        """MLflow stores the place of the artifacts, and shows it to everyone."""
        if value is not None and secrets_in(value):
            message = (
                f"{redacted(value)} holds a secret, which MLflow would store: give it through the "
                "environment of who reads and writes there"
            )
            raise ValueError(message)
        return value


class Settings(Section):
    """The settings of one lake."""

    name: Name
    title: Title
    is_generated: bool = Field(default=False, description="made-up data; said wherever it shows")
    remarks: list[Title] = Field(
        default_factory=list,
        max_length=50,
        description="said wherever figures of this lake are shown",
    )
    timezone: ZoneName
    lake: OwnFolder
    tracking: Tracking = Tracking()
    grid: Grid
    incidents: Annotated[list[IncidentExtracts], BeforeValidator(_as_list)] = Field(
        min_length=1, description="name of the source -> its extracts"
    )
    suspects: Annotated[list[SuspectExtracts], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        description="name of the source -> its extracts; off unless given: see docs/suspects.md",
    )
    pseudonym_key: PseudonymKey | None = Field(
        default=None,
        description="default: the file `LAKE.key` beside a lake in a local folder: see "
        "docs/your-data.md",
    )
    revisions: Annotated[list[RevisionExtracts], BeforeValidator(_as_list)] = Field(
        default_factory=list,
        description="name of the source -> its extracts of later decisions: see docs/revisions.md",
    )
    effects: Effects = Effects()
    intake: Intake = Intake()
    retention: Retention = Retention()
    priorities: dict[Name, Priority] = Field(min_length=1, max_length=50)
    polls: Polls = Polls()
    horizons: dict[Name, Annotated[int, Field(ge=0, le=104)]] = Field(
        default_factory=_default_horizons,
        min_length=1,
        max_length=20,
        description="weeks between the poll and the start of the target week",
    )
    indicators: Indicators = Indicators()
    training: Training = Training()
    forecast: Forecast = Forecast()
    evaluation: Evaluation = Evaluation()
    resources: Resources = Resources()
    generator: Generator | None = None

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        problems = []
        sources = [*self.incidents, *self.suspects]
        names = [source.name for source in self.sources]
        if len(names) != len(set(names)):
            problems.append(f"incidents, suspects and revisions: the same name twice in {names}")
        for source in sources:
            unknown = sorted(set(source.priority.priorities) - set(self.priorities))
            if unknown:
                problems.append(
                    f"{source.kind}.{source.name}.priority.codes: {unknown} not among the "
                    f"priorities {sorted(self.priorities)}"
                )
        problems += self._problems_of_suspects()
        problems += self._problems_of_revisions()
        coded = {p for source in self.incidents for p in source.priority.priorities}
        if set(self.priorities) - coded:
            problems.append(f"priorities without codes: {sorted(set(self.priorities) - coded)}")
        weekday = self.grid.valid_from.weekday()
        if weekday != self.polls.weekday_number:
            problems.append(
                f"grid.valid_from {self.grid.valid_from} is a {WEEKDAYS[weekday]}, "
                f"expected a poll weekday ({self.polls.weekday})"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of_suspects(self) -> list[str]:
        problems = []
        for source in self.suspects:
            problems += self._problems_of_key(source, source.incident)
            # Before its first day a source knows of no suspect, which must not read as none.
            if source.complete_from > self.grid.valid_from:
                problems.append(
                    f"suspects.{source.name}.complete_from {source.complete_from}: expected a day "
                    f"not after grid.valid_from {self.grid.valid_from}, the first that a poll "
                    "may have"
                )
        return problems

    def _problems_of_revisions(self) -> list[str]:
        problems = []
        suspects = {source.name: source for source in self.suspects}
        for source in self.revisions:
            problems += self._problems_of_key(source, source.incident)
            if source.suspect is None:
                continue
            about = suspects.get(source.suspect.source)
            if about is None or about.incident is None:
                problems.append(
                    f"revisions.{source.name}.suspect: source {source.suspect.source!r}, expected "
                    f"one of {sorted(suspects)} whose links name an incident"
                )
            elif about.incident.source != source.incident.source:
                problems.append(
                    f"revisions.{source.name}.incident: source {source.incident.source!r}, "
                    f"expected {about.incident.source!r} as in suspects.{about.name}"
                )
        return problems

    def _problems_of_key(self, source: Extracts, link: LinkedIncident | None) -> list[str]:
        lengths = {incidents.name: len(incidents.key) for incidents in self.incidents}
        if link is None or lengths.get(link.source) == len(link.key):
            return []
        problem = (
            f"{source.kind}.{source.name}.incident: {len(link.key)} columns for the key of "
            f"{link.source!r}; the sources of incidents have keys of {lengths}"
        )
        return [problem]

    @property
    def sources(self) -> list[Extracts]:
        """All sources of extracts."""
        return [*self.incidents, *self.suspects, *self.revisions]

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which weeks begin at midnight."""
        return ZoneInfo(self.timezone)

    @property
    def longest_horizon_weeks(self) -> int:
        """Weeks from a poll to the start of its furthest target week."""
        return max(self.horizons.values())

    @property
    def labels(self) -> list[str]:
        """What must be said wherever figures of this lake are shown."""
        labels = [*self.remarks]
        if self.is_generated:
            labels.insert(0, "Generated data: no figure says anything about a real place.")
        if self.grid.teams.is_proxy:
            labels.append("Proxy teams: their boundaries stand in for the real ones.")
        for source in self.incidents:
            labels += source.labels
        for placed in (*self.incidents, *self.suspects):
            if placed.location_precision_m > CELL_SIZE_M:
                labels.append(
                    f"Coarse places: those of {placed.name} may lie "
                    f"{placed.location_precision_m:g} m from the true ones, further than the "
                    f"{CELL_SIZE_M} m of a cell."
                )
        if self.suspects:
            labels.append("Looks at where known suspects live, as numbers and distances of cells.")
        return labels

    @property
    def key(self) -> PseudonymKey:
        """Where the pseudonym key lies.

        Raises:
            CasError: the settings do not say, and the lake is no local folder; or the key would lie
                inside the lake.
        """
        key = self.pseudonym_key or PseudonymKey.beside(self.lake)
        if key is None:
            raise CasError(
                what="pseudonym_key",
                found=f"none, and the lake {redacted(self.lake)}, which is not a local folder",
                expected="the place of the key with which ids are made",
                do="Set pseudonym_key to {file: PATH} or {environment: NAME}, outside the lake",
            )
        lake = local_path(self.lake)
        if key.file and lake and Path(key.file).resolve().is_relative_to(lake.resolve()):
            raise CasError(
                what=f"pseudonym_key.file {key.file}",
                found=f"a place inside the lake {self.lake}",
                expected="a key that a copy of the lake does not hold",
                do="Move the key to another folder, and name that in pseudonym_key.file",
            )
        return key

    def as_json(self) -> str:
        """All settings with their defaults and without secrets, to be stored.

        They keep their order, since that of priorities is the order of columns.
        """
        return json.dumps(redacted(self.model_dump(mode="json")))

    def sha256(self) -> str:
        """The sha256 of the settings without the places of files: the same on another machine."""
        return sha256_of_settings(self.model_dump(mode="json"))

    def without_secrets(self, text: str) -> str:
        """A text, such as another program's error, with *** in place of these settings' secrets."""
        return without_secrets(text, self.model_dump(mode="json"))

    def check_poll(self, poll: date) -> None:
        """Raise ValueError unless `poll` falls on the poll weekday."""
        if poll.weekday() != self.polls.weekday_number:
            message = (
                f"poll {poll} is a {WEEKDAYS[poll.weekday()]}, expected a {self.polls.weekday}"
            )
            raise ValueError(message)
