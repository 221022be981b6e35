"""What holds for every host in the table, and for the folder: one suite, run over each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from publish.hosts import FOLDER, HOSTS, TARGETS, table_of
from publish.hosts.protocol import HostKind
from publish.run.settings import Settings
from schemas.configs import Format
from tests.publish.hosts.world import World, open_world
from tests.support import Run, good_folder


@dataclass(frozen=True)
class Journey:
    """One release on its way to every target, and the same again."""

    world: World
    published: Run
    receipts: Mapping[str, Mapping[str, str]]
    again: Run
    writes_again: tuple[list[str], list[str]]
    verified: Run


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    work = tmp_path_factory.mktemp("hosts")
    collection = good_folder(work / "collection")
    collection.write()
    flags = [flag for name in TARGETS for flag in ("--to", name)]
    with open_world(work, collection) as world:
        published, receipts = world.run(*flags), world.receipts()
        world.forget()
        again, writes = world.run(*flags), world.writes
        yield Journey(world, published, receipts, again, writes, world.read("verify", "--version", "1.0"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_release_goes_there_and_its_receipt_names_the_manifest(journey: Journey, name: str) -> None:
    assert journey.published.status == 0, journey.published.err
    receipt = journey.receipts[f"1.0.{name}"]
    assert (receipt["target"], receipt["version"]) == (name, "1.0")
    assert receipt["manifest_sha256"] == journey.world.manifest().digest
    assert receipt["revision"]
    assert receipt["url"] in journey.published.out


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_same_again_changes_nothing(journey: Journey, name: str) -> None:
    assert journey.again.status == 0, journey.again.err
    assert journey.writes_again == ([], [])
    assert journey.world.receipts()[f"1.0.{name}"] == journey.receipts[f"1.0.{name}"]


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTS)
def test_what_is_there_can_be_read_back(journey: Journey, name: str) -> None:
    assert journey.verified.status == 0, journey.verified.err
    assert name in journey.verified.out


@pytest.mark.parametrize("kind", HOSTS.values(), ids=HOSTS)
def test_a_host_has_a_table_and_default_formats(kind: HostKind) -> None:
    assert HOSTS[kind.name] is kind
    assert Settings.model_fields[kind.settings_key].is_required() is False
    assert kind.needs_table or kind.settings() is not None
    assert {each for each in Format if kind.why_not(each) is None} == set(kind.formats)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"default_formats": ()}, "every host is given 'parquet'"),
        ({"formats": (Format.PARQUET,), "default_formats": tuple(Format)}, "that it does not take"),
        ({"formats": tuple(Format), "keeps_tars": False}, "keeps no tars"),
    ],
)
@pytest.mark.parametrize("kind", HOSTS.values(), ids=HOSTS)
def test_contradictory_capabilities_are_an_error_when_the_table_is_loaded(
    kind: HostKind, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        replace(kind, **change)


def test_two_hosts_of_one_name_are_an_error_when_the_table_is_loaded() -> None:
    kind = next(iter(HOSTS.values()))
    with pytest.raises(ValueError, match="two hosts are called"):
        table_of(kind, kind)
    with pytest.raises(ValueError, match=FOLDER):
        table_of(replace(kind, name=FOLDER))
