"""Keyed ids: what stands for a row, a case or a link, and leads back to it only with the key.

The settings name the values that identify a row; a hash of these is its former id, which could be
computed for every number of a register. It leaves no task. The id in the lake is made from it:

    `source:` + the first 32 hexadecimal digits of HMAC-SHA256(key, sha256(former id))

where sha256 is of the former id as UTF-8 text, in 64 hexadecimal digits. A case has no source in
front. So a lake of former ids is migrated without any register, and so is what it erased, of which
it holds no more than that sha256.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

_pandas_udf: Any = pandas_udf  # Spark's own stub does not know functions with type hints

ID_LENGTH = 32
"""Hexadecimal digits of an id: 128 bits, far too many for two rows to share one by chance."""


def keyed_digits(former_sha256: str, key: bytes) -> str:
    """The digits of an id.

    Args:
        former_sha256: sha256 of the former id, in hexadecimal.
        key: of the lake.
    """
    return hmac.digest(key, former_sha256.encode(), "sha256").hex()[:ID_LENGTH]


def keyed_id(former: str, key: bytes) -> str:
    """The id of what had a former id; `source:` in front of that stays in front."""
    source, colon, _ = former.rpartition(":")
    return source + colon + keyed_digits(hashlib.sha256(former.encode()).hexdigest(), key)


def with_keyed_ids(rows: DataFrame, columns: Sequence[str], key: bytes) -> DataFrame:
    """Rows with ids in place of former ids; null stays null.

    The tasks make them, all columns in one pass, so the key is part of no plan that Spark shows or
    logs.

    Args:
        rows: of any kind.
        columns: that hold former ids (text).
        key: of the lake.
    """

    def keyed(former: pd.Series) -> pd.Series:
        ids = [keyed_id(id_, key) if isinstance(id_, str) else None for id_ in former.tolist()]
        return pd.Series(ids, dtype="object")

    as_id = _pandas_udf(keyed, "string")
    return rows.withColumns({name: as_id(F.col(name)) for name in columns})


def with_keyed_erasures(erasures: DataFrame, key: bytes) -> DataFrame:
    """Rows of `erasures` of former ids, as they are of ids: see `digest_of_id`."""

    def keyed(former_sha256: pd.Series) -> pd.Series:
        digits = [keyed_digits(sha256, key) for sha256 in former_sha256.tolist()]
        return pd.Series(digits, dtype="object")

    as_digits = _pandas_udf(keyed, "string")
    return erasures.withColumn("id_sha256", F.sha2(as_digits("id_sha256"), 256))


def digest_of_id(id_: Column) -> Column:
    """What `erasures` holds of an id: the sha256 of its digits, without the source in front."""
    return F.sha2(F.substring_index(id_, ":", -1), 256)


def check_of_key(key: bytes) -> str:
    """Return what distinguishes two keys and gives neither away."""
    question = b"cas-spark: is this the key of before?"
    return hmac.new(key, question, hashlib.sha256).hexdigest()[:ID_LENGTH]
