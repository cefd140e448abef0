"""What the values of a row mean, by the settings of its source: one column per meaning."""

import re
from collections.abc import Callable, Iterable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructType

from cas_spark.settings.codes import BETWEEN_CODES, PriorityCodes
from cas_spark.settings.effects import Kinds
from cas_spark.settings.extracts import Choice, IncidentExtracts, LinkedIncident, ReportedBy
from cas_spark.sources import moments
from cas_spark.sources.keyed_ids import ID_LENGTH
from cas_spark.sources.reading import text_of
from cas_spark.sources.spans import Delivered, Span

_NUMBER = r"^[+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d+)?$"

Text = Callable[[str], Column]
"""What gives the text of a column as delivered."""


def check_values_are_readable(rows: DataFrame, source: IncidentExtracts) -> None:
    """Check that the settings describe how the moments in these rows are written.

    Raises:
        CasError: a text column without formats, or dates where the settings speak of moments.
    """
    delivered = Delivered(kinds_of(rows), zone="")
    name = f"{source.kind}.{source.name}"
    moments.check_interval(source.occurred, delivered, f"{name}.occurred")
    moments.check_known(source.known, delivered, f"{name}.known")


def interpret(rows: DataFrame, source: IncidentExtracts, default_zone: str) -> DataFrame:
    """Give every row its meaning; nothing is rejected here, what cannot be read is null.

    Args:
        rows: as `reading.read_rows` returns them.
        source: what their columns mean.
        default_zone: zone of local times where the source names none.

    Returns:
        `row_number`, `malformed`, `is_correction`, `told_kind`, `excluded` (array: per exclusion
        the value that excludes the row, or null), `code`, `priority`, `is_other_code`,
        `occurred_from_at`, `occurred_until_at` and `known_at` (UTC), `x` and `y` (double, units of
        the source's CRS; null where missing), `reported_by`, `case_key` (yet without the key: see
        `keyed_ids`), `key_hash`,
        `is_key_missing`, `content_hash`, and as text, for messages, `known_text`,
        `occurred_from_text`, `occurred_until_text`, `x_text`, `y_text`.
    """
    kinds = kinds_of(rows)
    zone = source.timezone or default_zone
    known, delivered = source.known, Delivered(kinds, zone)
    happened = moments.happened(source.occurred, delivered)
    text = delivered.text
    code = code_of(source.priority.column, text)
    x_text, y_text = (text_of(F.col(name), rows.schema[name].dataType) for name in "xy")
    content = [text(column) for column in source.columns]
    if source.location.geometry:
        content += [x_text, y_text]
    key = [text(column) for column in source.key]
    first = rows.select(
        "row_number",
        "malformed",
        _is_correction(source.correction, text).alias("is_correction"),
        told_kind(source.correction.kinds if source.correction else None, text).alias("told_kind"),
        F.array(*(value_that_excludes(e, text) for e in source.exclude)).alias("excluded"),
        code.alias("code"),
        priority_of(code, source.priority).alias("priority"),
        matches(code, source.priority.other).alias("is_other_code"),
        happened.start.alias("occurred_from_at"),
        happened.last.start.alias("occurred_last_at"),
        happened.last.end.alias("occurred_until_at"),
        moments.known_given(known, delivered).alias("known_given"),
        coordinate_of(rows, "x", source.location.missing, source.decimal).alias("x"),
        coordinate_of(rows, "y", source.location.missing, source.decimal).alias("y"),
        _reported_by(source.reported_by, text).alias("reported_by"),
        (pseudonym([text(source.case)]) if source.case else F.lit(None).cast("string")).alias(
            "case_key"
        ),
        (hash_of(key) if key else F.lit(None).cast("string")).alias("key_hash"),
        (F.coalesce(*key).isNull() if key else F.lit(False)).alias("is_key_missing"),
        hash_of(content).alias("content_hash"),
        moments.known_text(known, delivered).alias("known_text"),
        happened.from_text.alias("occurred_from_text"),
        happened.until_text.alias("occurred_until_text"),
        x_text.alias("x_text"),
        y_text.alias("y_text"),
    )
    became_known = moments.known_at(
        known, F.col("known_given"), F.col("occurred_until_at"), F.col("is_correction"), zone
    )
    last = Span(
        F.col("occurred_last_at"), F.col("occurred_until_at"), happened.last.may_have_length
    )
    until = moments.until(F.col("occurred_from_at"), last, F.col("known_at"))
    return (
        first.withColumn("known_at", became_known)
        .withColumn("occurred_until_at", until)
        .drop("known_given", "occurred_last_at")
    )


def hash_of(values: Iterable[Column]) -> Column:
    """The sha256 of texts in their order, where null differs from empty."""
    return F.sha2(F.to_json(F.array(*values)), 256)


def pseudonym(values: Sequence[Column]) -> Column:
    """A hash that stands for these values, to be keyed; null where all are null."""
    return F.when(F.coalesce(*values).isNotNull(), F.substring(hash_of(values), 1, ID_LENGTH))


def id_of(source: str, digest: Column) -> Column:
    """The former id of a row, to be keyed: its source, and as much of a sha256 as an id holds."""
    return F.concat(F.lit(f"{source}:"), F.substring(digest, 1, ID_LENGTH))


def named_incident(link: LinkedIncident, text: Text) -> Column:
    """The former id of the incident that a row of another source names; null where it names none.

    It is to be keyed.
    """
    key = [text(column) for column in link.key]
    return F.when(F.coalesce(*key).isNotNull(), id_of(link.source, hash_of(key)))


def kinds_of(rows: DataFrame) -> dict[str, DataType]:
    """The type of every mapped column of rows as `reading.read_rows` returns them."""
    given = rows.schema["given"].dataType
    assert isinstance(given, StructType)  # noqa: S101  # it is what read_rows promises
    return {field.name: field.dataType for field in given.fields}


def _is_correction(correction: Choice | None, text: Text) -> Column:
    if correction is None:
        return F.lit(False)
    # The fields of a malformed row may stand under each other's names.
    is_marked = F.coalesce(text(correction.column).isin(correction.equals), F.lit(False))
    return is_marked & F.col("malformed").isNull()


def told_kind(kinds: Kinds | None, text: Text) -> Column:
    """The kind of revision that a row says it is; null where it says none that is known."""
    nothing = F.lit(None).cast("string")
    if kinds is None:
        return nothing
    value = text(kinds.column)
    return F.coalesce(
        *(F.when(value.isin(values), F.lit(kind)) for kind, values in kinds.values.items()), nothing
    )


def value_that_excludes(exclusion: Choice, text: Text) -> Column:
    """The value that excludes a row; null where none does."""
    value = text(exclusion.column)
    return F.when(value.isin(exclusion.equals), value)


def code_of(columns: Sequence[str], text: Text) -> Column:
    """Return the code that one or several columns make; null where all of them are blank."""
    if not columns:
        return F.lit(None).cast("string")
    texts = [text(column) for column in columns]
    if len(texts) == 1:
        return texts[0]
    joined = F.concat_ws(BETWEEN_CODES, *(F.coalesce(value, F.lit("")) for value in texts))
    return F.when(F.coalesce(*texts).isNotNull(), joined)


def priority_of(code: Column, codes: PriorityCodes) -> Column:
    """Return the priority whose patterns a code matches, or that of every row; null for none."""
    if codes.all_rows is not None:
        return F.lit(codes.all_rows)
    return F.coalesce(
        *(F.when(matches(code, patterns), F.lit(name)) for name, patterns in codes.codes.items())
    )


def matches(code: Column, patterns: Sequence[str]) -> Column:
    """Whether a code matches a pattern; false for no code."""
    if not patterns:
        return F.lit(False)
    either = "|".join(_regex(pattern) for pattern in patterns)
    return F.coalesce(code.rlike(rf"\A(?s:{either})\z"), F.lit(False))


def _regex(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)


def coordinate_of(
    rows: DataFrame, axis: str, missing: Sequence[float], decimal: str = "."
) -> Column:
    """Return a coordinate as a number (double); null where it cannot be read, or means: unknown.

    Args:
        rows: as `reading.read_rows` returns them.
        axis: `x` or `y`.
        missing: numbers that mean: unknown.
        decimal: the sign between the whole and the decimals of text.
    """
    value = F.col(axis)
    number = value.try_cast("double")
    if isinstance(rows.schema[axis].dataType, StringType):
        # Spark's cast also takes what no person means by a number, such as 12d and 0x1p3.
        is_number = value.rlike(_NUMBER.replace(".", decimal))
        as_spark_has_it = F.replace(value, F.lit(decimal), F.lit("."))
        number = F.when(is_number, as_spark_has_it.try_cast("double"))
    is_unknown = F.isnan(number) | number.isin([float(value) for value in missing])
    return F.when(~is_unknown, number)


def _reported_by(reported_by: ReportedBy | None, text: Text) -> Column:
    if reported_by is None:
        return F.lit(None).cast("string")
    who = text(reported_by.column)
    return F.when(who.isin(reported_by.citizen), "citizen").when(
        who.isin(reported_by.police), "police"
    )
