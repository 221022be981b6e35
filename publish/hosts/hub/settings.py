"""What `release.toml` says of the Hub."""

from pydantic import Field

from publish.hosts.protocol import HostTable


class HubSettings(HostTable):
    """The `[hub]` table; the repository is `dataset.repository`."""

    private: bool = Field(
        default=False,
        description="Whether a repository that is made here is private; one that is there stays.",
    )
