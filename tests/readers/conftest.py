"""The releases that programs read."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.readers.page import RESULTS
from tests.support import ROOT


@pytest.fixture(scope="session")
def releases(request: pytest.FixtureRequest, sample_release: Path) -> Mapping[str, Path]:
    """Return the release of the built-in sample; in `make readers` also one of real images, if they are here.

    Both would take CI ten minutes more.
    """
    found = {"sample": sample_release}
    if RESULTS in os.environ and (ROOT.parent / "shared" / "sfhq-sample").is_dir():
        found["sfhq-sample"] = request.getfixturevalue("sfhq_release")
    return found
