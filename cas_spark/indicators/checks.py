"""What settings make of the catalogue, checked before anything runs."""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

from cas_spark.indicators.catalogue import catalogue_of_lake, whole_catalogue
from cas_spark.indicators.indicator import ANY
from cas_spark.lake import tables
from cas_spark.settings import Settings
from cas_spark.settings.geography import Grid
from cas_spark.settings.nearest import nearest

SHOWN = 3


def problems_of_indicators(settings: Settings) -> list[str]:
    """Patterns that match no indicator, names that two indicators share, and no indicator at all.

    Args:
        settings: of the lake.
    """
    return [*_problems_of_patterns(settings), *_problems_of_names(settings)]


def _problems_of_patterns(settings: Settings) -> Iterator[str]:
    names = whole_catalogue(settings).names
    for pattern in settings.indicators.leave_out:
        if not any(fnmatchcase(name, pattern) for name in names):
            plain = pattern.replace("*", "").replace("?", "")
            close = nearest(plain, names, SHOWN, at_least=0.3) or names[:SHOWN]
            yield (
                f"indicators.leave_out: the pattern {pattern!r} matches no indicator; names are "
                f"{', '.join(close)} and the others of docs/indicators.md"
            )
    left = catalogue_of_lake(settings)
    for priority in settings.priorities:
        if not left.of_priority(priority):
            yield f"indicators.leave_out: leaves out every indicator of {priority}"


def _problems_of_names(settings: Settings) -> Iterator[str]:
    """Names of settings from which columns follow must not make the same column twice."""
    if ANY in settings.priorities:
        yield f"priorities.{ANY}: stands for all priorities together; give another name"
    taken = {column.name for column in (*tables.snapshots([]).columns, *tables.CELLS.columns)}
    taken |= {column.name for column in tables.cell_context([], []).columns}
    own = whole_catalogue(settings.model_copy(update={"grid": _without_areas(settings)}))
    taken |= set(own.names)
    figures = [
        (f"grid.area_statistics.{source.name}.figures.{figure.name}", source.indicator_of(figure))
        for source in settings.grid.area_statistics
        for figure in source.figures
    ]
    for where, name in figures:
        if name in taken:
            yield f"{where}: makes the indicator {name}, a name that is taken; give another"
    twice = [name for name, number in Counter(own.names).items() if number > 1]
    if twice and ANY not in settings.priorities:
        names = ", ".join(twice[:SHOWN])
        yield f"priorities, grid.surroundings: two indicators would be called {names}"


def _without_areas(settings: Settings) -> Grid:
    return settings.grid.model_copy(update={"area_statistics": []})
