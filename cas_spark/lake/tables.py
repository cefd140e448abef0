"""Every table of the lake: what one row is, its key, and its columns with their units.

Instants (`_at`) are UTC; dates (`_on`) are local. A poll and the week that starts at it share
their date. `run_number` tells which run wrote a row.
"""

from collections.abc import Sequence

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from cas_spark.lake.table import Column, Table

SCHEMA_VERSION = 3

DATE, INSTANT, TEXT, FLAG = DateType(), TimestampType(), StringType(), BooleanType()
INTEGER, LONG, DOUBLE, FLOAT = IntegerType(), LongType(), DoubleType(), FloatType()


def _named(name: str, value: str, value_type: DataType) -> ArrayType:
    """An array of (name, value) pairs, which keeps its order where a map would not.

    Delta knows no NOT NULL inside arrays, so none is declared there.
    """
    return ArrayType(StructType([StructField(name, TEXT), StructField(value, value_type)]))


def _written_by(what: str = "run that wrote the row") -> Column:
    return Column("run_number", LONG, what, is_in_digest=False)


DATASETS = Table(
    name="datasets",
    grain="an extract as delivered",
    keys=("source", "sha256"),
    columns=(
        Column("source", TEXT, "name of the source in the settings"),
        Column("sha256", TEXT, "of the file's bytes"),
        Column("name", TEXT, "file name"),
        Column("rows_read", LONG, "= accepted + revisions + rejected"),
        Column("rows_accepted", LONG, "rows that became incidents, or links of suspects"),
        Column("rows_revisions", LONG, "rows that correct or take back an earlier row"),
        Column("rows_rejected", LONG, "rows that were not used, each with its reason"),
        Column("complete_from_on", DATE, "first day of which all rows are delivered"),
        Column("known_from_at", INSTANT, "when its first row became known", is_nullable=True),
        Column("known_until_at", INSTANT, "when its last row became known", is_nullable=True),
        Column("is_known_at_assumed", FLAG, "whether the moments of knowing are assumed"),
        Column("origin", TEXT, "who delivered it"),
        Column("purpose", TEXT, "what it may be used for"),
        Column("legal_basis", TEXT, "why it may be used"),
        _written_by(),
    ),
    checks={"rows_add_up": "rows_read = rows_accepted + rows_revisions + rows_rejected"},
)

REJECTED_ROWS = Table(
    name="rejected_rows",
    grain="a row that was not used, its reason and its extract",
    keys=("source", "dataset_sha256", "row_number"),
    columns=(
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        Column("reason", TEXT, "first check that the row failed"),
        Column("found", TEXT, "the value that failed", is_nullable=True),
        Column("is_correction", FLAG, "whether the row would have corrected another"),
        _written_by(),
    ),
)

INCIDENTS = Table(
    name="incidents",
    grain="a version of an incident",
    keys=("incident_id", "known_at"),
    columns=(
        Column("incident_id", TEXT, "source and key of the incident; no personal data"),
        Column("known_at", INSTANT, "when this version became known"),
        Column("superseded_at", INSTANT, "when a later version became known", is_nullable=True),
        Column("occurred_from_at", INSTANT, "start of the interval in which it happened"),
        Column("occurred_until_at", INSTANT, "end of that interval; equal where one moment"),
        Column("priority", TEXT, "kind of incident"),
        Column("code", TEXT, "the row's code as delivered"),
        Column("cell_id", LONG, "cell in which it happened"),
        Column("case_key", TEXT, "pseudonym of the case it belongs to", is_nullable=True),
        Column("reported_by", TEXT, "citizen or police; null where not told", is_nullable=True),
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        _written_by("run that loaded the row"),
    ),
    checks={
        "interval_runs_forward": "occurred_from_at <= occurred_until_at",
        "known_after_it_happened": "occurred_until_at <= known_at",
        "superseded_after_known": "superseded_at IS NULL OR superseded_at > known_at",
    },
)

SUSPECTS = Table(
    name="suspects",
    grain="a version of a link between a suspect and an incident; off unless settings ask for it",
    keys=("link_id", "known_at"),
    columns=(
        Column("link_id", TEXT, "source, and hash of the suspect's pseudonym and the incident"),
        Column("known_at", INSTANT, "when this version became known"),
        Column(
            "superseded_at",
            INSTANT,
            "when a later version became known, or the link ended",
            is_nullable=True,
        ),
        Column("suspect_key", TEXT, "keyed pseudonym of the person; the key is kept nowhere"),
        Column("priority", TEXT, "kind of incident"),
        Column("home_cell_id", LONG, "cell of the suspect's home; no address, no coordinates"),
        Column("incident_id", TEXT, "incident it names by its source's key", is_nullable=True),
        Column("case_key", TEXT, "pseudonym of the case it belongs to", is_nullable=True),
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        _written_by("run that loaded the row"),
    ),
    checks={
        "superseded_after_known": "superseded_at IS NULL OR superseded_at > known_at",
        "linked_to_something": "incident_id IS NOT NULL OR case_key IS NOT NULL",
    },
)

REVISIONS = Table(
    name="revisions",
    grain="a decision about an incident, as delivered",
    keys=("revision_id",),
    columns=(
        Column("revision_id", TEXT, "source and content of the row; no personal data"),
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        Column("known_at", INSTANT, "when the decision became known"),
        Column("incident_id", TEXT, "incident it names by the source's key", is_nullable=True),
        Column("case_key", TEXT, "pseudonym of the case it belongs to", is_nullable=True),
        Column("code", TEXT, "the row's code as delivered", is_nullable=True),
        Column("priority", TEXT, "priority of that code", is_nullable=True),
        Column("occurred_from_at", INSTANT, "when the incident happened", is_nullable=True),
        Column("cell_id", LONG, "land cell in which it happened", is_nullable=True),
        Column("status", TEXT, "pending until it is linked to the incident that it corrects"),
        _written_by("run that loaded the row"),
    ),
    checks={"known_status": "status IN ('pending', 'linked', 'rejected')"},
)

CELLS = Table(
    name="cells",
    grain="a cell of a grid version that has land",
    keys=("grid_version", "cell_id"),
    columns=(
        Column("grid_version", TEXT, "version of the grid"),
        Column("cell_id", LONG, "number of the cell, from its row and column"),
        Column("column", INTEGER, "floor(x / 125 m) in the grid's CRS"),
        Column("row", INTEGER, "floor(y / 125 m) in the grid's CRS"),
        Column("team_id", TEXT, "team with the largest area in the cell; ties by id"),
        Column("team_name", TEXT, "that team's name", is_nullable=True),
        Column("region", TEXT, "that team's region", is_nullable=True),
        Column("land_share", DOUBLE, "share of the cell inside any team's polygon, 0-1"),
        Column("team_shares", _named("team_id", "share", DOUBLE), "each team's share, by id"),
        Column("is_kept", FLAG, "whether forecasts are made for it"),
        Column("removal_reason", TEXT, "first rule that removed it", is_nullable=True),
        Column("definition", TEXT, "sha256 of the settings and files this version was made from"),
        _written_by(),
    ),
    checks={
        "land_share_is_a_share": "land_share > 0 AND land_share <= 1",
        "removed_with_a_reason": "is_kept = (removal_reason IS NULL)",
    },
)

AREA_STATISTICS = Table(
    name="area_statistics",
    grain="an area's figure of one edition, as a grid version was made with it",
    keys=("grid_version", "source", "published_on", "area_id", "figure"),
    columns=(
        Column("grid_version", TEXT, "version of the grid"),
        Column("source", TEXT, "name of the area statistics in the settings"),
        Column("published_on", DATE, "local day on which the edition was published"),
        Column("area_id", TEXT, "the area's id as delivered"),
        Column("figure", TEXT, "name of the figure in the settings"),
        Column("value", DOUBLE, "of the figure; null where it is of no use", is_nullable=True),
        Column("status", TEXT, "known, or why the value is of no use"),
        Column("found", TEXT, "what the file holds in place of a value", is_nullable=True),
        _written_by(),
    ),
    checks={
        "known_status": "status IN "
        "('known', 'empty', 'marked_missing', 'not_a_number', 'negative')",
        "value_where_known": "(status = 'known') = (value IS NOT NULL)",
    },
)

OUTCOMES = Table(
    name="outcomes",
    grain="a version of the number of incidents of a priority in a cell and week, if any",
    keys=("priority", "cell_id", "week_on", "known_at"),
    columns=(
        Column("priority", TEXT, "kind of incident"),
        Column("cell_id", LONG, "cell"),
        Column("week_on", DATE, "day on which the week starts"),
        Column("known_at", INSTANT, "when this number became known"),
        Column("superseded_at", INSTANT, "when another number became known", is_nullable=True),
        Column("incidents", INTEGER, "incidents then known to have happened in that week"),
    ),
    checks={"counts_something": "incidents >= 0"},
)

MODELS = Table(
    name="models",
    grain="an expected model of a poll: team, priority and horizon",
    keys=("poll_on", "team_id", "priority", "horizon"),
    partitioned_by=("poll_on",),
    columns=(
        Column("poll_on", DATE, "poll whose forecast it makes"),
        Column("team_id", TEXT, "team"),
        Column("priority", TEXT, "kind of incident"),
        Column("horizon", TEXT, "name of the horizon in the settings"),
        Column("status", TEXT, "fitted, pooled (the country's model stands in) or failed"),
        Column("reason", TEXT, "why it is not fitted", is_nullable=True),
        Column("intercept", DOUBLE, "intercept, on transformed indicators", is_nullable=True),
        Column(
            "coefficients",
            _named("indicator", "coefficient", DOUBLE),
            "in catalogue order, on transformed (not standardised) indicators",
        ),
        Column(
            "draws",
            BinaryType(),
            "32 sets of coefficients that the data bear about as well, intercept first in each: "
            "multiples of 2^-20 as little-endian int32; null where the engine tells none",
            is_nullable=True,
        ),
        Column("dropped", ArrayType(TEXT), "indicators without variance, left out"),
        Column("first_poll_on", DATE, "first poll it learned from"),
        Column("last_poll_on", DATE, "last poll it learned from"),
        Column("rows", LONG, "cell-polls of the team"),
        Column("positives", LONG, "of these with an incident in the target week"),
        Column("iterations", INTEGER, "of the optimiser", is_nullable=True),
        Column("engine", TEXT, "what fitted it"),
        Column("seconds", DOUBLE, "time of the fit", is_nullable=True, is_in_digest=False),
        _written_by(),
    ),
    checks={
        "known_status": "status IN ('fitted', 'pooled', 'failed')",
        "failed_without_coefficients": "(status = 'failed') = (intercept IS NULL)",
        "reason_unless_fitted": "(status = 'fitted') = (reason IS NULL)",
    },
)

CHALLENGERS = Table(
    name="challengers",
    grain="an expected model of an experiment at the champion's poll: team, priority and horizon",
    keys=("experiment", *MODELS.keys),
    columns=(Column("experiment", TEXT, "name of the experiment"), *MODELS.columns),
    checks=MODELS.checks,
)

FORECASTS = Table(
    name="forecasts",
    grain="a kept cell's forecast for a poll, priority and horizon",
    keys=("poll_on", "team_id", "priority", "horizon", "cell_id"),
    partitioned_by=("poll_on",),
    columns=(
        Column("poll_on", DATE, "poll at which it is made"),
        Column("team_id", TEXT, "team"),
        Column("priority", TEXT, "kind of incident"),
        Column("horizon", TEXT, "name of the horizon in the settings"),
        Column("cell_id", LONG, "cell"),
        Column("target_week_on", DATE, "day on which the forecast week starts"),
        Column("logit", DOUBLE, "sum of the intercept and the contributions"),
        Column("probability", DOUBLE, "of at least one incident in the target week"),
        Column("rank", INTEGER, "within team, priority and horizon; 1 is the likeliest"),
        Column("is_chosen", FLAG, "whether it is among the chosen share of land cells"),
        Column("band", TEXT, "band of a chosen cell", is_nullable=True),
        Column(
            "stability",
            DOUBLE,
            "of a chosen cell, the share of the model's draws in which it is chosen as well",
            is_nullable=True,
        ),
        Column(
            "contributions",
            ArrayType(
                StructType(
                    [
                        StructField("indicator", TEXT),
                        StructField("value", DOUBLE),
                        StructField("contribution", DOUBLE),
                        StructField("above_mean", DOUBLE),
                    ]
                )
            ),
            "of a chosen cell, intercept first, in catalogue order; the contributions sum to the "
            "logit; above_mean is what one is more than on average in the team's kept cells",
            is_nullable=True,
        ),
        _written_by(),
    ),
    checks={
        "probability_is_one": "probability >= 0 AND probability <= 1",
        "chosen_with_band_and_reasons": (
            "is_chosen = (band IS NOT NULL) AND is_chosen = (contributions IS NOT NULL)"
        ),
    },
)

EVALUATIONS = Table(
    name="evaluations",
    grain="a measure of a method for a poll, team, priority and horizon",
    keys=("poll_on", "team_id", "priority", "horizon", "method", "measure"),
    columns=(
        Column("poll_on", DATE, "poll of the forecast"),
        Column("team_id", TEXT, "team; * where cells are chosen across all teams together"),
        Column("priority", TEXT, "kind of incident"),
        Column("horizon", TEXT, "name of the horizon in the settings"),
        Column("target_week_on", DATE, "day on which the scored week starts"),
        Column("method", TEXT, "model, or the baseline"),
        Column("measure", TEXT, "name of the measure"),
        Column("value", DOUBLE, "of the measure; null where undefined", is_nullable=True),
        Column("cells", LONG, "chosen, out of all land cells; of a probability, judged"),
        Column("caught", LONG, "incidents in them; of a probability, cells with an incident"),
        Column("incidents", LONG, "all incidents of the week, also those in removed cells"),
        Column("scored_as_of_at", INSTANT, "end of the extracts: what was known by then counts"),
        _written_by(),
    ),
)

BACKTESTS = Table(
    name="backtests",
    grain="a measure of a method in a backtest for a poll, team, priority and horizon",
    keys=("backtest", *EVALUATIONS.keys),
    columns=(
        Column(
            "backtest",
            TEXT,
            "polls that are scored and how often models were trained; or experiment",
        ),
        *EVALUATIONS.columns,
    ),
)

RUNS = Table(
    name="runs",
    grain="a complete run",
    keys=("number",),
    columns=(
        Column("number", LONG, "1, 2, 3 … within the lake"),
        Column("schema_version", INTEGER, "of the lake's tables"),
        Column("step", TEXT, "command"),
        Column("poll_on", DATE, "poll of the run", is_nullable=True),
        Column("settings", TEXT, "as JSON, with all defaults"),
        Column("settings_sha256", TEXT, "of that JSON without the places of files"),
        Column("commit", TEXT, "of the code; ends in -dirty where it was changed"),
        Column("lock_sha256", TEXT, "of uv.lock", is_nullable=True),
        Column("fingerprint", TEXT, "JSON: Python, libraries, BLAS, processor"),
        Column("versions_in", _named("table", "version", LONG), "of the tables before the run"),
        Column("versions_out", _named("table", "version", LONG), "of the tables after the run"),
        Column("digests", _named("table", "sha256", TEXT), "of the tables after the run"),
        Column("facts", TEXT, "JSON: what the steps found, such as the measured settling delay"),
        Column("stages", _named("stage", "seconds", DOUBLE), "time of each stage"),
        Column("finished_at", INSTANT, "when the run was published"),
    ),
)

SNAPSHOT_SLICES = Table(
    name="snapshot_slices",
    grain="a team's snapshots at a poll: what they were computed from, and where they lie",
    keys=("team_id", "poll_on"),
    columns=(
        Column("team_id", TEXT, "team"),
        Column("poll_on", DATE, "poll"),
        Column("basis", TEXT, "sha256 of the cells, catalogue and facts that the poll saw"),
        Column("rows", LONG, "kept cells of the team"),
        Column("sha256", TEXT, "digest of these rows of `snapshots`"),
        Column("file", TEXT, "file of `snapshots` that holds them", is_in_digest=False),
    ),
)

STATIC_TABLES = (
    DATASETS,
    REJECTED_ROWS,
    INCIDENTS,
    SUSPECTS,
    REVISIONS,
    CELLS,
    AREA_STATISTICS,
    SNAPSHOT_SLICES,
    OUTCOMES,
    MODELS,
    CHALLENGERS,
    FORECASTS,
    EVALUATIONS,
    BACKTESTS,
    RUNS,
)


def cell_context(surroundings: Sequence[str], figures: Sequence[tuple[str, str]] = ()) -> Table:
    """The slow indicators of a cell from a poll on.

    One distance and one number per layer of surroundings, and a column per figure of area
    statistics; (name, meaning) of each. A poll sees the newest rows that are valid from it or from
    a poll before.
    """
    layers = [
        column
        for name in surroundings
        for column in (
            Column(f"{name}_distance_m", FLOAT, f"from the cell's centre to the nearest {name}"),
            Column(f"{name}_within_500m", FLOAT, f"number of {name} within 500 m of its centre"),
        )
    ]
    return Table(
        name="cell_context",
        grain="the slow indicators of a cell from a date on",
        keys=("grid_version", "cell_id", "valid_from_on"),
        columns=(
            Column("grid_version", TEXT, "version of the grid"),
            Column("cell_id", LONG, "cell"),
            Column("valid_from_on", DATE, "first poll that sees these values"),
            Column("land_share", FLOAT, "share of the cell that is land, 0-1"),
            *layers,
            *(Column(name, FLOAT, meaning) for name, meaning in figures),
        ),
    )


def snapshots(indicators: Sequence[tuple[str, str]]) -> Table:
    """The fast indicators of every kept cell at every poll; (name, meaning) of each.

    Written by tasks through the Arrow door (`lake.arrow_door`), so it stays plain Delta: no
    deletion vectors, clustering, row tracking or column mapping.
    """
    return Table(
        name="snapshots",
        grain="a kept cell at a poll",
        keys=("team_id", "poll_on", "cell_id"),
        partitioned_by=("team_id",),
        columns=(
            Column("team_id", TEXT, "team"),
            Column("poll_on", DATE, "poll"),
            Column("cell_id", LONG, "cell"),
            *(Column(name, FLOAT, meaning) for name, meaning in indicators),
        ),
    )
