"""Versions and notes that must agree, do."""

import re
import tomllib

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


def test_the_lock_names_every_dependency_with_a_hash_and_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {re.split(r"[<>=]", name)[0].replace("_", "-") for name in wanted} <= locked
    assert "http" not in re.sub(r"httpx\S*|httpcore\S*|http\S*-\S*", "", lock)
    assert lock.count("==") <= lock.count("--hash=sha256:")
