"""When an extract was delivered: no row of it can have become known later."""

import re
from datetime import date

from pydantic import field_validator

from cas_spark.settings.section import Section

_PARTS = {"%Y": ("year", r"[0-9]{4}"), "%m": ("month", r"[0-9]{2}"), "%d": ("day", r"[0-9]{2}")}


class DeliveredInName(Section):
    """The day of delivery stands in the name of each file.

    The pattern is of the whole name, without folders: `%Y`, `%m` and `%d` stand for the year of
    four digits, the month and the day of two, `*` for any characters and `?` for exactly one.
    """

    from_name: str

    @field_validator("from_name")
    @classmethod
    def _names_a_day(cls, value: str) -> str:
        found = re.findall("%.?", value)
        if sorted(found) != sorted(_PARTS):
            message = f"{value!r}: expected each of %Y, %m and %d once and no other %"
            raise ValueError(message)
        return value

    def day_in(self, name: str) -> date | None:
        """Return the day in a file's name; None where it has none."""
        found = re.fullmatch(self._pattern(), name)
        if found is None:
            return None
        try:
            return date(*(int(found[part]) for part, _ in _PARTS.values()))
        except ValueError:
            return None

    def _pattern(self) -> str:
        pieces = re.split("(%.)", self.from_name)
        return "".join(
            f"(?P<{_PARTS[piece][0]}>{_PARTS[piece][1]})" if piece in _PARTS else _plain(piece)
            for piece in pieces
        )


def _plain(piece: str) -> str:
    """A pattern of the shell as a regular expression; brackets mean themselves."""
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in piece)
