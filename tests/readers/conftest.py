"""The releases that programs read."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.fixture(scope="session")
def releases(request: pytest.FixtureRequest, sample_release: Path) -> Mapping[str, Path]:
    """Return the releases of the built-in sample and, where they are beside the project, of real images."""
    found = {"sample": sample_release}
    if (ROOT.parent / "shared" / "sfhq-sample").is_dir():
        found["sfhq-sample"] = request.getfixturevalue("sfhq_release")
    return found
