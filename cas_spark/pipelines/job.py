"""What a step works with: the run, the settings, the poll, and what steps of a run share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cas_spark.errors import CasError
from cas_spark.grid.operations import Operations, labels_of
from cas_spark.indicators.catalogue import Catalogue, catalogue_of_lake
from cas_spark.knowledge.calendar import Schedule, instant_of, poll_at_or_after
from cas_spark.knowledge.editions import editions_by_turn, turn_of, turns_between
from cas_spark.knowledge.settling import plan, settling_days
from cas_spark.knowledge.stretches import stretch_of, stretches
from cas_spark.knowledge.visibility import without_purged
from cas_spark.lake import tables
from cas_spark.lake.run import OPERATIONS, Run
from cas_spark.lake.table import Table
from cas_spark.platform.progress import ShowProgress
from cas_spark.settings import Settings
from cas_spark.settings.completeness import Period
from cas_spark.training.outcomes import outcomes_of


@dataclass
class Job:
    """One command at work.

    Attributes:
        run: reads and writes the lake.
        settings: of the lake.
        asked_poll: the poll that the user asked for, if any.
        show_progress: shows how far long work is.
        is_purging: whether what was purged by now is used for no poll; else every poll sees what
            was known by then, for an accuracy as it was.
        reread: names of the sources whose extracts are to be read again.
        tessellation: the land cells, where the lake does not hold them yet.
        areas: of editions of area statistics that were read already, by source and day.
    """

    run: Run
    settings: Settings
    asked_poll: date | None
    show_progress: ShowProgress
    is_purging: bool = True
    reread: frozenset[str] = frozenset()
    tessellation: DataFrame | None = field(default=None)
    areas: dict[tuple[str, date], DataFrame] = field(default_factory=dict)

    def at(self, poll: date) -> "Job":
        """The same command at another poll."""
        return Job(self.run, self.settings, poll, self.show_progress, self.is_purging)

    def looking_at(self, catalogue: Catalogue) -> "Job":
        """The same command with these indicators in place of the settings' own."""
        job = self.at(self.poll)
        job.catalogue = catalogue
        return job

    @cached_property
    def poll(self) -> date:
        """The poll that was asked for, or the newest that the extracts reach.

        Raises:
            CasError: the poll lies beyond the data, or nothing has been ingested.
        """
        until = self.known_until
        zone, weekday = self.settings.zone, self.settings.polls.weekday_number
        last_day = until.astimezone(zone).date() + timedelta(days=1)
        newest = last_day - timedelta(days=(last_day.weekday() - weekday) % 7)
        if self.asked_poll is None:
            poll = newest
        elif self.asked_poll > newest + timedelta(weeks=1):
            raise CasError(
                what=f"poll {self.asked_poll}",
                found=f"extracts whose last row became known on {last_day - timedelta(days=1)}",
                expected=f"a poll not later than {newest + timedelta(weeks=1)}",
                do="Ingest newer extracts, or choose an earlier --poll",
            )
        else:
            poll = self.asked_poll
        self.run.poll = poll
        return poll

    @property
    def operations(self) -> Operations:
        """How places and layers come to the grid's CRS: as the lake's first run chose."""
        pinned = self.run.facts.setdefault(OPERATIONS, {})
        return Operations(pinned, self.settings.grid.crs, self.settings.grid.version)

    @property
    def labels(self) -> list[str]:
        """What must be said beside figures: of the settings, and of places that are not exact."""
        return [*self.settings.labels, *labels_of(self.run.facts.get(OPERATIONS, {}))]

    @property
    def incidents(self) -> DataFrame:
        """The versions of incidents that the command may use."""
        versions = self.run.read(tables.INCIDENTS)
        return without_purged(versions) if self.is_purging else versions

    @property
    def suspects(self) -> DataFrame | None:
        """The versions of suspects' links that the command may use; None where the group is off."""
        if not self.settings.suspects:
            return None
        versions = self.run.read(tables.SUSPECTS)
        return without_purged(versions) if self.is_purging else versions

    @property
    def outcomes(self) -> DataFrame:
        """The versions of outcomes that follow from `incidents`."""
        if self.is_purging:
            return self.run.read(tables.OUTCOMES)
        settings = self.settings
        return outcomes_of(self.incidents, settings.zone, settings.polls.weekday_number)

    @cached_property
    def calendar_from(self) -> date:
        """The first poll of the history that the job's poll has: see `history_from`."""
        return self.history_from([self.poll])

    def history_from(self, polls: Sequence[date]) -> date:
        """The first poll after which all sources are complete up to these polls, and kept whole.

        Args:
            polls: in order.

        Raises:
            CasError: the extracts have a gap before one of the polls, or between them.
        """
        first, _ = stretch_of(polls[0], self.stretches, polls[-1])
        return poll_at_or_after(
            max(first, self._incidents_kept_from or first), self.settings.polls.weekday_number
        )

    @cached_property
    def _incidents_kept_from(self) -> date | None:
        return self.kept_from("incidents")

    def weeks_of_history(self, poll: date) -> int:
        """Whole weeks with complete extracts before a poll."""
        return (poll - self.history_from([poll])).days // 7

    @property
    def stretches(self) -> list[Period]:
        """The times of which all sources of incidents are complete."""
        return stretches([source.periods for source in self.settings.incidents])

    def kept_from(self, kind: str) -> date | None:
        """The day from which on all facts of a class are kept; None where none went by its term."""
        if not self.run.holds(tables.RETENTIONS):
            return None
        removed = self.run.read(tables.RETENTIONS).where(F.col("class") == kind)
        found = removed.agg(F.max("complete_from_on")).first()
        day: date | None = found[0] if found is not None else None
        return day

    @cached_property
    def schedule(self) -> Schedule:
        """The polls of the run; the settling delay is measured as of the poll.

        Raises:
            CasError: too few weeks of extracts, or polls before the grid version serves.
        """
        moment = instant_of(self.poll, self.settings.zone)
        days = settling_days(self.incidents, moment, self.settings)
        schedule = plan(self.settings, self.poll, days, self.calendar_from)
        grid = self.settings.grid
        if schedule.training[0] < grid.valid_from:
            raise CasError(
                what=f"grid version {grid.version}",
                found=f"valid_from {grid.valid_from}, and polls from {schedule.training[0]} on",
                expected="a grid version that served all polls of the run, so that its removal "
                "rules saw nothing that was not known at the first",
                do="Give grid.valid_from an earlier date under a new version, or a later --poll",
            )
        suspects_from = self.kept_from("suspects") if self.settings.suspects else None
        if suspects_from is not None and schedule.training[0] < suspects_from:
            raise CasError(
                what="suspects' links",
                found=f"removed up to {suspects_from} by their term, and polls from "
                f"{schedule.training[0]} on",
                expected="polls that see every link, so that removed ones do not read as none",
                do="Give retention.suspects a longer term, polls.count fewer polls, or switch the "
                "group off",
            )
        self.run.facts["settling_days"] = days
        self.run.facts["training_polls"] = [str(schedule.training[0]), str(schedule.training[-1])]
        return schedule

    @cached_property
    def catalogue(self) -> Catalogue:
        """The indicators that the lake's history reaches far enough for.

        Raises:
            CasError: a window reaches before the first extract and the settings do not allow it.
        """
        whole = catalogue_of_lake(self.settings)
        weeks = self.schedule.weeks_of_history
        within = whole.within(weeks)
        left_out = [name for name in whole.names if name not in within.names]
        if left_out and not self.settings.polls.allow_short_history:
            first = self.schedule.training[0]
            raise CasError(
                what=f"the history before the first poll, {first}",
                found=f"{weeks} weeks of extracts since {self.calendar_from}, too few for "
                f"{', '.join(left_out)}",
                expected="extracts that reach back as far as the longest window",
                do="Load earlier extracts, choose a later --poll, or set "
                "polls.allow_short_history: true, which leaves these indicators out",
            )
        self.run.facts["left_out_indicators"] = left_out
        return within

    @cached_property
    def snapshots(self) -> Table:
        """The declaration of `snapshots` with this lake's fast indicators."""
        return tables.snapshots([(i.name, i.meaning) for i in self.catalogue.fast.indicators])

    @cached_property
    def known_until(self) -> datetime:
        """The end of the extracts (UTC): the last row of the source of incidents that ends first.

        Raises:
            CasError: nothing has been ingested.
        """
        names = [source.name for source in self.settings.incidents]
        of_incidents = self.run.read(tables.DATASETS).where(F.col("source").isin(names))
        per_source = of_incidents.groupBy("source")
        last = (
            per_source.agg(F.max("known_until_at").alias("known_until_at"))
            .agg(F.min(F.unix_micros("known_until_at")).alias("micros"))
            .first()
        )
        if last is None or last["micros"] is None:
            raise CasError(
                what="the lake's extracts",
                found="none that holds an incident or a correction",
                expected="extracts that the step ingest has taken in",
                do="Run `cas-spark ingest` or `cas-spark weekly` first",
            )
        return datetime.fromtimestamp(last["micros"] / 1e6, tz=UTC)

    @cached_property
    def cell_context(self) -> Table:
        """The declaration of `cell_context` with this lake's slow indicators."""
        grid = self.settings.grid
        figures = [
            (source.indicator_of(figure), figure.meaning)
            for source in grid.area_statistics
            for figure in source.figures
        ]
        return tables.cell_context([layer.name for layer in grid.surroundings], figures)

    def context(self, first: date, last: date) -> DataFrame:
        """The slow indicators of the settings' grid version that polls from one to another see.

        Args:
            first: poll.
            last: poll.

        Returns:
            valid_from_on, cell_id and the slow indicators; a set of rows for each turn of the area
            statistics that is the newest of one of the polls.
        """
        turns = turns_between(self._turns, first, last)
        rows = self.run.read(self.cell_context).where(
            (F.col("grid_version") == self.settings.grid.version)
            & F.col("valid_from_on").isin(turns)
        )
        return rows.select("valid_from_on", "cell_id", *self.catalogue.slow.names)

    def with_context(self, snapshots: DataFrame, first: date, last: date) -> DataFrame:
        """Snapshots of polls from `first` to `last`, each beside the slow indicators it sees."""
        turn = turn_of(F.col("poll_on"), turns_between(self._turns, first, last))
        return snapshots.withColumn("valid_from_on", turn).join(
            self.context(first, last), ["valid_from_on", "cell_id"], "inner"
        )

    @property
    def _turns(self) -> list[date]:
        return list(editions_by_turn(self.settings.grid, self.settings.polls.weekday_number))

    def cells(self, version: str | None = None) -> DataFrame:
        """The cells of a grid version; of the settings' own where none is named.

        Raises:
            CasError: there are none yet.
        """
        version = version or self.settings.grid.version
        cells = self.run.read(tables.CELLS).where(F.col("grid_version") == version)
        if cells.isEmpty():
            raise CasError(
                what=f"grid version {version}",
                found="no cells in the lake",
                expected="the cells that the step grid makes",
                do="Run `cas-spark grid` or `cas-spark weekly` first",
            )
        return cells
