"""What `release.toml` says of Kaggle."""

from collections.abc import Iterator

from pydantic import Field

from publish.hosts.kaggle.page import KagglePage, check_page
from publish.hosts.protocol import HostTable
from schemas.problems import Problem


class KaggleSettings(HostTable):
    """The `[kaggle]` table: what Kaggle shows above the files; `publish.hosts.kaggle.page` has rules."""

    dataset: str = Field(description='Its name there: "owner/name-of-dataset".')
    title: str = Field(description="6 to 50 characters.")
    subtitle: str = Field(description="20 to 80 characters.")
    license: str = Field(
        "other", description="Kaggle's name of a licence; the default leaves it to LICENSES.md."
    )
    keywords: tuple[str, ...] = Field((), description="Tags; Kaggle leaves out those that it does not know.")
    private: bool = Field(
        default=True, description="Whether a dataset that is made here is private; one that is there stays."
    )

    @property
    def page(self) -> KagglePage:
        """What the page says."""
        return KagglePage(self.title, self.subtitle, self.license, self.keywords, self.private)

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each of Kaggle's rules that the table breaks; `column` is its key."""
        yield from check_page(self.dataset, self.page)
