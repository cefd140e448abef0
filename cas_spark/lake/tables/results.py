"""What runs make: models, forecasts, their evaluations, and the runs themselves."""

from pyspark.sql.types import ArrayType, BinaryType, StructField, StructType

from cas_spark.lake.table import Column, Table
from cas_spark.lake.tables.types import (
    DATE,
    DOUBLE,
    FLAG,
    INSTANT,
    INTEGER,
    LONG,
    TEXT,
    named,
    written_by,
)

MODELS = Table(
    name="models",
    grain="an expected model of a poll: team, priority and horizon",
    keys=("poll_on", "team_id", "priority", "horizon"),
    partitioned_by=("poll_on",),
    sliced_by="poll_on",
    columns=(
        Column("poll_on", DATE, "poll whose forecast it makes"),
        Column("team_id", TEXT, "team"),
        Column("priority", TEXT, "kind of incident"),
        Column("horizon", TEXT, "name of the horizon in the settings"),
        Column("status", TEXT, "fitted, pooled (the country's model stands in) or failed"),
        Column(
            "reason",
            TEXT,
            "why it is not fitted: too_few_positives, all_positive, not_converged or error",
            is_nullable=True,
        ),
        Column(
            "pool",
            TEXT,
            "region whose model stands in, or has none either; empty for the whole country",
            is_nullable=True,
        ),
        Column(
            "pool_reason", TEXT, "why the pool has no model: a code as of reason", is_nullable=True
        ),
        Column(
            "detail",
            TEXT,
            "what went wrong with a fit, in words; of a model from a lake of schema version 7 or "
            "older, its whole reason",
            is_nullable=True,
            is_in_digest=False,
        ),
        Column("intercept", DOUBLE, "intercept, on transformed indicators", is_nullable=True),
        Column(
            "coefficients",
            named("indicator", "coefficient", DOUBLE),
            "in catalogue order, on transformed (not standardised) indicators",
        ),
        Column(
            "draws",
            BinaryType(),
            "32 sets of coefficients that the data bear about as well, intercept first in each: "
            "multiples of 2^-20 as little-endian int32; null where the engine gives none",
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
        written_by(),
    ),
    checks={
        "known_status": "status IN ('fitted', 'pooled', 'failed')",
        "failed_without_coefficients": "(status = 'failed') = (intercept IS NULL)",
        "reason_unless_fitted": "(status = 'fitted') = (reason IS NULL)",
        "known_reason": (  # Delta's replaceWhere refuses a check that is null.
            "reason IS NULL OR "
            "reason IN ('too_few_positives', 'all_positive', 'not_converged', 'error')"
        ),
        "pooled_by_a_pool": "(status = 'pooled') = (pool IS NOT NULL AND pool_reason IS NULL)",
    },
)

EARLIER_MODELS = Table(
    name="earlier_models",
    grain="a model that a poll had until a later run trained it otherwise",
    keys=("version", *MODELS.keys),
    partitioned_by=MODELS.partitioned_by,
    sliced_by=MODELS.sliced_by,
    columns=(
        Column("version", INTEGER, "1 for the first models of the poll, 2 for the next"),
        *MODELS.columns,
    ),
    checks=MODELS.checks,
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
    sliced_by="poll_on",
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
            ArrayType(DOUBLE),
            "of a chosen cell, the intercept and what each coefficient of its model adds, in their "
            "order in `models`; they sum to the logit",
            is_nullable=True,
        ),
        Column(
            "reasons",
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
            "of a chosen cell, the three indicators that raise it most above the mean of the "
            "team's kept cells, the largest first; the value is as `snapshots` has it",
            is_nullable=True,
        ),
        Column(
            "raised_by",
            named("group", "above_mean", DOUBLE),
            "of a chosen cell, how far each group of indicators raises it above that mean",
            is_nullable=True,
        ),
        written_by(),
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
        written_by(),
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
        Column("versions_in", named("table", "version", LONG), "of the tables before the run"),
        Column("versions_out", named("table", "version", LONG), "of the tables after the run"),
        Column("digests", named("table", "sha256", TEXT), "of the tables after the run"),
        Column("facts", TEXT, "JSON: what the steps found, such as the measured settling delay"),
        Column("stages", named("stage", "seconds", DOUBLE), "time of each stage"),
        Column("finished_at", INSTANT, "when the run was published"),
    ),
)
