"""The report of a backtest: tables of figures, and a picture of them in the lake."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pyspark.sql import functions as F

from cas_spark.evaluation.comparing import (
    ACROSS,
    WITHIN,
    calibration,
    caught_shares,
    geometric_mean_ratio,
)
from cas_spark.evaluation.measures import MODEL
from cas_spark.lake import tables
from cas_spark.lake.outputs import Outputs
from cas_spark.pipelines.backtest import Span
from cas_spark.pipelines.job import Job
from cas_spark.platform import storage
from cas_spark.reporting import Report, ReportTable

FOLDER, PICTURE = "plots", "caught.png"


def backtest_report(job: Job, span: Span) -> Report:
    """The figures of a backtest that the lake holds; its picture is written beside them."""
    settings = job.settings
    of_span = F.col("backtest") == span.name
    measures = job.run.read(tables.BACKTESTS).where(of_span).toPandas()
    share = settings.forecast.share
    shares = caught_shares(measures, share)
    held = calibration(measures, share)
    shown = [_caught_table(shares, horizon, share) for horizon in settings.horizons]
    shown.append(_calibration_table(held))
    priorities = list(settings.priorities)
    lines = []
    for horizon in settings.horizons:
        for choice in (ACROSS, WITHIN):
            ratios = {
                method: geometric_mean_ratio(shares, method, priorities, horizon, choice)
                for method in sorted(set(shares["method"]) - {MODEL})
            }
            multiples = ", ".join(f"{ratio:.3f} times {method}" for method, ratio in ratios.items())
            lines.append(
                f"{horizon}, chosen {choice}: the model catches {multiples} (geometric mean)"
            )
    facts = job.run.facts
    first, last = facts["tuned_on_polls"]
    lines.append(
        f"regularisation chosen on the weeks from {first} to {last}: {facts['tuned_reg_param']:g}"
    )
    for what in ("baselines", "indicators"):
        names = facts[f"left_out_{what}"]
        if names:
            lines.append(f"{what} left out, since the history is too short: {', '.join(names)}")
    for priority, names in facts["tuned_baselines"].items():
        lines.append(f"baselines of {priority}: {'; '.join(names)}")
    lines.append(f"poll-horizons not yet scored: {facts['poll_horizons_not_yet_scored']}")
    lines += settings.labels
    lake, name = job.run.lake, f"backtest_{span.first}_{span.last}"
    path = f"{lake.path(FOLDER)}/{name}"
    outputs = Outputs(lake.spark, lake.path(FOLDER), (name,))
    outputs.begin([f"{name}/{PICTURE}"])
    with tempfile.TemporaryDirectory() as scratch:
        draw(shares, held, settings.title, settings.labels).savefig(Path(scratch, PICTURE))
        storage.upload(lake.spark, f"{scratch}/{PICTURE}", f"{path}/{PICTURE}")
    outputs.end()
    lines.append(f"picture: {path}/{PICTURE}")
    return Report(shown, lines)


def _caught_table(shares: pd.DataFrame, horizon: str, share: float) -> ReportTable:
    """The share caught by each method, chosen across all teams; and the model's inside teams."""
    of_horizon = shares[shares["horizon"] == horizon]
    across = of_horizon[of_horizon["choice"] == ACROSS]
    methods = [MODEL, *sorted(set(across["method"]) - {MODEL})]
    rows = []
    for priority, group in across.groupby("priority"):
        by_method = group.set_index("method")
        within = of_horizon[
            (of_horizon["priority"] == priority)
            & (of_horizon["choice"] == WITHIN)
            & (of_horizon["method"] == MODEL)
        ]
        cells = [str(priority), f"{int(by_method['incidents'].iloc[0]):,}"]
        for method in methods:
            line = by_method.loc[method]
            text = f"{line['value']:.1%}"
            if method != MODEL:
                text += f" ({line['ratio']:.2f}: {line['low']:.2f}-{line['high']:.2f})"
            cells.append(text)
        cells.append(f"{within['value'].iloc[0]:.1%}")
        rows.append(cells)
    return ReportTable(
        f"{horizon}: share of incidents caught in {share:.0%} of the land cells, chosen across all "
        "teams; (times as many by the model: 95 % interval)",
        ["priority", "incidents", *methods, "model, chosen in each team"],
        rows,
    )


def _calibration_table(held: pd.DataFrame) -> ReportTable:
    quarters = [*sorted(set(held["quarter"]) - {"all"}), "all"]
    rows = []
    for key, group in held.groupby(["priority", "horizon"]):
        values = group.set_index("quarter")
        of_quarters = [f"{values['value'].get(q, np.nan):.2f}" for q in quarters]
        rows.append([*map(str, key), *of_quarters, f"{values['top_value'].get('all', np.nan):.2f}"])
    return ReportTable(
        "cells with an incident, observed over expected",
        ["priority", "horizon", *quarters, "all, in the top"],
        rows,
    )


def draw(shares: pd.DataFrame, held: pd.DataFrame, title: str, labels: list[str]) -> Figure:
    """Shares caught by each method with each horizon, and calibration by quarter."""
    horizons = list(dict.fromkeys(shares["horizon"]))
    priorities = sorted(set(shares["priority"]))
    methods = [MODEL, *sorted(set(shares["method"]) - {MODEL})]
    figure = Figure(figsize=(12, 3.2 * (len(horizons) + 1)), dpi=100, layout="constrained")
    panels = figure.subplots(len(horizons) + 1, 1)
    width = 0.8 / len(methods)
    for axes, horizon in zip(panels, horizons, strict=False):
        rows = shares[(shares["horizon"] == horizon) & (shares["choice"] == ACROSS)]
        for place, method in enumerate(methods):
            values = rows[rows["method"] == method].set_index("priority")["value"]
            at = np.arange(len(priorities)) + place * width
            axes.bar(at, [100 * values.get(p, np.nan) for p in priorities], width, label=method)
        axes.set_xticks(np.arange(len(priorities)) + 0.4 - width / 2, priorities)
        axes.set_ylabel("% caught")
        axes.set_title(f"{horizon}: incidents caught in the chosen cells, across all teams")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, ncols=len(methods), fontsize=8, loc="outside lower center")
    first = held[(held["horizon"] == horizons[0]) & (held["quarter"] != "all")]
    for priority, group in first.groupby("priority"):
        panels[-1].plot(group["quarter"], group["value"], marker="o", label=priority)
    panels[-1].axhline(1, color="#888888", linewidth=1)
    panels[-1].set_title(f"{horizons[0]}: cells with an incident, observed over expected")
    panels[-1].legend(ncols=len(priorities), fontsize=8)
    figure.suptitle("\n".join([title, *labels]), fontsize=9)
    return figure
