"""Suspects: whose homes an indicator may count, and how no person is ever kept. Off by default."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from cas_spark.errors import CasError
from cas_spark.settings.extracts import LinkedIncident, PlacedExtracts, named_once
from cas_spark.settings.paths import SettingsPath
from cas_spark.settings.section import ColumnName, Section

SHORTEST_KEY_BYTES = 16
"""A key that can be guessed gives the persons away."""


class PseudonymKey(Section):
    """Where the secret lies that turns persons into pseudonyms: in a file, or in the environment.

    It is read when extracts are taken in, and kept nowhere.
    """

    file: SettingsPath | None = Field(default=None, description="file whose bytes are the key")
    environment: str | None = Field(default=None, description="variable that holds the key")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.environment is None):
            message = "give either file or environment"
            raise ValueError(message)
        return self

    def read(self) -> bytes:
        """The key, without the white space around it.

        Raises:
            CasError: it cannot be read, or is shorter than 16 bytes.
        """
        if self.file is not None:
            where = f"the file {self.file}"
            try:
                key = Path(self.file).read_bytes().strip()
            except OSError as error:
                raise self._unusable(where, error.strerror or "no such file") from error
        else:
            where = f"the environment variable {self.environment}"
            key = os.environb.get(os.fsencode(self.environment or ""), b"").strip()
        if len(key) < SHORTEST_KEY_BYTES:
            raise self._unusable(where, f"{len(key)} bytes" if key else "nothing")
        return key

    @staticmethod
    def _unusable(where: str, found: str) -> CasError:
        return CasError(
            what=f"the pseudonym key in {where}",
            found=found,
            expected=f"a secret of at least {SHORTEST_KEY_BYTES} bytes",
            do="Put one there, such as `openssl rand -hex 32` makes, and keep the same one for "
            "the life of the lake; nothing was read",
        )


class SuspectExtracts(PlacedExtracts):
    """Extracts that link suspects to incidents; a person is kept as a keyed pseudonym only.

    `location` is of the suspect's home, of which the cell alone is kept. A later row of the same
    person and incident is a later version of the link, from the moment at which it became known.
    """

    kind = "suspects"

    person: ColumnName = Field(description="column with an opaque key of the person: never a name")
    incident: LinkedIncident | None = None
    case: ColumnName | None = Field(
        default=None,
        description="column with the case, as in `incidents`; kept as a pseudonym",
    )

    @model_validator(mode="after")
    def _is_a_link_known_at_a_moment(self) -> Self:
        problems = []
        if self.incident is None and self.case is None:
            problems.append("give incident or case: a suspect is linked to one of them")
        if self.is_assumed:
            problems.append("known.rule assumed_delay stands on when an incident happened")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def columns(self) -> list[str]:
        """Every column that is mapped, once, in the order of the settings; no geometry."""
        return named_once(
            self.person,
            *(self.incident.key if self.incident else []),
            self.case,
            *self.known.columns,
            *self.location.columns,
            *self.priority.column,
            *(exclusion.column for exclusion in self.exclude),
        )
