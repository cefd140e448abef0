"""What models that were trained at several moments think of every kept cell, poll after poll."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame

from cas_spark.evaluation.baselines import SCORES, SCORES_TYPE, as_scores
from cas_spark.forecasting.forecast import Scorer, logits_of, values_for
from cas_spark.indicators.catalogue import Catalogue
from cas_spark.indicators.kernels import Doubles
from cas_spark.knowledge.calendar import polls_between
from cas_spark.lake.snapshot_files import SnapshotFiles
from cas_spark.platform.spread import largest_first, task_per_group
from cas_spark.training.models import TrainedModel
from cas_spark.training.team_context import team_context
from cas_spark.training.team_rows import plain_rows


@dataclass(frozen=True)
class Term:
    """The polls [first, last] that a set of models makes the forecasts of.

    Attributes:
        method: name under which they are measured.
        first, last: polls; the models were trained at the first or before.
        of_team: team -> its models.
    """

    method: str
    first: date
    last: date
    of_team: Mapping[str, Sequence[Scorer]]


def scorers_of(models: Iterable[TrainedModel]) -> dict[str, list[Scorer]]:
    """Team -> its models; the few that may fail make no forecast."""
    scorers: dict[str, list[Scorer]] = {}
    for model in models:
        if model.fit is not None:
            scorers.setdefault(model.team_id, []).append(Scorer.of_model(model))
    return scorers


def model_scores(
    context: DataFrame, files: SnapshotFiles, catalogue: Catalogue, terms: Sequence[Term]
) -> DataFrame:
    """The logits of every kept cell at every poll of the terms.

    Args:
        context: team_id, valid_from_on, cell_id and the slow indicators of every kept cell.
        files: where tasks find the snapshots of their team.
        catalogue: the indicators of the snapshots.
        terms: which models forecast when.

    Returns:
        Rows of `baselines.SCORES_TYPE`.
    """

    def work(team: str, context: pa.Table) -> pa.Table:
        of_task, context = files.received(context)
        parts = list(_scores_of_team(team, context, of_task, catalogue, terms))
        return pa.concat_tables(parts) if parts else SCORES.empty_table()

    teams = largest_first(context, "team_id")
    return task_per_group(work, SCORES_TYPE, "team_id", teams, files.sent_with(context))


def _scores_of_team(
    team: str,
    context: pa.Table,
    files: SnapshotFiles,
    catalogue: Catalogue,
    terms: Sequence[Term],
) -> Iterable[pa.Table]:
    of_team = team_context(team, context)
    cells = len(of_team.cell_ids)
    for term in terms:
        models = term.of_team.get(team, ())
        if not models:
            continue
        polls = polls_between(term.first, term.last)
        rows = plain_rows(team, of_team, files, catalogue, polls)
        for number, poll in enumerate(polls):
            at_poll = rows.slice(number * cells, cells)
            values = values_for(models, at_poll, catalogue)
            scores = dict[str, dict[tuple[str | None, str], Doubles]]()
            for model in models:
                of_priority = scores.setdefault(model.priority, {})
                of_priority[model.horizon, term.method] = logits_of(model, values, cells)
            for priority, of_priority in scores.items():
                yield as_scores(
                    poll,
                    team,
                    priority,
                    of_priority,
                    at_poll.column("cell_id").combine_chunks(),
                )
