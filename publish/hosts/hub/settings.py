"""What `release.toml` says of the Hub."""

from pydantic import Field

from publish.hosts.protocol import HostTable
from schemas.settings import Repository


class HubSettings(HostTable):
    """The `[hub]` table; the repository is `dataset.repository`."""

    private: bool = Field(
        default=False,
        description="Whether a repository that is made here is private; one that is there stays.",
    )
    space: bool | Repository = Field(
        default=False,
        description="Whether the explorer's page is published beside the dataset, as a static Space: true "
        'for one with the dataset\'s name, or "organisation/name".',
    )

    def space_beside(self, repository: str) -> str | None:
        """Return the name of the Space beside a dataset; None if there is to be none."""
        return (repository if self.space else None) if isinstance(self.space, bool) else self.space
