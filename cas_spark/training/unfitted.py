"""Why a model is not fitted on its own team: codes in the record, words where people read them."""

import re
from collections.abc import Mapping
from typing import Any

from cas_spark.errors import CasError

TOO_FEW_POSITIVES = "too_few_positives"
ALL_POSITIVE = "all_positive"
NOT_CONVERGED = "not_converged"
ERROR = "error"


def in_words(model: Mapping[str, Any]) -> str | None:
    """Return in words why a model is not fitted on its own team; None where it is.

    Args:
        model: `positives`, `reason`, `pool`, `pool_reason` and `detail` of a row of `models`.

    >>> row = {"positives": 3, "reason": "too_few_positives", "detail": None}
    >>> in_words({**row, "pool": "north", "pool_reason": None})
    'too few cell-weeks with an incident: 3; the model of region north stands in'
    >>> in_words({**row, "pool": "", "pool_reason": "too_few_positives"})
    'too few cell-weeks with an incident: 3; the whole country has too few as well'
    """
    if model["reason"] is None:
        return None
    detail = f": {model['detail']}" if model["detail"] else ""
    words = {
        TOO_FEW_POSITIVES: f"too few cell-weeks with an incident: {model['positives']}",
        ALL_POSITIVE: "every cell-week has an incident",
        NOT_CONVERGED: f"the fit did not converge{detail}",
        ERROR: f"the fit ended in an error{detail}",
    }[model["reason"]]
    if model["pool"] is None:
        return words
    where = f"region {model['pool']}" if model["pool"] else "the whole country"
    of_pool = {
        None: f"the model of {where} stands in",
        TOO_FEW_POSITIVES: f"{where} has too few as well",
        ALL_POSITIVE: f"in {where} every cell-week has an incident",
        NOT_CONVERGED: f"the fit of {where} did not converge{detail}",
        ERROR: f"the fit of {where} ended in an error{detail}",
    }[model["pool_reason"]]
    return f"{words}; {of_pool}"


def message_of(error: Exception) -> str:
    """Return what went wrong, in a line: the message of a task's own CasError, or the first line.

    Spark puts the whole traceback of a Python task before the message of its error.
    """
    lines = str(error).strip().splitlines() or [repr(error)]
    own = re.compile(rf"{CasError.__module__.split('.', maxsplit=1)[0]}\.[\w.]+: (.*)")
    of_task = [found[1] for line in lines if (found := own.fullmatch(line))]
    return (of_task or lines)[0][:500]
