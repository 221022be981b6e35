"""The places a release can go. A host is one module here and one line in `HOSTS`.

Every release is built, checked and placed in the output folder first; hosts are given it from there. Each is
made from the settings and the output folder, and gives what `publish.hosts.protocol.Host` says.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `--help` imports this module, and these load pyarrow
    from publish.hosts.protocol import Host
    from publish.run.settings import Settings  # it reads the names below


def _open_hub(settings: "Settings", _: Path) -> "Host[Any]":
    from publish.hosts.hub.target import HubTarget  # noqa: PLC0415 - only who publishes needs the client

    return HubTarget(settings.dataset.repository, private=settings.hub.private)


def _open_kaggle(settings: "Settings", out: Path) -> "Host[Any]":
    from publish.hosts.kaggle.target import KaggleTarget  # noqa: PLC0415 - as above

    if settings.kaggle is None:
        raise AssertionError("the settings are checked")
    return KaggleTarget(settings.kaggle.dataset, settings.kaggle.page, out / "uploads")


HOSTS: Mapping[str, Callable[["Settings", Path], "Host[Any]"]] = {"hub": _open_hub, "kaggle": _open_kaggle}
TARGETS = ("folder", *HOSTS)
