"""What a task may take of a machine."""

from pydantic import Field

from cas_spark.settings.section import Section


class Resources(Section):
    """Bounds of a task; no result depends on them.

    A team that needs more is worked through in blocks: snapshots fewer polls at a time, training
    with its rows in a scratch file in place of memory.
    """

    task_memory_mb: int = Field(
        default=2048, ge=1, description="that a task may use for the rows of its team"
    )

    @property
    def task_memory_bytes(self) -> int:
        """The same in bytes."""
        return self.task_memory_mb * 2**20
