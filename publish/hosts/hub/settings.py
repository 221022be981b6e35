"""What `release.toml` says of the Hub."""

import re

from pydantic import Field, field_validator

from publish.hosts.protocol import HostTable
from schemas.settings import REPOSITORY_PATTERN


class HubSettings(HostTable):
    """The `[hub]` table; the repository is `dataset.repository`."""

    private: bool = Field(
        default=False,
        description="Whether a repository that is made here is private; one that is there stays.",
    )
    space: bool | str = Field(
        default=False,
        description="Whether the explorer's page is published beside the dataset, as a static Space: true "
        'for one with the dataset\'s name, or "organisation/name".',
    )

    @field_validator("space", mode="before")
    @classmethod
    def _check_space(cls, value: object) -> object:
        """Refuse with one message; pydantic has one for each of the two types."""
        if isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(REPOSITORY_PATTERN, value)):
            return value
        raise ValueError('this is true, false, or the name of a Space such as "organisation/name"')

    def space_beside(self, repository: str) -> str | None:
        """Return the name of the Space beside a dataset; None if there is to be none."""
        return (repository if self.space else None) if isinstance(self.space, bool) else self.space
