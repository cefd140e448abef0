"""How the cost of a cold run grows: a table and a picture of the results that national.py kept.

    for regions in 3 6; do
        python benchmarks/national.py --settings conf/nl.yaml --poll 2024-10-28 --only-cold \
            --regions $regions
    done                                          # and so for --polls 26 and 52
    python benchmarks/growth.py nl docs/growth.png

Of several results of the same size the newest counts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
STAGES = ("snapshots", "train", "forecast", "evaluate")
"""Drawn beside the whole; these are what is done for every cell and poll."""


def newest_results(name: str) -> list[dict[str, Any]]:
    """The newest result of each size, the smallest first."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for path in RESULTS.glob(f"{name}-*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        size = (result["cold"]["tables"]["cells"]["rows"], result["polls"])
        if size not in found or found[size]["measured_on"] < result["measured_on"]:
            found[size] = result
    return [found[size] for size in sorted(found)]


def table_of(results: Sequence[dict[str, Any]]) -> str:
    """The results as a table in Markdown."""
    head = ("land cells", "polls", "rows of snapshots", "seconds", *STAGES, "GiB", "lake, GB")
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    for result in results:
        cold = result["cold"]
        fields = [
            f"{cold['tables']['cells']['rows']:,}",
            str(result["polls"]),
            f"{cold['tables']['snapshots']['rows']:,}",
            f"{cold['seconds']:,.0f}",
            *(f"{cold['stages'][stage]:,.0f}" for stage in STAGES),
            f"{cold['peak_memory_gib']:.1f}",
            f"{cold['lake_gb']:.1f}",
        ]
        lines.append("| " + " | ".join(fields) + " |")
    return "\n".join(lines)


def draw_growth(results: Sequence[dict[str, Any]]) -> Figure:
    """Seconds against land cells, all polls; and against polls, of as many cells as have several.

    A grey line through the largest shows what twice the work for twice the time would be.
    """
    figure = Figure(figsize=(10, 4.2), dpi=120, layout="constrained")
    by_cells, by_polls = figure.subplots(1, 2)
    polls = max(result["polls"] for result in results)
    of_all_polls = [result for result in results if result["polls"] == polls]
    cells = [_cells(result) for result in results]
    most_often = max(cells, key=cells.count)
    of_those_cells = [result for result in results if _cells(result) == most_often]
    _draw(by_cells, [_cells(r) / 1e6 for r in of_all_polls], of_all_polls)
    by_cells.set_xlabel(f"million land cells, {polls} polls")
    _draw(by_polls, [r["polls"] for r in of_those_cells], of_those_cells)
    by_polls.set_xlabel(f"polls, {most_often:,} land cells")
    by_cells.set_ylabel("seconds")
    by_cells.legend(frameon=False)
    return figure


def _cells(result: dict[str, Any]) -> int:
    return int(result["cold"]["tables"]["cells"]["rows"])


def _draw(axes: Axes, sizes: Sequence[float], results: Sequence[dict[str, Any]]) -> None:
    whole = [result["cold"]["seconds"] for result in results]
    axes.plot([0, sizes[-1]], [0, whole[-1]], color="#bbbbbb", linewidth=1)
    axes.plot(sizes, whole, "o-", color="#222222", label="the whole run")
    for stage in STAGES:
        seconds = [result["cold"]["stages"][stage] for result in results]
        axes.plot(sizes, seconds, ".-", label=stage)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)


def main(
    name: Annotated[str, typer.Argument(help="Of the settings, such as nl.")],
    picture: Annotated[Path, typer.Argument(help="To draw into.")],
) -> None:
    """Print the table and draw the picture."""
    results = newest_results(name)
    draw_growth(results).savefig(picture, metadata={"Software": None})
    typer.echo(table_of(results))


if __name__ == "__main__":
    typer.run(main)
