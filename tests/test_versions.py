"""Versions and notes that must agree, do."""

import re
import tomllib

import pytest
import yaml

from builders.card.notes import changelog_entry, dataset_changelog
from schemas import KIT_VERSION
from tests.support import ROOT


def test_the_changelog_names_the_kit_version_and_the_shipped_dataset_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    kit = text[text.index("## Kit") :]
    assert re.findall(r"^### (\S+)", kit, re.MULTILINE)[0] == KIT_VERSION
    version = re.search(r"^VERSION \?= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    assert changelog_entry(dataset_changelog(text, version.group(1)), version.group(1)) is not None


def test_the_citation_leaves_the_version_to_the_release() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert "version" not in citation
    assert "date-released" not in citation


EXTRAS = {
    "requirements.lock": ["build", "features", "generate", "kaggle"],
    "requirements-dev.lock": ["dev"],
}


def versions(lock: str) -> dict[str, str]:
    """Return what a lock file pins: name → version."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", EXTRAS)
def test_a_lock_names_every_dependency_with_a_hash_and_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS[lock]:
        wanted += project["optional-dependencies"][extra]
    assert {re.split(r"[<>=]", name)[0].replace("_", "-") for name in wanted} <= versions(lock).keys()
    assert "http" not in re.sub(r"httpx\S*|httpcore\S*|http\S*-\S*", "", text)
    assert text.count("==") <= text.count("--hash=sha256:")


def test_a_release_and_the_tests_use_the_same_versions() -> None:
    assert versions("requirements.lock").items() <= versions("requirements-dev.lock").items()
    assert not {"ruff", "mypy", "pytest", "import-linter"} & versions("requirements.lock").keys()
