"""The reference of all indicators as Markdown, from their declarations.

`make docs` writes it to docs/indicators.md; a test holds the file to it.
"""

import sys
from collections.abc import Iterable
from typing import get_args

from cas_spark.indicators.catalogue import catalogue_of
from cas_spark.indicators.indicator import Indicator
from cas_spark.settings.geography import AreaFigure, AreaStatistics

PRIORITY, LAYER, SOURCE, FIGURE = "PRIORITY", "LAYER", "SOURCE", "FIGURE"

HEADER = f"""# Indicators

<!-- Written by `make docs` from cas_spark/indicators/catalogue.py; do not edit. -->

What a model looks at. `{PRIORITY}` stands for each priority of the settings, `{LAYER}` for each
layer of surroundings, `{SOURCE}_{FIGURE}` for each figure of each of the area statistics; `any` for
incidents of all priorities together. A model of a priority looks at its own indicators, at those of
`any`, the calendar, the surroundings and area statistics, and of the other priorities at those
marked ¹. Those marked ² are off unless the settings have `suspects` ([suspects.md](suspects.md)).
An incident counts from the first poll at which it was known, a figure is that of the newest edition
published before the poll; no indicator sees more.

The table holds plain values; a model reads those marked log1p as log(1 + value). Changing what a
name means raises its version. `indicators.leave_out` in the settings leaves some out.

| name | version | unit | read as | meaning | betekenis | why |
| --- | --- | --- | --- | --- | --- | --- |
"""


def reference() -> str:
    """Every indicator, with a row."""
    # The names stand for any name, which the settings themselves would not let pass.
    figures = [
        AreaFigure.model_construct(
            name=FIGURE,
            column="",
            kind=kind,
            unit="its own",
            meaning=f"the figure, as `{kind}`",
            meaning_nl=f"het cijfer, als `{kind}`",
        )
        for kind in get_args(AreaFigure.model_fields["kind"].annotation)
    ]
    statistics = AreaStatistics.model_construct(name=SOURCE, area="", figures=figures, editions=[])
    catalogue = catalogue_of([PRIORITY], [LAYER], [statistics], has_suspects=True)
    return HEADER + "\n".join(_rows(catalogue.indicators)) + "\n"


def _rows(indicators: Iterable[Indicator]) -> Iterable[str]:
    for i in indicators:
        mark = "¹" if i.is_read_by_all else "²" if i.group == "suspects" else ""
        name = f"`{i.name}`{mark}"
        read_as = "log1p" if i.transform == "log1p" else "as it is"
        cells = (name, str(i.version), i.unit, read_as, i.meaning, i.meaning_nl, i.purpose)
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
