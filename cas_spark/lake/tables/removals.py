"""What was removed for good: how much of which extract and why, and the proof. No key is kept."""

from cas_spark.lake.table import Column, Table
from cas_spark.lake.tables.types import DATE, INTEGER, LONG, TEXT, written_by

NO_EXTRACT = "-"
"""Where something was removed that came from no extract."""

_RETENTION = Column("retention", INTEGER, "1, 2, 3 … in the order in which the lake was cleared")

RETENTIONS = Table(
    name="retentions",
    grain="what was removed for good of a kind and an extract for one reason",
    keys=("retention", "class", "reason", "source", "dataset_sha256"),
    columns=(
        _RETENTION,
        Column("as_of_on", DATE, "day as of which terms were counted"),
        Column("class", TEXT, "table; or extracts, maps or mlflow"),
        Column("reason", TEXT, "term (it was past its term) or ordered (it was to be erased)"),
        Column("source", TEXT, f"name of the source in the settings; {NO_EXTRACT} for none"),
        Column("dataset_sha256", TEXT, f"extract that held it; {NO_EXTRACT} for none"),
        Column("rows", LONG, "rows; of extracts files, of maps and mlflow polls"),
        Column("facts", LONG, "different incidents, links or revisions among them"),
        Column(
            "complete_from_on",
            DATE,
            "local day from which on, by a term, nothing of its kind is missing",
            is_nullable=True,
        ),
        written_by("run that removed them"),
    ),
    checks={
        "known_reason": "reason IN ('term', 'ordered')",
        "a_term_tells_its_day": "(reason = 'term') = (complete_from_on IS NOT NULL)",
    },
)

RETENTION_SCANS = Table(
    name="retention_scans",
    grain="a scan of all remaining bytes, which found none of the keys that were removed",
    keys=("retention",),
    columns=(
        _RETENTION,
        Column("keys", LONG, "different keys that were looked for"),
        Column("keys_found", LONG, "of these, found"),
        Column("files", LONG, "files looked at: lake, MLflow's database and artifacts"),
        Column("bytes", LONG, "bytes of these files, as they lie"),
        Column("not_scanned", TEXT, "stores that only their server can look at", is_nullable=True),
        written_by("run that scanned"),
    ),
    checks={"none_found": "keys_found = 0"},
)

ERASURES = Table(
    name="erasures",
    grain="a fact that was erased on order and is not taken in again",
    keys=("id_sha256",),
    columns=(
        Column("id_sha256", TEXT, "of the digits of the id of an incident, link or revision"),
        _RETENTION,
        written_by("run that erased it"),
    ),
)
