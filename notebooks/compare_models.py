# %% [markdown]
"""# Comparing models.

Teams and priorities side by side, as MLflow knows them: which models were fitted, how well they did
beside plain counting, what they look at, and what one of them says of a place.

It reads MLflow and writes nothing. The settings are those named by the environment variable
`CAS_SETTINGS`; without it, those of the demo.
"""

# %%
import io
import os
from pathlib import Path

import mlflow
import pandas as pd
from IPython.display import Markdown

import cas_spark
from cas_spark.evaluation.measures import measure_name
from cas_spark.settings import load_settings
from cas_spark.tracking.store import open_store

project = Path(cas_spark.__file__).resolve().parents[1]
settings = load_settings(Path(os.environ.get("CAS_SETTINGS", project / "conf" / "demo.yaml")))
mlflow.set_tracking_uri(open_store(settings).uri)
Markdown("\n".join(f"- {label}" for label in settings.labels) or "Nothing must be said of these.")

# %% [markdown]
# ## The weeks
# One parent run per week. Runs are found by their tags, whatever experiment they are in.

# %%
of_lake = f"tags.lake = '{settings.name}'"
weeks = mlflow.search_runs(
    search_all_experiments=True,
    filter_string=f"{of_lake} and tags.level = 'week' and tags.complete = 'true'",
)
shown = {
    "tags.poll": "poll",
    "params.engine": "engine",
    "params.reg_param": "reg_param",
    "params.indicators": "indicators",
    "metrics.models.fitted": "fitted",
    "metrics.models.pooled": "pooled",
    "metrics.models.failed": "failed",
    "metrics.seconds.train": "seconds to train",
}
weeks.sort_values("tags.poll").reindex(columns=list(shown)).rename(columns=shown)

# %% [markdown]
# ## Teams and priorities side by side
# The share of incidents caught in the chosen cells, of the first horizon in the newest week that is
# scored, and how many incidents that was. One week of one team is few.

# %%
horizon = next(iter(settings.horizons))
share = measure_name(settings.forecast.share)
poll = weeks["tags.poll"].max()
teams = mlflow.search_runs(
    search_all_experiments=True,
    filter_string=f"{of_lake} and tags.level = 'team' and tags.poll = '{poll}'",
)
of_teams = teams.rename(columns={"tags.team_name": "team", "tags.priority": "priority"})
figures = [f"metrics.{share}.{horizon}", f"metrics.incidents.{horizon}"]
of_teams = of_teams.reindex(columns=["team", "priority", *figures])
of_teams.pivot_table(index="team", columns="priority", values=figures, dropna=False).round(3)

# %% [markdown]
# ## Beside plain counting
# All teams together, with the cells chosen in each team.

# %%
newest = weeks.sort_values("tags.poll").iloc[-1]
rows = []
for priority in settings.priorities:
    name = f"metrics.{priority}/{share}.{horizon}"
    line = {"priority": priority, "model": newest.get(name)}
    for column in newest.index:
        if column.startswith(f"{name}."):
            line[column.removeprefix(f"{name}.")] = newest[column]
    rows.append(line)
pd.DataFrame(rows).set_index("priority").round(3)

# %% [markdown]
# ## What two models look at
# The coefficients of a priority in two teams, on transformed indicators: the twelve that differ
# most.

# %%
priority = next(iter(settings.priorities))
pair = teams[teams["tags.priority"] == priority].sort_values("tags.team").head(2)
columns = {
    run["tags.team"]: pd.read_csv(
        io.StringIO(mlflow.artifacts.load_text(f"{run['artifact_uri']}/coefficients.csv")),
        index_col="indicator",
    )[horizon]
    for _, run in pair.iterrows()
}
side_by_side = pd.DataFrame(columns)
spread = (side_by_side.max(axis=1) - side_by_side.min(axis=1)).sort_values(ascending=False)
side_by_side.loc[spread.index[:12]].round(3)

# %% [markdown]
# ## Asking a model
# The week's model is one for all teams, priorities and horizons. It takes plain values of the
# indicators, as they stand in `snapshots` and `cell_context`, and needs nothing of this project.

# %%
model = mlflow.pyfunc.load_model(f"models:/{settings.name}@latest")
example = model.input_example
pd.concat([example[["team", "priority", "horizon"]], model.predict(example)], axis=1)

# %% [markdown]
# ## Challengers
# What `cas-spark experiment` found: a challenger beside the weekly run that was the latest then, both
# forecasting the same weeks since. The ratio is how many times as many incidents the challenger
# caught in cells chosen across all teams; where low to high includes 1, no difference is shown.

# %%
experiments = mlflow.search_runs(
    search_all_experiments=True,
    filter_string=f"{of_lake} and tags.level = 'experiment' and tags.complete = 'true'",
)
rows = []
for _, run in experiments.sort_values("tags.poll").iterrows() if len(experiments) else ():
    for priority in settings.priorities:
        for horizon in settings.horizons:
            line = {"experiment": run["tags.experiment"], "beside the week of": run["tags.poll"]}
            line |= {"priority": priority, "horizon": horizon}
            for figure in ("champion", "challenger", "ratio", "low", "high"):
                line[figure] = run.get(
                    f"metrics.across_teams/{priority}/{share}.{horizon}.{figure}"
                )
            line["the challenger"] = run.get(f"tags.verdict/across_teams/{priority}.{horizon}")
            rows.append(line)
pd.DataFrame(rows).round(3)
