"""For notebooks: what the engine sees, as a frame, from what the last complete run left."""

from datetime import date

import pandas as pd
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.lake.lake import Lake
from cas_spark.lake.opening import read_published
from cas_spark.pipelines.job import Job
from cas_spark.pipelines.steps.train import expected_of, training_data
from cas_spark.platform.progress import silently
from cas_spark.settings import Settings
from cas_spark.training.team_rows import as_frame, team_rows


def training_frame(
    lake: Lake, settings: Settings, poll: date, team: str, priority: str
) -> pd.DataFrame:
    """The rows that a team's models of a priority learned from at a poll, exactly as they saw them.

    Args:
        lake: on which the weekly run of that poll was the last to bring snapshots up to date.
        settings: of the lake.
        poll: whose models.
        team: the team.
        priority: the priority.

    Returns:
        Sorted by poll and cell: poll_on, cell_id, a column per indicator (transformed), and
        label_<horizon>: whether the target week had an incident.

    Raises:
        CasError: the lake lacks the snapshots, or knows no such team.
    """
    job = Job(read_published(lake, poll), settings, poll, silently)
    expected, data = expected_of(job), training_data(job)
    if team not in expected.teams:
        raise CasError(
            what=f"team {team}",
            found=f"teams {', '.join(sorted(expected.teams))}",
            expected="a team with kept cells",
            do="Give one of these",
        )
    of_team = F.col("team_id") == team
    rows = team_rows(
        team,
        data.context.where(of_team).toArrow(),
        data.labels.where(of_team).toArrow(),
        data.files,
        expected,
    )
    return as_frame(rows, expected, priority)
