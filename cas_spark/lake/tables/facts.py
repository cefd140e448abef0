"""What was delivered and what follows from it alone: extracts, facts, cells and outcomes."""

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

_PURGED_AT = Column(
    "purged_at",
    INSTANT,
    "when a revision became effective since which no run uses it for any poll",
    is_nullable=True,
)

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
        Column(
            "source_sha256",
            TEXT,
            "of the settings by which it was read; null where an older version took it in",
            is_nullable=True,
            is_in_digest=False,
        ),
        Column(
            "delivered_on",
            DATE,
            "local day of delivery, where settings give it",
            is_nullable=True,
            is_in_digest=False,
        ),
        written_by(),
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
        written_by(),
    ),
)

INCIDENTS = Table(
    name="incidents",
    grain="a version of an incident",
    keys=("incident_id", "version"),
    columns=(
        Column("incident_id", TEXT, "source, and keyed hash of what identifies the incident"),
        Column("version", INTEGER, "1 as delivered, one more with each revision that changes it"),
        Column("known_at", INSTANT, "when this version became known"),
        Column(
            "superseded_at",
            INSTANT,
            "when a later version became known, or a revision took it back",
            is_nullable=True,
        ),
        _PURGED_AT,
        Column("occurred_from_at", INSTANT, "start of the interval in which it happened"),
        Column("occurred_until_at", INSTANT, "end of that interval; equal where one moment"),
        Column("priority", TEXT, "kind of incident"),
        Column("code", TEXT, "the row's code as delivered"),
        Column("cell_id", LONG, "cell in which it happened"),
        Column("case_key", TEXT, "keyed pseudonym of the case it belongs to", is_nullable=True),
        Column("reported_by", TEXT, "citizen or police; null where not given", is_nullable=True),
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        written_by("run that loaded the row"),
    ),
    checks={
        "interval_runs_forward": "occurred_from_at <= occurred_until_at",
        "known_after_it_happened": "occurred_until_at <= known_at",
        "superseded_once_known": "superseded_at IS NULL OR superseded_at >= known_at",
        "purged_is_superseded": "purged_at IS NULL OR superseded_at IS NOT NULL",
    },
)

SUSPECTS = Table(
    name="suspects",
    grain="a version of a link between a suspect and an incident; off unless settings ask for it",
    keys=("link_id", "known_at"),
    columns=(
        Column(
            "link_id", TEXT, "source, and keyed hash of the suspect's pseudonym and the incident"
        ),
        Column("known_at", INSTANT, "when this version became known"),
        Column(
            "superseded_at",
            INSTANT,
            "when a later version became known, or the link ended",
            is_nullable=True,
        ),
        _PURGED_AT,
        Column("suspect_key", TEXT, "keyed pseudonym of the person; the key is kept nowhere"),
        Column("priority", TEXT, "kind of incident"),
        Column("home_cell_id", LONG, "cell of the suspect's home; no address, no coordinates"),
        Column("incident_id", TEXT, "incident it names by its source's key", is_nullable=True),
        Column("case_key", TEXT, "keyed pseudonym of the case it belongs to", is_nullable=True),
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        written_by("run that loaded the row"),
    ),
    checks={
        "superseded_once_known": "superseded_at IS NULL OR superseded_at >= known_at",
        "linked_to_something": "incident_id IS NOT NULL OR case_key IS NOT NULL",
    },
)

REVISIONS = Table(
    name="revisions",
    grain="a decision about an incident or a suspect's link to one, as delivered, and its fate",
    keys=("revision_id",),
    columns=(
        Column("revision_id", TEXT, "source, and keyed hash of the row's content"),
        Column("source", TEXT, "name of the source in the settings"),
        Column("dataset_sha256", TEXT, "extract that held the row"),
        Column("row_number", LONG, "place in the extract, from 1"),
        Column("about", TEXT, "incident or suspect: which kind of fact"),
        Column("about_source", TEXT, "name of the source of that fact"),
        Column("decided_on", DATE, "local day of the decision", is_nullable=True),
        Column("known_at", INSTANT, "when the decision became known"),
        Column("told_kind", TEXT, "kind as delivered; null where not given", is_nullable=True),
        Column("named_id", TEXT, "incident or link that it names by key", is_nullable=True),
        Column("case_key", TEXT, "keyed pseudonym of the case it belongs to", is_nullable=True),
        Column("code", TEXT, "code of what it takes back", is_nullable=True),
        Column("priority", TEXT, "priority of that code", is_nullable=True),
        Column("occurred_from_at", INSTANT, "when that happened", is_nullable=True),
        Column("cell_id", LONG, "land cell in which that happened", is_nullable=True),
        Column("new_code", TEXT, "the right code, where reclassified", is_nullable=True),
        Column("new_priority", TEXT, "its priority, if of one", is_nullable=True),
        Column("new_occurred_from_at", INSTANT, "start, where retimed", is_nullable=True),
        Column("new_occurred_until_at", INSTANT, "end, where retimed", is_nullable=True),
        Column("new_cell_id", LONG, "land cell, if in one, where relocated", is_nullable=True),
        Column("status", TEXT, "pending until it is linked to what it is about"),
        Column("kind", TEXT, "what it says; null until decided", is_nullable=True),
        Column("effect", TEXT, "purge or from_known, where linked", is_nullable=True),
        Column("reason", TEXT, "why it is rejected", is_nullable=True),
        Column("linked_id", TEXT, "incident or link that it is about", is_nullable=True),
        Column("effective_at", INSTANT, "from when on it holds", is_nullable=True),
        Column(
            "former_order",
            INTEGER,
            "place among those known at the same moment, where a lake before version 7 had it by "
            "ids; else they go by extract and row",
            is_nullable=True,
            is_in_digest=False,
        ),
        Column(
            "processed_run",
            LONG,
            "run that linked or rejected it",
            is_nullable=True,
            is_in_digest=False,
        ),
        written_by("run that loaded the row"),
    ),
    checks={
        "known_status": "status IN ('pending', 'linked', 'rejected')",
        "about_a_fact": "about IN ('incident', 'suspect')",
        "linked_to_something": "(status = 'linked') = (linked_id IS NOT NULL)",
        "effective_where_linked": "(status = 'linked') = (effective_at IS NOT NULL)",
        "effect_where_linked": "(status = 'linked') = (effect IS NOT NULL)",
        "rejected_with_a_reason": "(status = 'rejected') = (reason IS NOT NULL)",
    },
)

REVISION_COSTS = Table(
    name="revision_costs",
    grain="a team that a revision touched, and what was recomputed for it",
    keys=("revision_id", "team_id"),
    columns=(
        Column("revision_id", TEXT, "revision"),
        Column("team_id", TEXT, "team in or around which it is about something"),
        Column("polls_recomputed", LONG, "polls of the team that were recomputed"),
        Column("models_retrained", LONG, "models of the team trained on them"),
        written_by("run that recomputed"),
    ),
)

CELLS = Table(
    name="cells",
    grain="a cell of a grid version that has land",
    keys=("grid_version", "cell_id"),
    sliced_by="grid_version",
    columns=(
        Column("grid_version", TEXT, "version of the grid"),
        Column("cell_id", LONG, "number of the cell, from its row and column"),
        Column("column", INTEGER, "floor(x / 125 m) in the grid's CRS"),
        Column("row", INTEGER, "floor(y / 125 m) in the grid's CRS"),
        Column("team_id", TEXT, "team with the largest area in the cell; ties by id"),
        Column("team_name", TEXT, "that team's name", is_nullable=True),
        Column("region", TEXT, "that team's region", is_nullable=True),
        Column("land_share", DOUBLE, "share of the cell inside any team's polygon, 0-1"),
        Column("team_shares", named("team_id", "share", DOUBLE), "each team's share, by id"),
        Column("is_kept", FLAG, "whether forecasts are made for it"),
        Column("removal_reason", TEXT, "first rule that removed it", is_nullable=True),
        Column("definition", TEXT, "sha256 of the settings and files this version was made from"),
        Column("basis", TEXT, "of the incidents that removal rules looked at", is_nullable=True),
        written_by(),
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
        written_by(),
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
