# %% [markdown]
"""# A team's week.

What the last complete run of a lake says about one team: with what it was made, from which
extracts, which cells are likeliest and why, and how well such forecasts did beside plain counting.

It reads the lake and writes nothing. The settings are those named by the environment variable
`CAS_SETTINGS`; without it, those of the demo.
"""

# %%
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
from IPython.display import Image, Markdown
from pyspark.sql import functions as F

import cas_spark
from cas_spark.evaluation.measures import measure_name
from cas_spark.publishing.maps import as_png, draw_map
from cas_spark.forecasting.reasons import REASON, sentences_of
from cas_spark.indicators.catalogue import catalogue_of_lake
from cas_spark.lake import tables
from cas_spark.lake.lake import Lake
from cas_spark.platform.session import start_session
from cas_spark.settings import load_settings

project = Path(cas_spark.__file__).resolve().parents[1]
settings = load_settings(Path(os.environ.get("CAS_SETTINGS", project / "conf" / "demo.yaml")))
lake = Lake(start_session("notebook"), settings.lake)
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## What must be said with every figure below

# %%
sayings = ["**DRAFT**: these forecasts are not published; they are of places, never of persons."]
Markdown("\n".join(f"- {label}" for label in [*sayings, *settings.labels]))

# %% [markdown]
# ## Which team, priority and horizon
# The first of each, unless you choose others here.

# %%
forecasts = lake.read(tables.FORECASTS)
poll = forecasts.agg(F.max("poll_on")).first()[0]
at_poll = F.col("poll_on") == F.lit(poll)
team = forecasts.where(at_poll).agg(F.min("team_id")).first()[0]
priority = next(iter(settings.priorities))
horizon = next(iter(settings.horizons))
of_team = at_poll & (F.col("team_id") == team)
{"poll": str(poll), "team": team, "priority": priority, "horizon": horizon}

# %% [markdown]
# ## With what it was made

# %%
run = lake.last_manifest
pd.Series(
    {
        "run": run.number,
        "command": run.step,
        "poll": run.poll_on,
        "finished": run.finished_at,
        "code": run.commit,
        "settings sha256": run.settings_sha256,
        "uv.lock sha256": run.lock_sha256,
        **{f"found: {name}": str(fact) for name, fact in run.facts.items()},
        **{f"seconds: {name}": seconds for name, seconds in run.stages.items()},
    },
    name="last complete run",
).to_frame()

# %% [markdown]
# What it left behind: the version of each table, and the digest of its rows. Two runs that found
# the same have the same digests.

# %%
pd.DataFrame({"version": dict(run.versions_out), "digest": dict(run.digests)}).sort_index()

# %% [markdown]
# ## From which extracts
# Every row that was read was accepted, taken as a revision, or rejected for a reason.

# %%
datasets = lake.read(tables.DATASETS).orderBy("source", "name").collect()
pd.DataFrame(
    [
        {
            "extract": row["name"],
            "read": row["rows_read"],
            "accepted": row["rows_accepted"],
            "revisions": row["rows_revisions"],
            "rejected": row["rows_rejected"],
            "known until": row["known_until_at"],
            "assumed": row["is_known_at_assumed"],
        }
        for row in datasets
    ]
)

# %%
rejected = lake.read(tables.REJECTED_ROWS).groupBy("source", "reason").count()
pd.DataFrame(
    [row.asDict() for row in rejected.orderBy("source", F.desc("count"), "reason").collect()],
    columns=["source", "reason", "count"],
)

# %% [markdown]
# ## The team's cells and models

# %%
in_grid = F.col("grid_version") == settings.grid.version
cells = lake.read(tables.CELLS).where(in_grid & (F.col("team_id") == team)).collect()
removed = [row["removal_reason"] or "kept" for row in cells]
pd.Series(removed, dtype="str").value_counts().rename("cells").to_frame()

# %%
models = lake.read(tables.MODELS).where(of_team).orderBy("priority", "horizon").collect()
shown = ["priority", "horizon", "status", "reason", "rows", "positives", "iterations", "engine"]
pd.DataFrame([{name: row[name] for name in shown} for row in models])

# %% [markdown]
# ## The map

# %%
rows = forecasts.where(of_team & F.col("is_chosen")).orderBy("priority", "horizon", "rank")
chosen = rows.collect()
Image(as_png(draw_map(cells, chosen, settings, priority, horizon)))

# %% [markdown]
# ## The likeliest cells, and what raises them
# The contributions of all indicators and the intercept sum to the cell's logit; the reasons are the
# three that raise it most above the rest of the team. They show what the forecast rests on, not
# what causes crime there.

# %%
indicators = {indicator.name: indicator for indicator in catalogue_of_lake(settings).indicators}
top = [row for row in chosen if (row["priority"], row["horizon"]) == (priority, horizon)][:10]
reasons = pa.array([[r.asDict() for r in row["reasons"]] for row in top], pa.list_(REASON))
sentences = sentences_of(reasons, indicators, settings.priorities).to_pylist()
pd.DataFrame(
    [
        {
            "rank": row["rank"],
            "cell": row["cell_id"],
            "band": row["band"],
            "probability": row["probability"],
            "week from": row["target_week_on"],
            "reasons": sentence,
        }
        for row, sentence in zip(top, sentences, strict=True)
    ]
).set_index("rank")

# %% [markdown]
# ## How well did it do, beside plain counting?
# The share of the team's incidents that fell in the chosen share of its land cells, over all polls
# that are scored. A week is scored once it has settled; a week that has not is missing here, never
# zero. One week of one team is few incidents: look at many weeks before you conclude anything.

# %%
share = measure_name(settings.forecast.share)
measured = (F.col("team_id") == team) & (F.col("measure") == share)
if lake.holds(tables.EVALUATIONS):
    scores = (
        lake.read(tables.EVALUATIONS)
        .where(measured)
        .groupBy("priority", "horizon", "method")
        .agg(
            F.sum("caught").alias("caught"),
            F.sum("incidents").alias("incidents"),
            F.countDistinct("poll_on").alias("polls"),
        )
        .collect()
    )
else:
    scores = []
table = pd.DataFrame(
    [row.asDict() for row in scores],
    columns=["priority", "horizon", "method", "caught", "incidents", "polls"],
)
table["share"] = table["caught"] / table["incidents"].where(table["incidents"] > 0)
order = ["priority", "horizon", "share", "method"]
table.sort_values(order, ascending=[True, True, False, True], ignore_index=True)

# %% [markdown]
# All of this again, with the same settings: `cas-spark weekly --settings FILE`.
