"""Status: what is there of every version, held against what should be."""

import pytest

from publish.hosts.protocol import Held
from publish.run.comparing import read_status
from schemas.manifest import Receipt

HERE, OTHER = "a" * 64, "b" * 64


def receipt(target: str, version: str = "1.0", digest: str = HERE) -> Receipt:
    return Receipt(target=target, url="somewhere", version=version, revision="1", manifest_sha256=digest)


@pytest.mark.parametrize(
    ("receipts", "held", "states"),
    [
        ([], {"hub": {}}, {"hub": ("not published", True)}),
        ([], {"hub": {"1.0": Held("1", HERE)}}, {"hub": ("there, the same", True)}),
        ([], {"hub": {"1.0": Held("1", OTHER)}}, {"hub": ("other content", False)}),
        (
            [],
            {"hub": {"1.0": Held("1", HERE, "it has no tag")}},
            {"hub": ("unfinished: it has no tag", False)},
        ),
        ([], {"hub": {"1.0": Held("1", None)}}, {"hub": ("there, with no manifest that can be read", False)}),
        ([receipt("hub")], {"hub": {}}, {"hub": ("missing, though there is a receipt", False)}),
        ([receipt("hub")], {}, {"hub": ("by receipt, not asked", True)}),
        (
            [],
            {"hub": {"1.0": Held("1", HERE)}, "kaggle": {}},
            {
                "hub": ("there, the same", True),
                "kaggle": ("unfinished: it is on another host, and not here", False),
            },
        ),
    ],
)
def test_each_host_is_held_against_the_folder(
    receipts: list[Receipt], held: dict[str, dict[str, Held]], states: dict[str, tuple[str, bool]]
) -> None:
    folder, *lines = read_status({"1.0": HERE}, [receipt("folder"), *receipts], held)
    assert (folder.target, folder.state, folder.is_good) == ("folder", "there", True)
    assert {line.target: (line.state, line.is_good) for line in lines} == states


def test_versions_are_told_in_order_wherever_they_are() -> None:
    hub = {"1.10": Held("x", HERE), "1.2": Held("y", OTHER)}
    lines = list(read_status({"1.2": HERE}, [receipt("kaggle", "1.9")], {"hub": hub}))
    assert [(line.version, line.target, line.state) for line in lines] == [
        ("1.2", "folder", "there, without a receipt"),
        ("1.2", "hub", "other content"),
        ("1.9", "hub", "not published"),
        ("1.9", "kaggle", "by receipt, not asked"),
        ("1.10", "hub", "there, and nothing here to compare it with"),
    ]


@pytest.mark.parametrize(
    ("kaggle", "states"),
    [
        (HERE, {"hub": ("there, the same", True), "kaggle": ("there, the same", True)}),
        (
            OTHER,
            {"hub": ("other content than on kaggle", False), "kaggle": ("other content than on hub", False)},
        ),
    ],
)
def test_hosts_are_held_against_each_other_where_nothing_is_here(
    kaggle: str, states: dict[str, tuple[str, bool]]
) -> None:
    held = {"hub": {"1.0": Held("x", HERE)}, "kaggle": {"1.0": Held("1", kaggle)}}
    lines = read_status({}, [], held)
    assert {line.target: (line.state, line.is_good) for line in lines} == states


def test_a_folder_that_differs_from_its_receipt_is_told() -> None:
    (line,) = read_status({"1.0": HERE}, [receipt("folder", digest=OTHER)], {})
    assert (line.state, line.is_good) == ("other content than its receipt says", False)
