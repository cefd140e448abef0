"""What a task may take of a machine, and how it reaches the lake."""

from typing import Literal

from pydantic import Field

from cas_spark.settings.section import Section

StorageAccess = Literal["arrow", "spark"]


class Resources(Section):
    """Bounds of a task and its way to the lake; no result depends on them.

    A team that needs more is worked through in blocks: snapshots fewer polls at a time, training
    with its rows in a scratch file in place of memory.
    """

    task_memory_mb: int = Field(
        default=2048,
        ge=1,
        le=16_777_216,
        description="that a task may use for the rows of its team: at most 16 TiB",
    )

    storage_access: StorageAccess = Field(
        default="arrow",
        description="`arrow`: tasks read and write snapshots and maps themselves; `spark`: where "
        "Arrow cannot reach the lake's storage, Spark moves them, which is slower, shuffles "
        "them and holds a team's rows in memory",
    )

    @property
    def task_memory_bytes(self) -> int:
        """The same in bytes."""
        return self.task_memory_mb * 2**20
