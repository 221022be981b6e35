"""Settings of executors: the `[run]` table of release.toml."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from publish.clusters import EXECUTORS, THREADS
from schemas.problems import suggest


class RunSettings(BaseModel):
    """The `[run]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    executor: str = Field(
        THREADS,
        description='What does the work: "threads" of this machine, or "ray" for the cluster at RAY_ADDRESS. '
        "A release does not depend on it.",
    )

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.executor not in EXECUTORS:
            raise ValueError(f"there is no executor {self.executor!r}; {suggest(self.executor, EXECUTORS)}")
        return self
