"""The basis of a slice is told row by row by an older program: the same facts, the same basis."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.snapshots import Plan, bases_of
from cas_spark.indicators.suspect_kernels import SUSPECT_COLUMNS
from cas_spark.indicators.team import FACT_COLUMNS
from cas_spark.knowledge.visibility import NEVER
from tests.indicators.test_indicators import cells_table, plan

Values = tuple[str | int, ...]

PLAN = plan()
FIRST, LAST = int(PLAN.edges[0]), int(PLAN.edges[-1])
texts = st.sampled_from(["burglary", "robbery", "brak 'n'", 'a "b"\\', "één"])
places = st.integers(-3, 20)
instants = st.integers(FIRST - 10, LAST + 10) | st.sampled_from([int(e) for e in PLAN.edges])
ends = instants | st.just(NEVER)
facts = st.tuples(texts, places, places, instants, instants, ends)
links = st.tuples(texts, texts, places, places, instants, ends)


def told_row_by_row(rows: Sequence[tuple[tuple[str, ...], Values]], of: Plan) -> dict[date, str]:
    """What the first program told: the text of each row where a poll first sees it, and no more."""
    events = []
    for columns, row in rows:
        named = dict(zip(columns, row, strict=True))
        seen = [
            k
            for k, edge in enumerate(of.edges)
            if int(named["known_at"]) < edge and not int(named["superseded_at"]) < edge
        ]
        if seen:
            text = repr((*(v for name, v in named.items() if name != "superseded_at"), NEVER))
            events += [(seen[0], f"enters{text}"), (seen[-1] + 1, f"leaves{text}")]
    state = hashlib.sha256(f"{of.grid_version}\n{of.catalogue.fast.version}\n".encode())
    state.update(np.array(cells_table().column("cell_id"), "<i8").tobytes() + str(FIRST).encode())
    bases, told = {}, 0
    for index, poll in enumerate(of.polls, start=of.first_poll):
        until = sum(place <= index for place, _ in events)
        state.update("".join(text for _, text in sorted(events)[told:until]).encode())
        bases[poll], told = state.hexdigest(), until
    return bases


def table_of(rows: list[Values], columns: tuple[str, ...]) -> pa.Table:
    kinds = [pa.string() if name in ("priority", "suspect_key") else pa.int64() for name in columns]
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]
    return pa.table(arrays, names=list(columns))


@given(st.lists(facts, max_size=12), st.none() | st.lists(links, max_size=12))
def test_a_basis_is_what_the_first_program_told(
    of_facts: list[Values], of_links: list[Values] | None
) -> None:
    rows = [(FACT_COLUMNS, row) for row in of_facts]
    rows += [(SUSPECT_COLUMNS, row) for row in of_links or []]
    suspects = None if of_links is None else table_of(of_links, SUSPECT_COLUMNS)
    found = bases_of(cells_table(), table_of(of_facts, FACT_COLUMNS), PLAN, suspects)
    assert found == told_row_by_row(rows, PLAN)


def test_a_priority_that_counts_as_any_crime_alone_is_part_of_the_basis() -> None:
    kept = tuple(i for i in PLAN.catalogue.indicators if i.of in (None, "burglary"))
    both = replace(PLAN, catalogue=Catalogue(kept))
    assert any(i.of is None for i in kept)
    facts = table_of([], FACT_COLUMNS)
    one = replace(both, priorities=("burglary",))
    assert set(PLAN.priorities) > {"burglary"}
    assert bases_of(cells_table(), facts, both) != bases_of(cells_table(), facts, one)
