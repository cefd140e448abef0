"""Secrets in settings: what may be stored and shown has none of them.

A place may bear a password: `postgresql://user:password@host/db`, `…?sslpassword=…`. The live
settings keep it, since it is used. Whatever is recorded, printed or logged is `redacted` first.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
"""What stands in place of a secret."""

_USER_INFO = re.compile(
    r"(?P<before>[A-Za-z][A-Za-z0-9+.\-]*://[^/:]*:)(?P<secret>.*)(?=@)", re.DOTALL
)
"""A password may hold any character, an @ among them: it ends at the last one. A place without one
that has an @ behind its port is hidden from the port on: too much rather than too little."""

_NAMES = (
    "password|passwd|passphrase|passcode|pwd|secret|token|signature|credential|"
    "access_?key|api_?key|account_?key|private_?key|odbc_?connect|connection_?string"
)
_PARAMETER = re.compile(
    rf"(?P<before>[?&;](?:[^=&;#?]*(?:{_NAMES})[^=&;#?]*|sig|pass)=)(?P<secret>[^&]*)",
    re.IGNORECASE,
)
"""Databases end a value at & only: a password may hold ; and #. Of ODBC's own form, which is one
value with a password in it, all is hidden."""


def redacted(value: Any) -> Any:
    """Settings as plain values, or a text, with *** in place of every secret in a URI."""
    if isinstance(value, str):
        return _PARAMETER.sub(_hide, _USER_INFO.sub(_hide, value)) if "://" in value else value
    if isinstance(value, dict):
        return {key: redacted(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(part) for part in value]
    return value


def redacted_text(text: str) -> str:
    """A text with *** in place of the secrets of all URIs in it; a URI ends at white space."""
    return re.sub(r"\S+", lambda word: redacted(word.group()), text)


def redact_record(record: logging.LogRecord) -> bool:
    """A filter of a log's handler: each record passes, without the secrets of places."""
    record.msg, record.args = redacted_text(record.getMessage()), ()
    return True


def print_redacted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of an error that nothing expected, without the secrets of places."""
    sys.stderr.write(redacted_text("".join(traceback.format_exception(kind, error, trace))))


def without_secrets(text: str, settings: Any) -> str:
    """A text of another program, such as an error, with *** in place of the settings' secrets.

    Args:
        text: that may quote a secret as it stands in the settings, or percent-encoded or decoded.
        settings: plain values that hold the secrets.
    """
    forms = {
        form
        for secret in secrets_in(settings)
        for form in (
            secret,
            unquote(secret),
            unquote_plus(secret),
            quote(secret, safe=""),
            quote_plus(secret),
        )
    }
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        text = text.replace(form, HIDDEN)
    return text


def secrets_in(value: Any) -> set[str]:
    """Every secret in the URIs of plain values."""
    return {
        match["secret"]
        for text in _texts(value)
        if "://" in text
        for pattern in (_USER_INFO, _PARAMETER)
        for match in pattern.finditer(text)
    } - {"", HIDDEN}


def restored(recorded: Any, live: Any) -> Any:
    """Recorded settings with the secrets of live ones, where these name the same places.

    Args:
        recorded: plain values of `redacted`.
        live: plain values with secrets.
    """
    return _replaced(recorded, {redacted(text): text for text in _texts(live)})


def _replaced(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, str):
        return texts.get(value, value) if HIDDEN in value else value
    if isinstance(value, dict):
        return {key: _replaced(part, texts) for key, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, texts) for part in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _hide(match: re.Match[str]) -> str:
    return match["before"] + (HIDDEN if match["secret"] else "")
